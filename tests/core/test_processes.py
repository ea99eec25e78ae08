"""Processes: what those that samebook starts inherit, and their memory."""

import resource
import subprocess
import sys

import pytest

from samebook.core import processes

# Prints a line for each heap that glibc has, after four threads have asked for memory at the same time.
HEAPS = """
import ctypes, sys, threading
from samebook.core import processes
if sys.argv[1:]:
    processes.keep_one_heap()
libc, meeting = ctypes.CDLL(None), threading.Barrier(4)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
def allocate():
    meeting.wait()
    libc.malloc(1000)
    meeting.wait()
threads = [threading.Thread(target=allocate) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


@pytest.mark.parametrize(("arguments", "expected"), [(["one"], True), ([], False)])
def test_one_heap(arguments: list[str], expected: bool) -> None:
    """Threads share a heap, where glibc has one for each thread."""
    command = [sys.executable, "-c", HEAPS, *arguments]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (printed.count("<heap nr=") == 1) is expected, printed


@pytest.mark.secrets
def test_no_core_dumps() -> None:
    """A process leaves no core dump beside the notebook, where the next run's patch would take it in."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        processes.leave_no_core_dumps()
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
