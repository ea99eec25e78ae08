"""The measurement of a command."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

# On Linux a child's peak memory begins with that of its parent, so the parent is a process that has next to none.
SPAWN = """
import json, os, sys, time
output, *command = sys.argv[1:]
file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
outputs = [(os.POSIX_SPAWN_DUP2, file, 1), (os.POSIX_SPAWN_DUP2, file, 2)]
began = time.perf_counter()
_, status, used = os.wait4(os.posix_spawnp(command[0], command, os.environ, file_actions=outputs), 0)
seconds, peak = time.perf_counter() - began, used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
cost = {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak": peak}
print(json.dumps({"code": os.waitstatus_to_exitcode(status), **cost}))
"""
HOUR, TO_ANSWER = 3600, 120


class FailedTrial(Exception):
    """A subject failed, or gave a wrong result."""


@dataclass(frozen=True)
class Measurement:
    """Seconds of wall clock, seconds of user and system, and MiB of the largest process; None: unknown."""

    seconds: float
    cpu: float | None
    peak: float | None


def measure(
    command: Sequence[str | Path], folder: Path, environ: Mapping[str, str], output: Path, timeout: int = HOUR
) -> Measurement:
    """Run a command to its end, with what it prints in `output`. Raises FailedTrial."""
    spawn = [sys.executable, "-I", "-S", "-c", SPAWN, str(output), *map(str, command)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # A group of its own, which ends whole: Ctrl-C reaches only this process.
    with subprocess.Popen(spawn, cwd=folder, env=environ, process_group=0, **pipes) as process:
        try:
            printed, errors = process.communicate(timeout=timeout)
        except BaseException as ended:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(ended, subprocess.TimeoutExpired):
                raise
            raise FailedTrial(f"over its {timeout} s: {last_words(output)}") from None
    if process.returncode:
        raise FailedTrial(f"it could not be started: {errors.decode(errors='replace').splitlines()[-1]}")
    cost = json.loads(printed)
    if code := cost.pop("code"):
        raise FailedTrial(f"exit code {code}: {last_words(output)}")
    return Measurement(**cost)


def measure_answer(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], output: Path, address: str
) -> Measurement:
    """Run a server until it answers at an address of this machine, like 8888/login, and end it. Raises FailedTrial."""
    began = time.perf_counter()
    with output.open("w") as file:
        server = subprocess.Popen(command, cwd=folder, env=environ, stdout=file, stderr=file)
    try:
        while server.poll() is None and time.perf_counter() < began + TO_ANSWER:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{address}", timeout=5):
                return Measurement(time.perf_counter() - began, None, None)
            time.sleep(0.01)
    finally:
        end(server)
    raise FailedTrial(f"no answer at {address}: {last_words(output)}")


def last_words(output: Path | str) -> str:
    """The last four lines that are not blank of a text or a file, as one."""
    text = output.read_text(errors="replace") if isinstance(output, Path) else output
    return " | ".join([line.strip() for line in text.splitlines() if line.strip()][-4:])[-500:] or "nothing was printed"


def processor_seconds(pid: int | None) -> float:
    """The user and system seconds of a process and its children, also of those that they have waited for."""
    members = [root := psutil.Process(pid), *root.children(recursive=True)] if pid else []
    return sum(sum(member.cpu_times()[:4]) for member in members)


def end(process: subprocess.Popen[Any]) -> None:
    """End a process and its children: only then is the machine free for the next command."""
    with suppress(psutil.NoSuchProcess):
        members = [root := psutil.Process(process.pid), *root.children(recursive=True)]
        for kill in (psutil.Process.terminate, psutil.Process.kill):
            for member in members:
                with suppress(psutil.NoSuchProcess):
                    kill(member)
            _, members = psutil.wait_procs(members, timeout=15)
    process.wait()
