"""Locks between processes."""

import os
import subprocess
import sys
from pathlib import Path

from samebook.core.file_lock import acquire, hold, is_held


def test_one_holder(tmp_path: Path) -> None:
    """While one process holds a file, no other gets it; it is free again afterwards."""
    path = tmp_path / "folder" / "lock"
    with hold(path):
        assert is_held(path)
        assert acquire(path, wait=False) is None
    assert not is_held(path)


def test_lock_goes_with_the_descriptor(tmp_path: Path) -> None:
    """A process that inherits the descriptor holds the file after its parent has closed it, and until it ends."""
    path = tmp_path / "lock"
    descriptor = acquire(path)
    assert descriptor is not None
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE, pass_fds=(descriptor,)) as process:
        os.close(descriptor)
        assert is_held(path)
        process.communicate(b"\n")
    assert not is_held(path)


def test_missing_file_is_held_by_nobody(tmp_path: Path) -> None:
    """Asking for the holder of a file that is missing makes no file."""
    assert not is_held(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()
