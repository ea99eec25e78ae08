"""The machine, or the container, of a run: its engine, its operating system, its cores and its memory."""

import os
import platform
import re
import sys
from pathlib import Path

# The files with a container's limits: in this folder in version 2 of cgroups, in folders below it in version 1.
CGROUP = Path("/sys/fs/cgroup")


def engine() -> str:
    """The engine of this process: `docker` in the image, `local` elsewhere."""
    return os.environ.get("SAMEBOOK_ENGINE", "local")


def operating_system() -> str:
    """The operating system's own name, for example "Debian GNU/Linux 13 (trixie)"."""
    if sys.platform != "linux":
        return platform.platform(terse=True)
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def cores() -> int:
    """The number of cores that this process may use: the machine's, or the container's where it has fewer."""
    count = os.process_cpu_count() or 1
    limits = _read(CGROUP / "cpu.max").split() or [
        _read(CGROUP / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period")
    ]
    quota, period = (*limits, "")[:2]
    return max(1, min(count, int(quota) // int(period))) if quota.isdecimal() and period.isdecimal() else count


def free_memory() -> int:
    """The number of free bytes of memory: the machine's, or the container's where it has fewer."""
    available = re.search(r"^MemAvailable:\s+(\d+) kB$", _read(Path("/proc/meminfo")), re.MULTILINE)
    free = int(available[1]) * 1024 if available else sys.maxsize
    limit, used, statistics = (_read(CGROUP / f"memory.{name}") for name in ("max", "current", "stat"))
    if not limit:
        names = ("limit_in_bytes", "usage_in_bytes", "stat")
        limit, used, statistics = (_read(CGROUP / "memory" / f"memory.{name}") for name in names)
    if not (limit.isdecimal() and used.isdecimal()):
        return free
    cached = re.search(r"^(?:total_)?inactive_file (\d+)$", statistics, re.MULTILINE)
    return min(free, int(limit) - int(used) + (int(cached[1]) if cached else 0))


def _read(path: Path) -> str:
    """The content of a system file, without white space at its ends; "" where it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
