"""One measurement: a command, what it took, and whether it did what it should.

NotThere    a subject or a case that isn't here: told, and no failure
Wrong       a subject that failed, or whose result is not what was asked for
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


class NotThere(Exception):
    """What can't be measured here; its text says why."""


class Wrong(Exception):
    """What was measured did something else than it should."""


def nothing(*_: object) -> None:
    """What most trials need before and after."""


@dataclass(frozen=True)
class Trial:
    """What is measured again and again.

    `before` makes things as they were at the first time; `check` is given what was printed and raises Wrong. `beside`
    is a process that works for the command. `clock` is a file in which the command leaves its own {"seconds": …}, for
    what is ready before it ends.
    """

    command: Sequence[str | Path]
    folder: Path
    environ: Mapping[str, str]
    before: Callable[[], object] = nothing
    check: Callable[[str], object] = nothing
    beside: int | None = None
    clock: Path | None = None


@dataclass(frozen=True)
class Measured:
    """Seconds of wall clock, seconds of user and system, and MiB of the largest process; None: not known."""

    seconds: float
    cpu: float | None
    peak: float | None

    def plain(self) -> dict[str, float | None]:
        return asdict(self)


def measure(trial: Trial, output: Path, timeout: int = HOUR) -> Measured:
    """Run the trial once; what it prints goes to `output`. Raises Wrong."""
    trial.before()
    busy = _cpu(trial.beside)
    took = _spawned(trial, output, timeout)
    printed = output.read_text(errors="replace")
    if took["code"]:
        why = f"over its {timeout} s" if took["seconds"] >= timeout else f"exit code {took['code']}"
        raise Wrong(f"{why}: {last_words(printed)}")
    trial.check(printed)
    if trial.clock:  # what it needs to end is no part of it
        return Measured(json.loads(trial.clock.read_text())["seconds"], None, None)
    # A process that works for the command is not waited for by it: its memory isn't known.
    return Measured(took["seconds"], took["cpu"] + _cpu(trial.beside) - busy, None if trial.beside else took["peak"])


def last_words(printed: str) -> str:
    """The last lines that say something, as one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return " | ".join(lines[-LAST_LINES:])[-500:] or "nothing was printed"


def _spawned(trial: Trial, output: Path, timeout: int) -> dict[str, float]:
    command = [str(part) for part in trial.command]
    found = shutil.which(command[0], path=trial.environ.get("PATH", os.defpath))
    if found is None:
        raise Wrong(f"{command[0]}: no such program")
    asked = {"command": [found, *command[1:]], "folder": str(trial.folder), "environ": dict(trial.environ)}
    said = json.dumps(asked | {"output": str(output), "timeout": timeout})
    pipe, helper = subprocess.PIPE, [sys.executable, "-I", "-S", str(SPAWN)]
    # Ctrl-C is ours alone, and ends what is measured by way of the helper.
    with subprocess.Popen(helper, stdin=pipe, stdout=pipe, stderr=pipe, text=True, process_group=0) as process:
        try:
            printed, errors = process.communicate(said)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise Wrong(f"it could not be started: {last_words(errors)}")
    return json.loads(printed)


def _cpu(pid: int | None) -> float:
    """Seconds of processor that a process and those it has waited for have used."""
    if pid is None:
        return 0
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system + getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
