"""Runs one command, told as JSON on standard input, and prints what it took.

A process of its own, started with `python -I -S`: on Linux a child's peak memory begins with what its parent has, and
this parent has next to nothing.
"""

import json
import os
import signal
import sys
import time
from typing import Any, NoReturn

KIB, MIB = 2**10, 2**20
TIMED_OUT = -signal.SIGALRM


def stop(number: int, _: object) -> NoReturn:
    raise SystemExit(-number)


def run(asked: dict[str, Any]) -> dict[str, float]:
    """Exit code, seconds of wall clock and of processor, and the MiB of the largest process that was waited for."""
    os.chdir(asked["folder"])
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    command = asked["command"]
    signal.alarm(asked["timeout"])
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, asked["environ"], file_actions=files, setpgroup=0)
    try:
        _, status, used = os.wait4(pid, 0)
    except BaseException as stopped:
        os.killpg(pid, signal.SIGKILL)
        os.wait4(pid, 0)
        if isinstance(stopped, SystemExit) and stopped.code == TIMED_OUT:
            return {"code": TIMED_OUT, "seconds": time.perf_counter() - began, "cpu": 0, "peak": 0}
        raise
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else KIB
    cpu = used.ru_utime + used.ru_stime
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": seconds,
        "cpu": cpu,
        "peak": used.ru_maxrss * unit / MIB,
    }


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, stop)
    signal.signal(signal.SIGTERM, stop)
    json.dump(run(json.load(sys.stdin)), sys.stdout)
