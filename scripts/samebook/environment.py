"""What a run happens in: the engine, the lock, and what is installed against it."""

import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from samebook import kernels
from samebook.digest import json_bytes, sha256
from samebook.workspace import Workspace

# Files of a package that depend on the installer and the place: scripts, bytecode, its notes.
ADDED = re.compile(r"^\.\./|\.pyc$|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_\w+\.json)$")
# Where a container's limits are told: by the second version of cgroups, or, in folders, by the first.
CGROUP = Path("/sys/fs/cgroup")
# What of a user's own shell must not reach a kernel.
# (PYTHON… too: PYTHONOPTIMIZE would switch every check off.)
REMOVED = ("JUPYTER_PATH", "MPLBACKEND", "SAMEBOOK_RUN", "SAMEBOOK_WARM", "SIGNING_KEY")


def engine() -> str:
    """`docker` in the image, `local` in an environment of the machine's own."""
    return os.environ.get("SAMEBOOK_ENGINE", "local")


def variables(workspace: Workspace) -> dict[str, str]:
    """The variables that are fixed for every kernel, from environments/variables.env.

    SAMEBOOK_HASH_SEED takes the place of the seed there: `reproduce --times` looks for what a fixed seed hides.
    """
    lines = (workspace.environments / "variables.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    fixed = {name: value for name, _, value in pairs}
    seed = os.environ.get("SAMEBOOK_HASH_SEED")
    return {**fixed, "PYTHONHASHSEED": seed} if seed else fixed


def base_env(workspace: Workspace) -> dict[str, str]:
    """The variables that all kernels have alike: the caller's, less what is private to it, plus what is fixed."""
    private = {*REMOVED, *kernels.given_to_make(), *(name for name in os.environ if name.startswith("PYTHON"))}
    inherited = {name: value for name, value in os.environ.items() if name not in private}
    matplotlib = {"MATPLOTLIBRC": str(workspace.environments / "matplotlibrc")}
    return {**inherited, **variables(workspace), **matplotlib}


def threads(asked: int) -> dict[str, str]:
    """The variable that says how many threads a kernel may take: the caller's, else `asked`; 0 for all cores."""
    told = os.environ.get("OMP_NUM_THREADS") or str(asked or "")
    return {"OMP_NUM_THREADS": told} if told else {}


def cores() -> int:
    """How many cores this process may use at a time: those of its container, where that has fewer than the machine."""
    here = os.process_cpu_count() or 1
    told = _read(CGROUP / "cpu.max").split() or [
        _read(CGROUP / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period")
    ]
    quota, period = (*told, "")[:2]
    return max(1, min(here, int(quota) // int(period))) if quota.isdecimal() and period.isdecimal() else here


@contextmanager
def shared_cores(jobs: int) -> Iterator[None]:
    """Inside the block, so many kernels share the cores, unless the caller has said how many threads each may take."""
    if os.environ.get("OMP_NUM_THREADS"):
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(max(1, cores() // jobs))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


def memory() -> int:
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


def kernel_env(workspace: Workspace, run: Path, env: str, scratch: Path) -> dict[str, str]:
    """The environment variables of a run's kernel."""
    ours = {
        "SAMEBOOK_RUN": str(run),
        "SAMEBOOK_ENV": env,
        "SAMEBOOK_WORKSPACE": str(workspace.root),
        "IPYTHONDIR": str(scratch / "ipython"),
    }
    return {**base_env(workspace), **ours}


def locked(workspace: Workspace) -> dict[str, str]:
    """The versions that the runtime lock names for this platform, by normalised name."""
    from packaging.requirements import Requirement

    text = (workspace.environments / "runtime.txt").read_text()
    lines = re.findall(r"^([A-Za-z0-9].*?)\s*\\?$", text, re.MULTILINE)
    wanted = (Requirement(line) for line in lines)
    return {
        _normal(item.name): str(item.specifier).removeprefix("==")
        for item in wanted
        if item.marker is None or item.marker.evaluate()
    }


def installed() -> dict[str, str]:
    """The versions that this Python finds, by normalised name; from the folders' names, as that is quick."""
    return {_normal(name): version for _, name, version in _distributions()}


def _distributions() -> Iterator[tuple[Path, str, str]]:
    for path in sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info")):
        name, _, version = path.name.removesuffix(".dist-info").rpartition("-")
        yield path, name, version


def mismatches(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Packages whose version is not the lock's: expected and found ("" for missing)."""
    found = installed()
    wanted = locked(workspace).items()
    return {name: (version, found.get(name, "")) for name, version in wanted if found.get(name) != version}


def identity(workspace: Workspace) -> dict[str, Any]:
    """What the environment is, in plain JSON.

    `digest` is over the part that can change results: the minor version of Python, the machine's kind, the fixed
    variables, and the content of each locked package. The rest (OS, Debian's packages, Python's build) is told
    beside it: two engines differ in it and give the same bytes.
    """
    wanted = locked(workspace)
    packages = {name: record for name, record in records().items() if name in wanted}
    decisive = {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "machine": platform.machine(),
        "variables": variables(workspace),
        "packages": packages,
    }
    return {
        **decisive,
        "digest": sha256(json_bytes(decisive)),
        "build": f"{platform.python_implementation()} {python()} {' '.join(platform.python_build())}",
        "os": operating_system(),
        "debian": debian(),
    }


def records() -> dict[str, str]:
    """Each installed package: `version sha256:…` over the hashes of its files, as its RECORD has them.

    Left out is what an installer adds, which depends on where and by whom it is installed.
    """
    return {
        _normal(name): f"{version} sha256:{_record(*state(path / 'RECORD'))}"
        for path, name, version in _distributions()
    }


def state(path: Path) -> tuple[Path, tuple[int, ...]]:
    """A file, and what changes when its content does; nothing where it is missing."""
    try:
        found = path.stat()
    except OSError:
        return path, ()
    return path, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@cache
def _record(record: Path, state: tuple[int, ...]) -> str:
    lines = record.read_text().splitlines() if state else []
    shipped = sorted(line for line in lines if not ADDED.search(line.split(",")[0]))
    return sha256("\n".join(shipped).encode())


def debian() -> dict[str, str]:
    """The versions of Debian's packages, by name; empty elsewhere."""
    return dict(_debian(*state(Path("/var/lib/dpkg/status"))))


@cache
def _debian(status: Path, state: tuple[int, ...]) -> dict[str, str]:
    text = status.read_text() if state else ""
    entries = (entry for entry in text.split("\n\n") if "\nStatus: install ok installed\n" in entry)
    fields = (dict(re.findall(r"^(Package|Version): (\S+)$", entry, re.MULTILINE)) for entry in entries)
    return {each["Package"]: each["Version"] for each in fields}


def python() -> str:
    return platform.python_version()


def pinned_python(workspace: Workspace) -> str:
    """The minor version that the environment is made for, as in .python-version."""
    return (workspace.root / ".python-version").read_text().strip()


def operating_system() -> str:
    """The OS as it names itself, for example "Debian GNU/Linux 13 (trixie)"."""
    if sys.platform != "linux":
        return platform.platform(terse=True)
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What two sets of named versions do not have alike."""
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [f"{name}: {_short(before.get(name))} then, {_short(after.get(name))} here" for name in names]


def _short(version: str | None) -> str:
    """A version, with the first digits of its files' hash."""
    return "none" if version is None else " ".join(part[:19] for part in version.split())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
