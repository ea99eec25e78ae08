"""Readers of libraries that open files in compiled code, where Python has no audit event: each is hooked by its name.

A hook looks at the arguments: paths, lists of them, patterns, and the literals of a query. A library that is not
imported yet is hooked when it is.
"""

import functools
import glob
import importlib.abc
import importlib.machinery
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, override

from samebook.reads.recorder import Recorder
from samebook.records import model_file

type Note = Callable[[Recorder, Sequence[Any]], None]

# A quoted text of SQL; and words by which a query reads files whose names may not be in it.
LITERAL = re.compile(r"(\bto\s+)?'((?:[^']|'')*)'|\"([^\"]+)\"", re.IGNORECASE)
QUERY = re.compile(
    r"\s*(?:attach|call|copy|create|describe|explain|from|import|insert|pragma|select|with)\b", re.IGNORECASE
)
READING = re.compile(
    r"\b(?:read_\w+|\w+_scan|parquet_\w+|sniff_csv|glob)\s*\(|\b(?:attach|import|load)\b", re.IGNORECASE
)
RUN = compile("_samebook_call()", "<samebook>", "eval")
MAGIC = re.compile(r"[*?[]")


def read(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record the files that these arguments name."""
    for text in _texts(values):
        read_path(recorder, text) or read_path(recorder, text.partition("?")[0])  # rows.txt?format=libsvm


def read_path(recorder: Recorder, text: str) -> bool:
    """Record the file, the folder with all below it, or the files of the pattern; whether there is one."""
    scheme, is_url, rest = text.partition("://")
    if is_url and scheme != "file":
        if is_address := bool(re.fullmatch(r"\w+", scheme)):
            recorder.unseen(f"network {scheme}://{rest.partition('/')[0]}")
        return is_address
    path = rest if is_url else text
    if os.path.isdir(path):
        for folder, _, names in os.walk(path):
            recorder.folder(folder)
            for name in names:
                recorder.open(f"{folder}/{name}", os.O_RDONLY)
        return True
    paths = glob.glob(path, recursive=True) if MAGIC.search(path) else [path]
    files = [file for file in paths if os.path.isfile(file)]
    for file in files:
        recorder.open(file, os.O_RDONLY)
    return bool(files)


def query(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record the files that a query's literals and arguments name; a reading query that names none is unseen."""
    for text in _texts(values):
        is_read = not QUERY.match(text) and read_path(recorder, text)
        for to, literal, name in LITERAL.findall(text):
            if to:
                own(recorder, [literal])
            else:
                is_read = read_path(recorder, literal.replace("''", "'") or name) or is_read
        if READING.search(text) and not is_read:
            recorder.unseen("query of DuckDB, whose files are not named in it")


def own(recorder: Recorder, values: Sequence[Any]) -> None:
    """Declare the files that these arguments name as the run's own: they are written."""
    for text in _texts(values):
        recorder.open(text, os.O_CREAT | os.O_TRUNC)


def child(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record a child process, by the path of its program."""
    recorder.child(values[1][0])


def server(recorder: Recorder, _: Sequence[Any]) -> None:
    """Record a connection that compiled code makes."""
    recorder.unseen("network, by a database driver or an object store")


DUCKDB = (
    *("connect", "execute", "executemany", "from_csv_auto", "from_parquet", "from_query", "query", "query_df"),
    *("read_csv", "read_json", "read_parquet", "sql", "table_function"),
)
WRITERS = ("to_csv", "to_parquet", "write_csv", "write_parquet")
OBSTORE = ("get", "get_async", "get_range", "get_range_async", "get_ranges", "get_ranges_async", "list", "open_reader")
HOOKS: Mapping[str, Mapping[str, Note]] = {
    "_posixsubprocess": {"fork_exec": child},
    "adbc_driver_manager.dbapi": {"Connection.__init__": server},
    "adbc_driver_postgresql.dbapi": {"connect": server},
    "duckdb": {
        **dict.fromkeys((*DUCKDB, *(f"DuckDBPyConnection.{name}" for name in DUCKDB)), query),
        **dict.fromkeys((f"DuckDBPyRelation.{name}" for name in WRITERS), own),
    },
    "obstore": dict.fromkeys(OBSTORE, server),
    "pyarrow": dict.fromkeys(("input_stream", "memory_map"), read),
    "pyarrow.csv": {**dict.fromkeys(("open_csv", "read_csv"), read), "write_csv": own},
    "pyarrow.dataset": dict.fromkeys(("dataset", "parquet_dataset"), read),
    "pyarrow.feather": {**dict.fromkeys(("read_feather", "read_table"), read), "write_feather": own},
    "pyarrow.json": dict.fromkeys(("open_json", "read_json"), read),
    "pyarrow.orc": dict.fromkeys(("ORCFile.__init__", "read_table"), read),
    "pyarrow.parquet": {
        **dict.fromkeys(("ParquetDataset.__init__", "ParquetFile.__init__", "read_metadata", "read_schema"), read),
        "ParquetWriter.__init__": own,
    },
    **{
        name: dict.fromkeys(functions, read) | dict.fromkeys(model_file.WRITERS[name], own)
        for name, functions in model_file.READERS.items()
    },
}


def hook(recorder: Recorder) -> None:
    """Hook the readers of the libraries that are imported, and of the others once they are."""
    for name in HOOKS:
        if module := sys.modules.get(name):
            _hook_module(recorder, module, HOOKS[name])
    sys.meta_path.insert(0, _Finder(recorder))


class _Finder(importlib.abc.MetaPathFinder):
    """A finder of modules that finds as Python does, and hooks a module that has readers once it is imported."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in HOOKS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and (loader := spec.loader):
            execute: Any = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _hook_module(self._recorder, module, HOOKS[fullname])

            vars(loader)["exec_module"] = exec_module
        return spec


def _hook_module(recorder: Recorder, module: ModuleType, notes: Mapping[str, Note]) -> None:
    for path, note in notes.items():
        *owners, name = path.split(".")
        owner = functools.reduce(lambda found, part: getattr(found, part, None), owners, module)
        if original := getattr(owner, name, None):
            setattr(owner, name, _hooked(recorder, original, note, is_method=bool(owners)))


def _hooked(recorder: Recorder, original: Callable[..., Any], note: Note, *, is_method: bool) -> Callable[..., Any]:
    """The function, with a note of its arguments first.

    It runs with the caller's variables, as DuckDB looks for the frames of a query among those.
    """

    @functools.wraps(original)
    def call(*arguments: Any, **named: Any) -> Any:
        if not recorder.is_declared():
            note(recorder, [*arguments[is_method:], *named.values()])
        frame = sys._getframe(1)
        variables = {**frame.f_locals, "_samebook_call": functools.partial(original, *arguments, **named)}
        return eval(RUN, frame.f_globals, variables)

    return call


def _texts(values: Any) -> Iterator[str]:
    """The texts and paths among some arguments, in lists and mappings too."""
    if isinstance(values, (str, bytes, os.PathLike)):
        yield os.fsdecode(values)
    elif isinstance(values, Mapping):
        yield from _texts(list(values.values()))
    elif isinstance(values, (list, tuple)) and values and not isinstance(values[0], (int, float)):
        for value in values:
            yield from _texts(value)
