"""Locks between processes: one process at a time holds a file, or several share it. A lock ends with its holder, even
a killed one.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from samebook.core.workspace import make_folder


@contextmanager
def hold(path: Path) -> Iterator[int]:
    """Hold the file at `path` inside the block, which gets its descriptor. Another holder is waited for.

    A missing file is made.
    """
    descriptor = acquire(path)
    assert descriptor is not None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def share(path: Path) -> Iterator[None]:
    """Share the file at `path` inside the block with whoever else does; the last one removes it."""
    with hold(path.parent / ".lock"):
        descriptor = acquire(path, shared=True)
    assert descriptor is not None
    try:
        yield
    finally:
        with hold(path.parent / ".lock"):
            os.close(descriptor)
            prune([path])


def acquire(path: Path, *, wait: bool = True, shared: bool = False) -> int | None:
    """A descriptor that holds the file at `path` until it is closed, here and in every process that inherits it.

    Those that share it wait only for one that does not. None where the file is held and `wait` is false.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_held(path: Path) -> bool:
    """Whether a process holds the file at `path`; a missing file has no holder."""
    if not path.is_file():
        return False
    if (descriptor := acquire(path, wait=False)) is None:
        return True
    os.close(descriptor)
    return False


def prune(paths: Iterable[Path]) -> list[Path]:
    """Remove the files that no process holds; returns the others."""
    held = []
    for path in paths:
        if is_held(path):
            held.append(path)
        else:
            path.unlink(missing_ok=True)
    return held
