"""The circumstances of a bench: date, machine, commit, and a load beside it."""

import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
from tiny import CHECKOUT

from samebook.environment import machine

# Above this share of the cores other work is running, and ratios are off.
BUSY = 0.3


def facts() -> dict[str, Any]:
    """The present circumstances, as JSON."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed": bool(_git("status", "--porcelain")),
        "processor": machine.processor(),
        "cores": os.process_cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load": load(),
    }


def load() -> float:
    """The mean number of running processes in the last minute."""
    return round(os.getloadavg()[0], 2)


def load_warning(load: float, cores: int) -> str:
    """A warning where the machine has other work; else an empty text."""
    return f"the load is {load:.1f} on {cores} cores: take no ratio from this" if load > BUSY * cores else ""


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Beside the block this many processes do nothing, and want a core each for it."""
    endless = (sys.executable, "-I", "-S", "-c", "while True: pass")
    with ExitStack() as stack:
        for _ in range(count):
            stack.callback(stack.enter_context(subprocess.Popen(endless)).kill)
        yield


def _git(*arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={CHECKOUT}", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout.strip()
