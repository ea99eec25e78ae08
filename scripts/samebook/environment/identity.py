"""The identity of the environment: the packages that the lock names, those that are installed, and their digest."""

import os
import platform
import re
import sysconfig
from collections.abc import Container, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from samebook.core import git
from samebook.core.digest import json_bytes, sha256, stamp
from samebook.core.errors import EnvironmentMismatch, UsageError
from samebook.core.workspace import Workspace
from samebook.environment import edits, machine, variables

# The locks of a workspace: no other list makes a package known.
LOCKS = ("runtime.txt", "lab.txt", "command.txt", "build.txt")
# The name of a package in a lock, and of the workspace's own.
LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", re.MULTILINE)
OWN_NAME = re.compile(r'^name = "([^"]+)"', re.MULTILINE)
DPKG_STATUS = Path("/var/lib/dpkg/status")
# Edited files of a package that are named.
SHOWN_FILES = 3
# An installer adds these files to a package's own: scripts, bytecode and its notes.
INSTALLER_FILES = re.compile(r"^\.\./|\.pyc$|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_\w+\.json)$")


def locked_versions(workspace: Workspace) -> dict[str, str]:
    """The versions that the runtime lock names for this platform, by normalised name."""
    lock = workspace.environments / "runtime.txt"
    return dict(_locked_versions(lock, stamp(lock)))


@cache
def _locked_versions(lock: Path, _stamp: tuple[int, ...]) -> dict[str, str]:
    from packaging.requirements import Requirement

    lines = re.findall(r"^([A-Za-z0-9].*?)\s*\\?$", lock.read_text(), re.MULTILINE)
    requirements = (Requirement(line) for line in lines)
    return {
        edits.normal(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate()
    }


def installed_versions() -> dict[str, str]:
    """The versions of the installed packages, by normalised name; read from the names of folders, as that is quick."""
    return {edits.normal(name): version for _, name, version in edits.distributions(_site())}


def _site() -> Path:
    return Path(sysconfig.get_path("purelib"))


IMAGE_ANEW = "make build"


def mend() -> str:
    """The command that brings this environment's packages to the lock: make looks at that, and not at the packages."""
    return IMAGE_ANEW if machine.engine() == "docker" else "rm -f .venv/.installed .venv/.runtime && make environment"


def anew(engine: str, package: str = "") -> str:
    """The command that makes an engine's environment again: an edited package, of the lock's version, would stay.

    `package` is one whose files were edited: those of the local engine are links into uv's cache, which has the edit.
    """
    if engine == "docker":
        return IMAGE_ANEW
    unpacked = f".samebook/uv/bin/uv cache clean {package} && " if package else ""
    return f"{unpacked}rm -rf .venv && make environment"


def uncompiled() -> str:
    """A message where Python compiles all that is imported in each run, as it can't keep that; "" elsewhere."""
    package = _site() / "pydantic"
    if not package.is_dir() or (package / "__pycache__").is_dir() or os.access(package, os.W_OK):
        return ""
    return f"{_site()} can't be written, so that Python compiles all modules again in each run, which takes seconds"


def mismatches(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """The packages whose version is not the lock's: their locked and their installed version ("" where missing)."""
    installed = installed_versions()
    locked = locked_versions(workspace).items()
    return {name: (version, installed.get(name, "")) for name, version in locked if installed.get(name) != version}


def of(workspace: Workspace) -> dict[str, Any]:
    """The identity of a workspace's environment, as JSON.

    `digest` is the SHA-256 of the part that can change results: the minor version of Python, the kind of machine, the
    fixed variables, and the content of each locked package. The operating system, Debian's packages and Python's
    build stand beside it: they differ between engines that give the same results. `edited` has the packages of which a
    file is not that of their wheel, and the files beside packages that none of the lock has, where there are some.
    """
    locked = locked_versions(workspace)
    packages, edited = _packages(locked)
    decisive = {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "machine": platform.machine(),
        "variables": variables.fixed(workspace),
        "packages": packages,
    }
    if files := edits.strays(_site(), _known(workspace)):
        decisive["strays"] = files
        edited |= dict.fromkeys(files, "no package of the lock has it")
    return {
        **decisive,
        "digest": sha256(json_bytes(decisive)),
        "build": f"{platform.python_implementation()} {python_version()} {' '.join(platform.python_build())}",
        "os": machine.operating_system(),
        "debian": debian_packages(),
        **({"edited": edited} if edited else {}),
    }


def package_records(names: Container[str]) -> dict[str, str]:
    """The version and the digest, `version sha256:…`, of each installed package of these, by normalised name.

    The digest is that of the hashes in the package's RECORD, and of its edited files, where it has some. Files that an
    installer adds are left out, as they depend on the installer and on the place.
    """
    return _packages(names)[0]


def _packages(names: Container[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The records of packages, and the edits of those that have some, in words."""
    records, edited = dict[str, str](), dict[str, str]()
    for path, name, version in edits.distributions(_site()):
        if edits.normal(name) in names:
            files = edits.of_package(path / "RECORD", is_image=machine.is_image())
            records[edits.normal(name)] = f"{version} sha256:{_package_digest(path / 'RECORD', files)}"
            edited |= {edits.normal(name): f"edited: {', '.join(sorted(files)[:SHOWN_FILES])}"} if files else {}
    return records, edited


def edited_packages(workspace: Workspace) -> dict[str, list[str]]:
    """The edited files of each locked package that has some, by normalised name; every file is read."""
    return edits.in_full(_site(), locked_versions(workspace), is_image=machine.is_image())


def _known(workspace: Workspace) -> set[str]:
    """The folders of notes of the packages that a lock of the workspace names, and of its own."""
    locks = (workspace.environments / name for name in LOCKS)
    names = {name for lock in locks if lock.is_file() for name in LOCKED.findall(lock.read_text())}
    own = workspace.root / "scripts" / "pyproject.toml"
    names |= {"samebook", *(OWN_NAME.findall(own.read_text()) if own.is_file() else ())}
    normal = {edits.normal(name) for name in names}
    return {path.name for path, name, _ in edits.distributions(_site()) if edits.normal(name) in normal}


def strays(workspace: Workspace) -> dict[str, str]:
    """The sha256 of each file beside packages that Python may import and no package of a lock has; every folder is
    looked at.
    """
    return edits.strays(_site(), _known(workspace), is_full=True)


def check_unedited(workspace: Workspace) -> None:
    """Raise EnvironmentMismatch where a file of a locked package is not that of its wheel; every file is read.

    A file that Python may import, and that no package of a lock has, is such an edit as well.
    """
    if files := strays(workspace):
        raise EnvironmentMismatch(
            f"Python imports {min(files)}, and no package of the lock has it: {_site()}",
            mend=anew(machine.engine()),
        )
    _raise_for(edited_packages(workspace), machine.engine())


def check_wheels(site: Path) -> None:
    """Raise EnvironmentMismatch where a file of a package in another environment is not that of its wheel.

    Installed files may be links to those of another environment, or of a cache, which somebody has edited in place.
    """
    _raise_for(edits.in_full(site), "local")


def _raise_for(edited: Mapping[str, list[str]], engine: str) -> None:
    if edited:
        name, files = next(iter(edited.items()))
        raise EnvironmentMismatch(
            f"{len(edited)} packages are not as in their wheels: {name} has {files[0]} edited",
            mend=anew(engine, name),
        )


def _package_digest(record: Path, edited: Mapping[str, str]) -> str:
    digest = _record_digest(record, stamp(record))
    return sha256(json_bytes({"RECORD": digest, **edited})) if edited else digest


@cache
def _record_digest(record: Path, state: tuple[int, ...]) -> str:
    lines = record.read_text().splitlines() if state else []
    entries = sorted(line for line in lines if not INSTALLER_FILES.search(line.split(",")[0]))
    return sha256("\n".join(entries).encode())


def debian_packages() -> dict[str, str]:
    """The versions of Debian's packages, by name; empty on another system."""
    return dict(_debian_packages(DPKG_STATUS, stamp(DPKG_STATUS)))


@cache
def _debian_packages(status: Path, state: tuple[int, ...]) -> dict[str, str]:
    text = status.read_text() if state else ""
    entries = (entry for entry in text.split("\n\n") if "\nStatus: install ok installed\n" in entry)
    fields = (dict(re.findall(r"^(Package|Version): (\S+)$", entry, re.MULTILINE)) for entry in entries)
    return {field["Package"]: field["Version"] for field in fields}


def samebook_version() -> str:
    """The version of samebook with its commit, for example "0.1.0+gb11560a94031"; without git, no commit."""
    from importlib import metadata

    version, scripts = metadata.version("samebook"), Path(__file__).parents[2]
    if "+" in version or not (scripts / "pyproject.toml").exists():
        return version
    with suppress(UsageError, ModuleNotFoundError):  # no repository, or nothing that reads one
        return f"{version}+g{(os.environ.get('SAMEBOOK_COMMIT') or git.commit(scripts, 'HEAD'))[:12]}"
    return version


def python_version() -> str:
    """The version of this Python, for example 3.13.14."""
    return platform.python_version()


def pinned_python(workspace: Workspace) -> str:
    """The minor version of Python in .python-version, for example 3.13."""
    return (workspace.root / ".python-version").read_text().strip()


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The packages whose versions differ, a line for each: `numpy: 2.5.5 then, none here`."""
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [f"{name}: {_short(before.get(name))} then, {_short(after.get(name))} here" for name in names]


def _short(version: str | None) -> str:
    """A version, and the first digits of its digest."""
    return "none" if version is None else " ".join(part[:19] for part in version.split())
