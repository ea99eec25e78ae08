"""Locks between processes: a file that one process at a time holds. A lock ends with its holder, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samebook.core.workspace import make_folder


@contextmanager
def hold(path: Path) -> Iterator[int]:
    """Hold the file at `path`, which is made where it is missing; waits for another holder. Gives its descriptor."""
    handle = acquire(path)
    assert handle is not None
    try:
        yield handle
    finally:
        os.close(handle)


def acquire(path: Path, *, wait: bool = True) -> int | None:
    """A descriptor that holds the file at `path` until it is closed, here and in each process that inherits it.

    None where another process holds it and `wait` is false.
    """
    make_folder(path.parent)
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


def is_held(path: Path) -> bool:
    """Whether a process holds the file at `path`; nobody holds one that is missing."""
    if not path.is_file():
        return False
    if (handle := acquire(path, wait=False)) is None:
        return True
    os.close(handle)
    return False
