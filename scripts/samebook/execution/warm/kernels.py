"""Requests of kernels, and the kinds of kernels: a warm one must be the same as a cold one of its kind."""

import os
import resource
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from samebook.core import make
from samebook.core.digest import json_bytes, sha256
from samebook.execution.warm import messages

# Variables of one kernel, at which no module looks while it is imported; one that ends in "_" is a prefix.
OWN = ("SAMEBOOK_", "IPYTHONDIR", "JPY_")
# Variables that terminals, desktops and pytest set, at which no module looks either.
TERMINAL = (
    *("SHLVL", "_", "PWD", "OLDPWD", "TERM", "COLUMNS", "LINES"),
    *("SSH_", "XDG_SESSION", "DBUS_", "WINDOWID", "PYTEST_"),
)
# Variables of a process while it imports: where figures go, and that the debugger keeps its advice to itself.
IMPORT_ENV = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
COMMAND = (sys.executable, "-m", "ipykernel_launcher")


@dataclass(frozen=True)
class Request:
    """A kernel, or a runner: the arguments of its program, all of its environment variables, and its folder."""

    arguments: Sequence[str]
    env: Mapping[str, str]
    cwd: str

    def send(self, connection: socket.socket, files: Sequence[int]) -> None:
        """Send the request with these files as its stdout, stderr, and, where there is a third, stdin."""
        messages.send(connection, {**vars(self), "env": dict(self.env)}, files)


@dataclass(frozen=True)
class Kind:
    """A kind of kernels that one zygote can fork: those with the same packages, imported modules and variables."""

    packages: str
    modules: tuple[str, ...]
    env: Mapping[str, str]

    @cached_property
    def name(self) -> str:
        """A digest of all that kernels of this kind have in common: 24 hex digits, the name of a zygote's socket."""
        spaces = [path.stat().st_ino for path in map(Path, ("/proc/self/ns/pid", "/proc/self/ns/mnt")) if path.exists()]
        facts = [sys.executable, self.packages, self.modules, dict(self.env), spaces, sha256(Path(__file__)), _limits()]
        return sha256(json_bytes(facts))[:24]


def _limits() -> list[object]:
    """A process's inheritance beside its environment: limits, umask, cores, priority and groups."""
    names = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
    limits = [resource.getrlimit(getattr(resource, name)) for name in names]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [limits, _umask(), cores, os.getpriority(os.PRIO_PROCESS, 0), os.getegid(), sorted(os.getgroups())]


def _umask() -> int:
    """The umask. Python can read it only by setting it, for every thread; Linux has it in /proc."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def kind(packages: str, modules: Sequence[str], env: Mapping[str, str]) -> Kind:
    """The kind of a kernel with this environment, for a notebook that imports these modules.

    `packages` is the digest of the installed packages.
    """
    return Kind(packages, tuple(modules), import_variables(env))


def import_variables(env: Mapping[str, str]) -> dict[str, str]:
    """The variables at which a module may look while it is imported."""
    others = (*OWN, *TERMINAL, *make.variables())
    return {name: value for name, value in env.items() if not _is_one_of(name, others)}


def _is_one_of(name: str, names: Sequence[str]) -> bool:
    return any(name.startswith(other) if other.endswith("_") and len(other) > 1 else name == other for other in names)
