"""The machine, or the container, of a run: its engine, operating system, processor, cores and memory."""

import os
import platform
import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

# The files with a container's limits: in this folder in version 2 of cgroups, in folders below it in version 1.
CGROUP = Path("/sys/fs/cgroup")
CPUINFO = Path("/proc/cpuinfo")
# Made when the image is built, and in it alone: the sha256 of each file of its commit, in the form of sha256sum.
LISTING = Path(sys.prefix) / "commit.sha256"
# In a view, the link to the environment that it shows.
SHOWN = ".environment"
# The processor that QEMU has where it is asked for none in particular.
# https://gitlab.com/qemu-project/qemu/-/blob/master/target/arm/tcg/cpu64.c
QEMU = ", implementer 0x00, part 0x051"
# The flags by which Linux says that a processor has the level 2, 3 or 4 of x86-64.
# https://gitlab.com/x86-psABIs/x86-64-ABI
LEVELS = (
    "cx16 lahf_lm popcnt ssse3 sse4_1 sse4_2",
    "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave",
    "avx512bw avx512cd avx512dq avx512f avx512vl",
)


def engine() -> str:
    """The engine of this process: `docker` in the image, `local` elsewhere."""
    return os.environ.get("SAMEBOOK_ENGINE", "local") if is_image() else "local"


def is_image() -> bool:
    """Whether this process runs in samebook's image, whatever variables it has."""
    return LISTING.is_file()


def operating_system() -> str:
    """The operating system's own name, for example "Debian GNU/Linux 13 (trixie)"."""
    if sys.platform != "linux":
        return platform.platform(terse=True)
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def processor() -> str:
    """The model name of the processor, for example "AMD EPYC"; that of its kind where Linux doesn't say.

    Linux has numbers alone for one of ARM. An old QEMU shows the file of the machine that it runs on.
    """
    content, kind = _read(CPUINFO), platform.machine()
    if kind == "aarch64":
        numbers = re.search(
            r"^CPU implementer\s*:\s*(\w+)$.*?^CPU part\s*:\s*(\w+)$", content, re.MULTILINE | re.DOTALL
        )
        model = f", implementer {numbers[1]}, part {numbers[2]}" if numbers else ""
        return f"{kind}{model}{', emulated by QEMU' if model == QEMU else ''}"
    model_name = re.search(r"^model name\s*:\s*(.+)$", content, re.MULTILINE)
    return model_name[1] if model_name else platform.processor() or kind


def level() -> int:
    """The level of an x86-64 processor, 1 to 4; 0 for another architecture, and where no system says."""
    return _level(CPUINFO)


@cache
def _level(path: Path) -> int:
    flags = re.search(r"^flags\s*:\s*(.+)$", _read(path), re.MULTILINE)
    if not flags or platform.machine() not in ("x86_64", "AMD64"):
        return 0
    held = [set(names.split()) <= set(flags[1].split()) for names in LEVELS]
    return 1 + next((number for number, is_held in enumerate(held) if not is_held), len(held))


def level_name() -> str:
    """The level of the processor, for example "x86-64-v3"; that of another architecture is its name."""
    return f"x86-64-v{level()}" if level() else f"of {platform.machine()}, which is unknown"


def libc() -> str:
    """The C library and its version, for example "glibc 2.41"; "" for one that doesn't say."""
    with suppress(ValueError, OSError, AttributeError):
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    return ""


def cores() -> int:
    """The number of cores that this process may use: the machine's, or the container's where it has fewer."""
    count = (os.process_cpu_count() if sys.version_info >= (3, 13) else os.cpu_count()) or 1
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
