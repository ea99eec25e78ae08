"""The identity of the environment: the lock, and what is installed against it."""

import platform
import re
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from samebook.core.digest import json_bytes, sha256
from samebook.core.workspace import Workspace
from samebook.environment import machine, variables

# Files of a package that depend on the installer and the place: scripts, bytecode, its notes.
ADDED = re.compile(r"^\.\./|\.pyc$|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_\w+\.json)$")


def locked_versions(workspace: Workspace) -> dict[str, str]:
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


def installed_versions() -> dict[str, str]:
    """The versions that this Python finds, by normalised name; from the folders' names, as that is quick."""
    return {_normal(name): version for _, name, version in _distributions()}


def _distributions() -> Iterator[tuple[Path, str, str]]:
    for path in sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info")):
        name, _, version = path.name.removesuffix(".dist-info").rpartition("-")
        yield path, name, version


def mismatches(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Packages whose version is not the lock's: expected and found ("" for missing)."""
    found = installed_versions()
    wanted = locked_versions(workspace).items()
    return {name: (version, found.get(name, "")) for name, version in wanted if found.get(name) != version}


def of(workspace: Workspace) -> dict[str, Any]:
    """What the environment is, in plain JSON.

    `digest` is over the part that can change results: the minor version of Python, the machine's kind, the fixed
    variables, and the content of each locked package. The rest (OS, Debian's packages, Python's build) is told
    beside it: two engines differ in it and give the same bytes.
    """
    wanted = locked_versions(workspace)
    packages = {name: record for name, record in records().items() if name in wanted}
    decisive = {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "machine": platform.machine(),
        "variables": variables.fixed(workspace),
        "packages": packages,
    }
    return {
        **decisive,
        "digest": sha256(json_bytes(decisive)),
        "build": f"{platform.python_implementation()} {python_version()} {' '.join(platform.python_build())}",
        "os": machine.operating_system(),
        "debian": debian(),
    }


def records() -> dict[str, str]:
    """Each installed package: `version sha256:…` over the hashes of its files, as its RECORD has them.

    Left out is what an installer adds, which depends on where and by whom it is installed.
    """
    return {
        _normal(name): f"{version} sha256:{_record(*file_state(path / 'RECORD'))}"
        for path, name, version in _distributions()
    }


def file_state(path: Path) -> tuple[Path, tuple[int, ...]]:
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
    return dict(_debian(*file_state(Path("/var/lib/dpkg/status"))))


@cache
def _debian(status: Path, state: tuple[int, ...]) -> dict[str, str]:
    text = status.read_text() if state else ""
    entries = (entry for entry in text.split("\n\n") if "\nStatus: install ok installed\n" in entry)
    fields = (dict(re.findall(r"^(Package|Version): (\S+)$", entry, re.MULTILINE)) for entry in entries)
    return {each["Package"]: each["Version"] for each in fields}


def python_version() -> str:
    return platform.python_version()


def pinned_python(workspace: Workspace) -> str:
    """The minor version that the environment is made for, as in .python-version."""
    return (workspace.root / ".python-version").read_text().strip()


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What two sets of named versions do not have alike."""
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [f"{name}: {_short(before.get(name))} then, {_short(after.get(name))} here" for name in names]


def _short(version: str | None) -> str:
    """A version, with the first digits of its files' hash."""
    return "none" if version is None else " ".join(part[:19] for part in version.split())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
