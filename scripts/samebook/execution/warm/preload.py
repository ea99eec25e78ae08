"""Imports in place of a notebook's cells, and their effects: output, threads, variables and warning filters.

A zygote imports this module: it must import nothing that a kernel would not import.
"""

import _posixsubprocess
import builtins
import contextlib
import importlib.util
import json
import os
import stat
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samebook.execution.warm.without import without
from samebook.reads import readers, undeclared
from samebook.reads.places import LISTING, PROBE, SYSTEM, UNNAMED, listed
from samebook.reads.recorder import UNSEEN

# The state of each file and folder outside the environment and the system that a notebook's imports have read here, by
# its path, and their audit events beside the opening of files.
READS: dict[str, tuple[object, ...]] = {}
EVENTS: list[tuple[str, tuple[Any, ...]]] = []
# The first of these files that was found to be another one by now.
CHANGED: list[str] = []


@dataclass(frozen=True)
class Effects:
    """Changes that imports made to the process, to be made again in the environment of a kernel.

    `set` and `removed` are variables; `filters` are the warning filters that imports put before the others.
    """

    set: dict[str, str]
    removed: list[str]
    filters: list[Any]


def preload(own: Sequence[str], modules: Sequence[str]) -> tuple[Effects, str]:
    """Import the program's own modules, then a notebook's `modules`; returns the effects of the latter.

    The text says why no kernel can be forked from this process; it is "" where one can.
    """
    with without(absent=("debugpy",)):  # a headless kernel has no debugger
        refusal = _import_all(own)
    env, filters = dict(os.environ), list(warning_filters())
    with _noted_reads(), _in_cell():
        refusal = refusal or _import_all(modules)
    if not refusal and warning_filters()[-len(filters) :] != filters:
        refusal = "an import has changed which warnings are shown"
    changed = {name: text for name, text in os.environ.items() if env.get(name) != text}
    removed = [name for name in env if name not in os.environ]
    return Effects(changed, removed, warning_filters()[: -len(filters)]), refusal


def _import_all(modules: Sequence[str]) -> str:
    """Import these modules; returns why no kernel can be forked from this process then, "" where one can.

    The output of an import would be missing in the notebook that imports the module again; a thread would be
    missing in the kernel.
    """
    outputs: list[str] = []
    with _capture(outputs):
        for name in modules:
            try:
                _import(name)
            except BaseException as error:
                return f"{name}: {type(error).__name__}: {error}"
    if outputs:
        return f"an import has something to say: {outputs[0][:200]}"
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    return f"an import has started a thread: {threads[0]}" if threads else ""


class ZMQInteractiveShell:
    """The shell of a kernel, as far as libraries ask for it while they are imported: its name, that it has a kernel.

    What asks for more fails, and no kernel is forked then.
    """

    kernel: object = None


@contextlib.contextmanager
def _in_cell() -> Iterator[None]:
    """Give the block the function that cells have: without it, pandas takes a terminal's width for its tables."""
    names = vars(builtins)
    names["get_ipython"] = ZMQInteractiveShell
    try:
        yield
    finally:
        del names["get_ipython"]


def check_reads() -> None:
    """Raise ValueError where a file that the imports have read is another one by now: a cold kernel would read that.

    The first time stdout gets its path, for the process that started this one.
    """
    if not CHANGED and (changed := [path for path, state in READS.items() if _state(path) != state]):
        CHANGED.append(changed[0])
        sys.stdout.write(f"{json.dumps(changed[0])}\n")
        sys.stdout.flush()
    if CHANGED:
        raise ValueError(f"{CHANGED[0]} has changed since it was read")


@contextlib.contextmanager
def _noted_reads() -> Iterator[None]:
    """Note in READS and EVENTS what the block reads: what records the reads of a run begins only in its kernel."""
    paths, is_noting = set[str](), True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not is_noting:
            return
        if event in LISTING:
            if folder := listed(arguments[0], sys._getframe(1).f_code.co_filename):
                paths.add(f"{folder}/")
                EVENTS.append((event, (str(Path(folder).absolute()),)))
        elif event in ("open", "sqlite3.connect") and isinstance(arguments[0], str):
            paths.add(arguments[0])
        is_tried = event == "socket.bind" and PROBE.search(sys._getframe(1).f_code.co_filename)
        if event in UNNAMED and not is_tried:
            # Not the socket itself, which would stay open.
            EVENTS.append((event, (None, *arguments[1:]) if event.startswith("socket.") else arguments))

    def fork_exec(*arguments: Any) -> int:
        """multiprocessing starts its processes by this function, of which there is no audit event."""
        if is_noting:
            EVENTS.append(("os.posix_spawn", (arguments[1][0],)))
        return original(*arguments)

    sys.addaudithook(hook)
    original, _posixsubprocess.fork_exec = _posixsubprocess.fork_exec, fork_exec
    try:
        with _noted_readers(paths):
            yield
    finally:
        is_noting, _posixsubprocess.fork_exec = False, original
    others = tuple(f"{folder}/" for folder in (sys.prefix, sys.base_prefix, *SYSTEM))
    absolute = (_source(str(Path(path).absolute())) + "/" * path.endswith("/") for path in paths)
    READS.update(
        {path: state for path in absolute if not path.startswith(others) and (state := _state(path)) is not None}
    )


@contextlib.contextmanager
def _noted_readers(paths: set[str]) -> Iterator[None]:
    """Note what libraries read in compiled code; their readers stay hooked, for the kernel."""

    def noted_path(path: Any, *_: Any) -> None:
        paths.add(os.fsdecode(path))

    def noted_folder(path: str) -> None:
        paths.add(f"{path}/")

    def noted_unseen(name: str) -> None:
        EVENTS.append((UNSEEN, (name,)))

    def noted_child(_: Any) -> None:
        """fork_exec has noted it."""

    noted = {"open": noted_path, "folder": noted_folder, "unseen": noted_unseen, "child": noted_child}
    vars(undeclared.RECORDER).update(noted)
    readers.hook(undeclared.RECORDER, {})
    try:
        yield
    finally:
        for name in noted:
            delattr(undeclared.RECORDER, name)


def _source(path: str) -> str:
    """The module whose bytecode a file has, as any process may write that again; of another file its own path."""
    with contextlib.suppress(ValueError):
        return importlib.util.source_from_cache(path)
    return path


def _state(path: str) -> tuple[object, ...] | None:
    """What tells a file from another one, and of a folder, `path/`, the names in it; None where there is none."""
    with contextlib.suppress(OSError):
        if path.endswith("/"):
            return tuple(sorted(entry.name for entry in Path(path).iterdir() if entry.name != "__pycache__"))
        state = Path(path).stat()
        if stat.S_ISREG(state.st_mode):
            return (state.st_mtime_ns, state.st_size, state.st_ino)
        return None if stat.S_ISDIR(state.st_mode) else (state.st_rdev, state.st_ino)  # a pipe, a device
    return None


def warning_filters() -> list[Any]:
    """The list of filters that decides which warnings are shown, to be changed in place."""
    filters: Any = warnings.filters
    return filters


def _import(name: str) -> None:
    """Import a module; of `module:name` also the name, where it is a module that the first has not imported."""
    module, _, inner = name.partition(":")
    if inner and not hasattr(importlib.import_module(module), inner):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(f"{module}.{inner}")
    elif not inner:
        importlib.import_module(module)


@contextlib.contextmanager
def _capture(outputs: list[str]) -> Iterator[None]:
    """Add the text that the block writes to stdout and stderr, by C code too, to `outputs`."""
    with tempfile.TemporaryFile() as file:
        copies = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), copies, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            file.seek(0)
            if text := file.read().decode(errors="replace").strip():
                outputs.append(text)
