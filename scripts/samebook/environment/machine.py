"""The machine that a run has, or the container: its engine, its system, and how much of it may be used."""

import os
import platform
import re
import sys
from pathlib import Path

# Where a container's limits are told: by the second version of cgroups, or, in folders, by the first.
CGROUP = Path("/sys/fs/cgroup")


def engine() -> str:
    """`docker` in the image, `local` in an environment of the machine's own."""
    return os.environ.get("SAMEBOOK_ENGINE", "local")


def operating_system() -> str:
    """The OS as it names itself, for example "Debian GNU/Linux 13 (trixie)"."""
    if sys.platform != "linux":
        return platform.platform(terse=True)
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def cores() -> int:
    """How many cores this process may use at a time: those of its container, where that has fewer than the machine."""
    here = os.process_cpu_count() or 1
    told = _read(CGROUP / "cpu.max").split() or [
        _read(CGROUP / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period")
    ]
    quota, period = (*told, "")[:2]
    return max(1, min(here, int(quota) // int(period))) if quota.isdecimal() and period.isdecimal() else here


def free_memory() -> int:
    """How many bytes of memory are free: for the machine, or for the container, where that has fewer."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", _read(Path("/proc/meminfo")), re.MULTILINE)
    free = int(found[1]) * 1024 if found else sys.maxsize
    limit, used, parts = (_read(CGROUP / f"memory.{name}") for name in ("max", "current", "stat"))
    if not limit:
        names = ("limit_in_bytes", "usage_in_bytes", "stat")
        limit, used, parts = (_read(CGROUP / "memory" / f"memory.{name}") for name in names)
    if not (limit.isdecimal() and used.isdecimal()):
        return free
    cached = re.search(r"^(?:total_)?inactive_file (\d+)$", parts, re.MULTILINE)
    return min(free, int(limit) - int(used) + (int(cached[1]) if cached else 0))


def _read(path: Path) -> str:
    """What a file of the system's says, "" where there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
