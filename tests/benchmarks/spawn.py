"""Run the command that standard input describes as JSON, and print its cost.

It is a process of its own, started with `python -I -S`: on Linux a child's peak memory begins with that of its parent,
and this parent has next to none.
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


def run(request: dict[str, Any]) -> dict[str, float]:
    """Exit code, seconds of wall clock and of processor, and the MiB of the largest process among those waited for."""
    os.chdir(request["folder"])
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    command = request["command"]
    signal.alarm(request["timeout"])
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, request["environ"], file_actions=files, setpgroup=0)
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
