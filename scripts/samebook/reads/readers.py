"""Readers of libraries that open files in compiled code, where Python has no audit event: each is hooked by its name.

A hook looks at the arguments: paths, lists of them, patterns, and the literals of a query. A library that is not
imported yet is hooked when it is.
"""

import functools
import importlib.abc
import importlib.machinery
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any, override

from samebook.reads import arguments, queries
from samebook.reads.recorder import Recorder
from samebook.records import model_file

type Note = Callable[[Recorder, Sequence[Any]], object]

FILE_SYSTEM = re.compile(r"pyarrow\._\w*fs")
# The kernel, whose sockets carry what a forked process prints.
KERNEL = re.compile(r"/ipykernel/\w+\.py$")
# Libraries that make file systems of pyarrow for the paths that they are given.
LIBRARY = re.compile(r"/site-packages/(?:pandas|pyarrow)/")
# The folder of segments of shared memory.
SEGMENTS = "dev/shm"
BUILTIN = importlib.machinery.BuiltinImporter
RUN = compile("_samebook_call()", "<samebook>", "eval")


def read(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record the files that these arguments name; in another file system they are unseen."""
    # rows.txt?format=libsvm
    found = [
        arguments.read_path(recorder, text) or arguments.read_path(recorder, text.partition("?")[0])
        for text in arguments.texts(values)
    ]
    if not any(found) and any(FILE_SYSTEM.fullmatch(type(value).__module__) for value in values):
        recorder.unseen("a file system of pyarrow")


def stream(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record a file that is opened in a mode, the second argument."""
    (arguments.own if str([*values, ""][1]).startswith("w") else read)(recorder, values[:1])


def file_system(recorder: Recorder, _: Sequence[Any]) -> None:
    """Record a file system that a notebook makes itself, by which it reads what it likes."""
    if not LIBRARY.search(sys._getframe(2).f_code.co_filename):
        recorder.unseen("a file system of pyarrow")


def opens_in_folders(recorder: Recorder) -> Callable[[Any], None]:
    """A change of `os` whose `open` records a file in an open folder: the audit event lacks that."""

    def change(module: Any) -> None:
        original = module.open

        @functools.wraps(original)
        def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            if dir_fd is not None and not recorder.is_declared():
                with suppress(OSError, ValueError, TypeError):  # the call fails too
                    recorder.open(os.path.join(os.path.realpath(f"/proc/self/fd/{dir_fd}"), os.fsdecode(path)), flags)
            return original(path, flags, mode, dir_fd=dir_fd)

        module.open = opened

    return change


def databases(recorder: Recorder) -> Callable[[Any], None]:
    """A change of `sqlite3` whose connections record the databases that they attach."""

    def change(module: Any) -> None:
        original = module.connect

        @functools.wraps(original)
        def connected(*given: Any, **named: Any) -> Any:
            connection = original(*given, **named)
            connection.set_authorizer(recorder.attached)
            return connection

        if not hasattr(original, "__wrapped__"):  # the package has the name of its module
            module.connect = connected

    return change


def segment(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record a segment of shared memory, which another process may have left: on Linux it is a file."""
    recorder.open(f"/{SEGMENTS}/{values[0].lstrip('/')}", values[1])


def socket(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record a socket of ZeroMQ that speaks to others than threads of this process, but for the kernel's own."""
    caller = sys._getframe(2).f_code.co_filename
    if not str(values[0]).startswith("inproc:") and not KERNEL.search(caller):
        recorder.unseen(f"network {values[0]}")


def child(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record a child process, by the path of its program."""
    recorder.child(values[1][0])


def unseen(name: str) -> Note:
    """A note that something was read there, whose content can't be known."""
    return lambda recorder, _: recorder.unseen(name)


# A connection that compiled code makes.
SERVER = unseen("network, by a database driver or an object store")
OBSTORE = (
    *("get", "get_async", "get_range", "get_range_async", "get_ranges", "get_ranges_async", "head", "head_async"),
    *("list", "list_with_delimiter", "list_with_delimiter_async", "open_reader", "open_reader_async"),
)
FILE_SYSTEMS = ("Azure", "Gcs", "Hadoop", "Local", "S3", "SubTree")
HOOKS: Mapping[str, Mapping[str, Note]] = {
    "PIL.ImageCms": {"ImageCmsProfile.__init__": read},
    "PIL.ImageFont": {"FreeTypeFont.__init__": read},
    **{name: {"open": arguments.read_dbm} for name in ("_dbm", "_gdbm")},
    "_interpreters": {"create": unseen("another interpreter")},
    "_posixshmem": {"shm_open": segment},
    "_posixsubprocess": {"fork_exec": child},
    "_tkinter": {"create": unseen("Tcl")},
    "adbc_driver_manager": {"AdbcDatabase": SERVER},
    "adbc_driver_manager.dbapi": {"Connection.__init__": SERVER},
    "adbc_driver_postgresql.dbapi": {"connect": SERVER},
    "duckdb": queries.HOOKS,
    "obstore": dict.fromkeys(OBSTORE, SERVER),
    "pyarrow": {
        **dict.fromkeys(("CompressedInputStream", "input_stream", "memory_map"), read),
        **dict.fromkeys(("CompressedOutputStream", "create_memory_map", "output_stream"), arguments.own),
        "OSFile": stream,
    },
    "pyarrow.csv": {**dict.fromkeys(("open_csv", "read_csv"), read), "write_csv": arguments.own},
    "pyarrow.dataset": dict.fromkeys(("dataset", "parquet_dataset"), read),
    "pyarrow.feather": {**dict.fromkeys(("read_feather", "read_table"), read), "write_feather": arguments.own},
    "pyarrow.flight": dict.fromkeys(("FlightClient", "FlightServerBase", "connect"), SERVER),
    "pyarrow.ipc": {
        **dict.fromkeys(("RecordBatchFileReader.__init__", "RecordBatchStreamReader.__init__"), read),
        **dict.fromkeys(("RecordBatchFileWriter.__init__", "RecordBatchStreamWriter.__init__"), arguments.own),
    },
    "pyarrow.fs": dict.fromkeys((f"{name}FileSystem" for name in FILE_SYSTEMS), file_system),
    "pyarrow.json": dict.fromkeys(("open_json", "read_json"), read),
    "pyarrow.orc": dict.fromkeys(("ORCFile.__init__", "read_table"), read),
    "pyarrow.parquet": {
        **dict.fromkeys(("ParquetDataset.__init__", "ParquetFile.__init__", "read_metadata", "read_schema"), read),
        "ParquetWriter.__init__": arguments.own,
    },
    "pyarrow.substrait": {"run_query": unseen("plan of Substrait")},
    "readline": dict.fromkeys(("read_history_file", "read_init_file"), read),
    "scipy.io._fast_matrix_market": {"_get_read_cursor": read, "_get_write_cursor": arguments.own_matrix},
    "scipy.optimize._highspy._core": {f"_Highs.read{name}": read for name in ("Basis", "Model", "Options", "Solution")},
    "ssl": {"SSLContext.load_verify_locations": read},
    "zmq.sugar.socket": dict.fromkeys(("Socket.bind", "Socket.connect"), socket),
    **{
        name: dict.fromkeys(functions, read) | dict.fromkeys(model_file.WRITERS[name], arguments.own)
        for name, functions in model_file.READERS.items()
    },
}


def hook(recorder: Recorder, changes: Mapping[str, Callable[[Any], None]]) -> None:
    """Hook the readers of the libraries that are imported, and of the others once they are.

    `changes` are made in a module of that name in the same way. What a warm kernel's process has hooked stays hooked.
    """

    def change(module: ModuleType) -> None:
        name = module.__name__
        recorder.hooked.add(name)
        _hook_module(recorder, module, HOOKS.get(name, {}))
        if name in changes:
            changes[name](module)

    names = (*HOOKS, *changes)
    for name in names:
        if (module := sys.modules.get(name)) and name not in recorder.hooked:
            change(module)
        elif module and name in changes:
            changes[name](module)
    sys.meta_path.insert(0, _Finder(names, change))


class _Finder(importlib.abc.MetaPathFinder):
    """A finder of modules that finds as Python does, and changes a module of these names once it is imported."""

    def __init__(self, names: Collection[str], change: Callable[[ModuleType], None]) -> None:
        self._names, self._change = names, change

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if builtin := None if spec else BUILTIN.find_spec(fullname):  # some Pythons are one file, with these modules
            spec = builtin
            loader: Any = SimpleNamespace(create_module=BUILTIN.create_module, exec_module=BUILTIN.exec_module)
            spec.loader = loader
        if spec and (loader := spec.loader):
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self._change(module)

            vars(loader)["exec_module"] = exec_module
        return spec


def _hook_module(recorder: Recorder, module: ModuleType, notes: Mapping[str, Note]) -> None:
    for path, note in notes.items():
        *owners, name = path.split(".")
        owner = functools.reduce(lambda found, part: getattr(found, part, None), owners, module)
        original = None
        with suppress(ImportError):  # pyarrow says so of what the image lacks
            original = getattr(owner, name, None)
        if original:
            setattr(owner, name, _hooked(recorder, original, note, is_method=bool(owners)))


def _hooked(recorder: Recorder, original: Callable[..., Any], note: Note, *, is_method: bool) -> Callable[..., Any]:
    """The function, with a note of its arguments first; of a class a subclass, whose objects note them.

    It runs with the caller's variables, as DuckDB looks for the frames of a query among those.
    """
    if isinstance(original, type):

        def opened(self: Any, *given: Any, **named: Any) -> None:
            if not recorder.is_declared():
                note(recorder, [*given, *named.values()])
            if original.__init__ is not object.__init__:
                original.__init__(self, *given, **named)

        def is_one(_: Any, value: Any) -> bool:
            return isinstance(value, original)  # what the library has made itself is one, too

        kind = type("Hooked", (type(original),), {"__instancecheck__": is_one})
        return kind(original.__name__, (original,), {"__init__": opened, "__module__": original.__module__})

    @functools.wraps(original)
    def call(*given: Any, **named: Any) -> Any:
        if not recorder.is_declared():
            note(recorder, [*given[is_method:], *named.values()])
        frame = sys._getframe(1)
        variables = {**frame.f_locals, "_samebook_call": functools.partial(original, *given, **named)}
        return eval(RUN, frame.f_globals, variables)

    return call
