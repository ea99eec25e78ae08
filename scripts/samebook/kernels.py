"""Kernels that are quick to start: early, beside the imports of whoever will use one, or warm, from a zygote.

A zygote belongs to whoever started it and ends with that. Its socket has a name that tells everything on which its
kernels depend: whoever needs a kernel finds the one that would be the same as a cold one, or none.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from samebook import environment
from samebook.digest import json_bytes, sha256
from samebook.workspace import Workspace

# The variable that names the folder of a command's own zygotes.
FOLDER = "SAMEBOOK_WARM"
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
MAKE = ("MAKE", "MFLAGS", "PARAMS", "NOTEBOOK", "ENV", "JOBS", "GRID", "TIMEOUT", "NAME", "RUN", "V")
# Before pyplot is imported, the kernel says where figures go.
FIGURES = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
COMMAND = (sys.executable, "-m", "ipykernel_launcher")
PATIENCE = 5.0


@dataclass(frozen=True)
class Request:
    """A kernel: the arguments of its program, all of its environment, and its folder."""

    arguments: Sequence[str]
    env: Mapping[str, str]
    cwd: str

    def line(self) -> bytes:
        return json.dumps({"arguments": list(self.arguments), "env": dict(self.env), "cwd": self.cwd}).encode() + b"\n"


@dataclass(frozen=True)
class Kind:
    """On what the kernels of a zygote depend: what is imported before, and the environment of its program."""

    packages: str
    modules: tuple[str, ...]
    env: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of its socket: the same where, and only where, its kernels are the same."""
        spaces = [path.stat().st_ino for path in map(Path, ("/proc/self/ns/pid", "/proc/self/ns/mnt")) if path.exists()]
        told = [sys.executable, self.packages, self.modules, dict(self.env), spaces, sha256(Path(__file__))]
        return sha256(json_bytes(told))[:24]


def kind(packages: str, modules: Sequence[str], env: Mapping[str, str]) -> Kind:
    """The kind of zygote for a kernel with this environment, of a notebook that imports these modules.

    `packages` is the digest of what is installed.
    """
    other = tuple(OWN) + TERMINAL + MAKE
    kept = {name: value for name, value in env.items() if not _is_one_of(name, other)}
    return Kind(packages, tuple(modules), kept)


def _is_one_of(name: str, names: Sequence[str]) -> bool:
    return any(name.startswith(each) if each.endswith("_") and len(each) > 1 else name == each for each in names)


class Forked:
    """A kernel that a zygote has forked, as subprocess.Popen would tell of it."""

    stdin = stdout = stderr = None

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.connection, self.pid = connection, pid
        self.returncode: int | None = None
        self._said = b""

    def poll(self) -> int | None:
        """Its exit code, None while it lives; a zygote that has gone has taken it along."""
        if self.returncode is None:
            self._listen(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        while self.returncode is None:
            self._listen(timeout)
            if self.returncode is None and timeout is not None:
                raise subprocess.TimeoutExpired(COMMAND, timeout)
        return self.returncode

    def _listen(self, timeout: float | None) -> None:
        self.connection.settimeout(timeout)
        try:
            said = self.connection.recv(4096)
        except (BlockingIOError, TimeoutError):
            return
        except OSError:
            said = b""
        self._said += said
        if not said or self._said.endswith(b"\n"):
            self.returncode = json.loads(self._said)["code"] if self._said.endswith(b"\n") else -signal.SIGKILL
            self.connection.close()

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def forked(folder: Path, wanted: Kind, request: Request) -> Forked | None:
    """A kernel from the zygote of this kind, if there is one in the folder that still answers."""
    path = folder / wanted.name
    with suppress(OSError, ValueError):
        # A workspace's path may be longer than a socket's can be: there the file tells where it is.
        place = path.read_text() if path.is_file() else str(path)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(PATIENCE)
            connection.connect(place)
            _check_owner(connection)
            socket.send_fds(connection, [request.line()], [1, 2])
            return Forked(connection, json.loads(_line(connection))["pid"])
        except BaseException:
            connection.close()
            raise
    return None


def _line(connection: socket.socket) -> bytes:
    content = b""
    while not content.endswith(b"\n"):
        more = connection.recv(1)  # the kernel's end may be told right behind it
        if not more:
            raise ValueError("cut off")
        content += more
    return content


def _check_owner(connection: socket.socket) -> None:
    """Raise PermissionError where another user listens: it would be handed what the run knows."""
    if sys.platform == "linux":
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        if int.from_bytes(told[4:8], sys.byteorder) != os.getuid():
            raise PermissionError("another user's")


@dataclass(frozen=True)
class Started:
    """A zygote's process, or why there is none: then its kernels would not be the same as cold ones."""

    process: subprocess.Popen[str]
    socket: Path
    refused: str


@contextmanager
def zygote(wanted: Kind, cwd: Path, folder: Path, *, idle: float = 0, limit: int = 0) -> Iterator[Started]:
    """A zygote of this kind while the block runs; `folder` has its socket. `idle` in seconds, `limit` in bytes."""
    path = folder / wanted.name
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        command = [sys.executable, "-m", "samebook.zygote", str(listener.fileno()), str(idle), str(limit)]
        process = subprocess.Popen(
            [*command, *wanted.modules],
            cwd=cwd,
            env={**wanted.env, **FIGURES},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    try:
        assert process.stdout
        said = process.stdout.readline()
        refused = json.loads(said)["refused"] if said else "it died while it was importing"
        if refused:
            path.unlink()
        yield Started(process, path, refused)
    finally:
        path.unlink(missing_ok=True)
        assert process.stdin
        process.stdin.close()
        process.wait()
        process.stdout.close() if process.stdout else None


def sockets() -> tempfile.TemporaryDirectory[str]:
    """A folder for sockets, which nobody else can look into; a socket's path has 107 bytes at most."""
    return tempfile.TemporaryDirectory(prefix="samebook-warm-")


class Early:
    """A kernel's process that has been started before anybody knows what for, and imports meanwhile."""

    def __init__(self, env: Mapping[str, str], cwd: Path) -> None:
        ours, theirs = socket.socketpair()
        self.connection, self.env = ours, fixed(env)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "samebook.zygote", "once"],
                cwd=cwd,
                env=dict(env),
                stdin=theirs.fileno(),
                start_new_session=True,
            )

    def become(self, request: Request) -> "subprocess.Popen[bytes] | None":
        """Have it become this kernel; None where it can't, as what is read at its start would be another."""
        if fixed(request.env) != self.env or self.process.poll() is not None:
            return None
        with suppress(OSError):
            socket.send_fds(self.connection, [request.line()], [1, 2])
            self.connection.close()
            return self.process
        return None

    def end(self) -> None:
        """End it where nobody has asked for it."""
        if self.connection.fileno() >= 0:
            self.connection.close()
            self.process.kill()
            self.process.wait()


_early: Early | None = None


def start_early(workspace: Workspace) -> None:
    """Start the process of the kernel that this command will need, unless a zygote may have one."""
    global _early
    if not folder(workspace):
        _early = Early(environment.base_env(workspace), workspace.notebooks)
        atexit.register(_early.end)


def taken() -> Early | None:
    """The process that was started early, for the first that asks."""
    global _early
    found, _early = _early, None
    return found


def folder(workspace: Workspace) -> Path | None:
    """Where zygotes may listen: those of the command that has started this one, or of `samebook warm`."""
    place = Path(os.environ.get(FOLDER) or workspace.runs / ".warm")
    return place if place.is_dir() and any(map(_is_there, place.iterdir())) else None


def _is_there(entry: Path) -> bool:
    """Whether a socket is there: one of a workspace is named in a file, as a socket's path must be short."""
    with suppress(OSError):
        return Path(entry.read_text()).is_socket() if entry.is_file() else entry.is_socket()
    return False


def fixed(env: Mapping[str, str]) -> dict[str, str]:
    """What the interpreter, the loader and C read once, at the start of a program."""
    prefixes = ("PYTHON", "LD_", "DYLD_", "LC_", "LANG", "MALLOC_", "GLIBC_")
    return {name: value for name, value in env.items() if name.startswith(prefixes)}


def can_fork() -> bool:
    """Whether this platform has a fork that libraries survive: macOS's don't."""
    return hasattr(os, "fork") and sys.platform != "darwin"
