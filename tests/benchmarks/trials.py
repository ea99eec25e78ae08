"""Trials: the measurement of a command, and the check of its result.

MissingTool    a subject or a case that this machine cannot measure; it is reported, and is not a failure
FailedTrial    a subject that failed, or gave a wrong result
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

SPAWN = Path(__file__).with_name("spawn.py")
HOUR = 3600
LAST_LINES = 4


class MissingTool(Exception):
    """A subject or a case cannot be measured here; the text says why."""


class FailedTrial(Exception):
    """A subject failed, or gave a wrong result."""


def nothing(*_: object) -> None:
    """Do nothing, as most trials need it before and after."""


@dataclass(frozen=True)
class Trial:
    """A command that is measured several times.

    `before` restores the state of the first time. `check` takes the output, and raises FailedTrial. `beside` is a
    process that works for the command. `clock` is a file to which a command that is ready before it ends writes its
    own {"seconds": …}.
    """

    command: Sequence[str | Path]
    folder: Path
    environ: Mapping[str, str]
    before: Callable[[], object] = nothing
    check: Callable[[str], object] = nothing
    beside: int | None = None
    clock: Path | None = None


@dataclass(frozen=True)
class Measurement:
    """Seconds of wall clock, seconds of user and system, and MiB of the largest process; None: unknown."""

    seconds: float
    cpu: float | None
    peak: float | None

    def as_json(self) -> dict[str, float | None]:
        return asdict(self)


def measure(trial: Trial, output: Path, timeout: int = HOUR) -> Measurement:
    """Run the trial once, with its output in `output`. Raises FailedTrial."""
    trial.before()
    busy = _cpu(trial.beside)
    cost = _spawn(trial, output, timeout)
    printed = output.read_text(errors="replace")
    if cost["code"]:
        reason = f"over its {timeout} s" if cost["seconds"] >= timeout else f"exit code {cost['code']}"
        raise FailedTrial(f"{reason}: {last_words(printed)}")
    trial.check(printed)
    if trial.clock:  # the time to end does not count
        return Measurement(json.loads(trial.clock.read_text())["seconds"], None, None)
    # The command does not wait for a process that works for it, so the memory of that process is unknown.
    return Measurement(cost["seconds"], cost["cpu"] + _cpu(trial.beside) - busy, None if trial.beside else cost["peak"])


def last_words(printed: str) -> str:
    """The last lines that are not blank, as one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return " | ".join(lines[-LAST_LINES:])[-500:] or "nothing was printed"


def _spawn(trial: Trial, output: Path, timeout: int) -> dict[str, float]:
    command = [str(part) for part in trial.command]
    program = shutil.which(command[0], path=trial.environ.get("PATH", os.defpath))
    if program is None:
        raise FailedTrial(f"{command[0]}: no such program")
    request = {"command": [program, *command[1:]], "folder": str(trial.folder), "environ": dict(trial.environ)}
    message = json.dumps(request | {"output": str(output), "timeout": timeout})
    pipe, helper = subprocess.PIPE, [sys.executable, "-I", "-S", str(SPAWN)]
    # Ctrl-C reaches only this process, which ends the measured command by way of the helper.
    with subprocess.Popen(helper, stdin=pipe, stdout=pipe, stderr=pipe, text=True, process_group=0) as process:
        try:
            printed, errors = process.communicate(message)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise FailedTrial(f"it could not be started: {last_words(errors)}")
    return json.loads(printed)


def _cpu(pid: int | None) -> float:
    """The processor seconds of a process and of the children that it has waited for."""
    if pid is None:
        return 0
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system + getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
