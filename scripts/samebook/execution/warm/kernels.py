"""What a kernel is asked to be, and on what it depends: one that has imported before must be the same as a cold one."""

import json
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

# What differs between two kernels of a zygote: nothing that a module looks at while it is imported.
OWN = ("SAMEBOOK_", "IPYTHONDIR", "JPY_")
# ... nor does any look at what terminals and make say of themselves.
TERMINAL = (
    "SHLVL",
    "_",
    "PWD",
    "OLDPWD",
    "TERM",
    "COLUMNS",
    "LINES",
    "SSH_",
    "XDG_SESSION",
    "DBUS_",
    "WINDOWID",
    "PYTEST_",
)
# What a kernel's process is told while it imports: where figures go, and to keep the debugger's advice to itself.
IMPORTING = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
COMMAND = (sys.executable, "-m", "ipykernel_launcher")


@dataclass(frozen=True)
class Request:
    """A kernel: the arguments of its program, all of its environment, and its folder."""

    arguments: Sequence[str]
    env: Mapping[str, str]
    cwd: str

    def send(self, connection: socket.socket, files: Sequence[int]) -> None:
        """Ask for it, with these files as its stdout, stderr, and, where there is a third, stdin."""
        told = {"arguments": list(self.arguments), "env": dict(self.env), "cwd": self.cwd}
        line = json.dumps(told).encode() + b"\n"
        sent = socket.send_fds(connection, [line], files)
        connection.sendall(line[sent:])


@dataclass(frozen=True)
class Kind:
    """On what the kernels of a zygote depend: what is imported before, and the environment of its program."""

    packages: str
    modules: tuple[str, ...]
    env: Mapping[str, str]

    @cached_property
    def name(self) -> str:
        """The name of its socket: the same where, and only where, its kernels are the same."""
        spaces = [path.stat().st_ino for path in map(Path, ("/proc/self/ns/pid", "/proc/self/ns/mnt")) if path.exists()]
        told = [sys.executable, self.packages, self.modules, dict(self.env), spaces, sha256(Path(__file__)), _bounds()]
        return sha256(json_bytes(told))[:24]


def _bounds() -> list[object]:
    """What a process inherits beside its environment: its limits, cores, priority, groups, and what its files may."""
    limits = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    found = [resource.getrlimit(getattr(resource, name)) for name in limits]
    return [found, _umask(), cores, os.getpriority(os.PRIO_PROCESS, 0), os.getegid(), sorted(os.getgroups())]


def _umask() -> int:
    """Which bits a new file doesn't get. To ask for it is to set it, for all threads, but where Linux tells."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def kind(packages: str, modules: Sequence[str], env: Mapping[str, str]) -> Kind:
    """The kind of zygote for a kernel with this environment, of a notebook that imports these modules.

    `packages` is the digest of what is installed.
    """
    return Kind(packages, tuple(modules), import_variables(env))


def import_variables(env: Mapping[str, str]) -> dict[str, str]:
    """The variables at which a module may look while it is imported."""
    other = (*OWN, *TERMINAL, *make.OWN, *make.variables())
    return {name: value for name, value in env.items() if not _is_one_of(name, other)}


def _is_one_of(name: str, names: Sequence[str]) -> bool:
    return any(name.startswith(each) if each.endswith("_") and len(each) > 1 else name == each for each in names)


def line(connection: socket.socket) -> bytes:
    """A line that the process of a kernel says, and nothing more. Raises ValueError where it is cut off."""
    content = b""
    while not content.endswith(b"\n"):
        more = connection.recv(1)  # the kernel's end may be told right behind it
        if not more:
            raise ValueError("cut off")
        content += more
    return content
