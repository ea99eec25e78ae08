"""The circumstances of a bench: date, machine, commit, versions."""

import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
from benchmarks import peers
from tiny import CHECKOUT

GIB = 2**30
# Above this share of the cores other work is running, and ratios are off.
BUSY = 0.3


def facts() -> dict[str, Any]:
    """The present circumstances, as JSON."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed": bool(_git("status", "--porcelain")),
        "processor": processor(),
        "cores": os.process_cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load": load(),
    }


def load() -> float:
    """The mean number of running processes in the last minute."""
    return round(os.getloadavg()[0], 2)


def processor() -> str:
    """The name of the processor; of the architecture where the system gives no name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


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


def versions(folder: Path) -> dict[str, list[str]]:
    """The packages of each peer that has an environment."""
    environments = (folder / name for name in peers.PEERS)
    return {path.name: peers.versions(path) for path in environments if (path / "wanted.txt").is_file()}


def _git(*arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={CHECKOUT}", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
