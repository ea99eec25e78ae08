"""Zygotes, and the kernels that they fork: a zygote belongs to whoever started it, and ends with that.

Its socket has the name of its kind: whoever needs a kernel finds the one that would be the same as a cold one, or none.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from samebook.core.workspace import Workspace
from samebook.execution.warm import kernels
from samebook.execution.warm.kernels import COMMAND, IMPORTING, Kind, Request

# The variable that names the folder of a command's own zygotes.
FOLDER = "SAMEBOOK_WARM"
PATIENCE = 5.0


class ForkedProcess:
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
        try:
            self.connection.settimeout(timeout)
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


def fork(folder: Path, wanted: Kind, request: Request, files: Sequence[int] = (1, 2)) -> ForkedProcess | None:
    """A process from the zygote of this kind, if there is one in the folder that still answers.

    It gets `files` as its stdout, stderr, and, where there is a third, stdin.
    """
    path = folder / wanted.name
    with suppress(OSError, ValueError):
        # A workspace's path may be longer than a socket's can be: there the file tells where it is.
        place = path.read_text() if path.is_file() else str(path)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(PATIENCE)
            connection.connect(place)
            _check_owner(connection)
            request.send(connection, files)
            return ForkedProcess(connection, json.loads(kernels.line(connection))["pid"])
        except BaseException:
            connection.close()
            raise
    return None


def _check_owner(connection: socket.socket) -> None:
    """Raise PermissionError where another user listens: it would be handed what the run knows."""
    if sys.platform == "linux":
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        if int.from_bytes(told[4:8], sys.byteorder) != os.getuid():
            raise PermissionError("another user's")


@dataclass
class ZygoteProcess:
    """A zygote's process, which may be importing still."""

    process: subprocess.Popen[str]
    socket: Path

    @property
    def is_ready(self) -> bool:
        """Whether it has imported all, and forks."""
        assert self.process.stdout
        has_said = "refusal" in vars(self) or select.select([self.process.stdout], [], [], 0)[0]
        return bool(has_said) and not self.refusal and self.process.poll() is None

    @cached_property
    def refusal(self) -> str:
        """Why nothing can be forked from it, "" where it can: what it forks would not be the same as cold ones."""
        assert self.process.stdout
        said = self.process.stdout.readline()
        why = json.loads(said)["refused"] if said else "it died while it was importing"
        if why:
            self.socket.unlink(missing_ok=True)
        return str(why)


@contextmanager
def zygote(wanted: Kind, cwd: Path, folder: Path, *, idle: float = 0) -> Iterator[ZygoteProcess]:
    """A zygote of this kind while the block runs; `folder` has its socket, `idle` is in seconds.

    Ask for its `refusal` before anything that may need it: until then it may be importing.
    """
    path = folder / wanted.name
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        command = [sys.executable, "-m", "samebook.execution.warm.zygote", str(listener.fileno()), str(idle)]
        process = subprocess.Popen(
            [*command, *wanted.modules],
            cwd=cwd,
            env={**wanted.env, **IMPORTING},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    try:
        yield ZygoteProcess(process, path)
    finally:
        path.unlink(missing_ok=True)
        assert process.stdin
        process.terminate()  # while it imports it doesn't see that nobody is left
        process.stdin.close()
        process.wait()
        process.stdout.close() if process.stdout else None


def socket_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for sockets, which nobody else can look into; a socket's path has 107 bytes at most."""
    return tempfile.TemporaryDirectory(prefix="samebook-warm-")


def folder(workspace: Workspace) -> Path | None:
    """Where zygotes may listen: those of the command that has started this one, or of `samebook warm`."""
    place = Path(os.environ.get(FOLDER) or workspace.runs / ".warm")
    return place if place.is_dir() and any(map(_is_there, place.iterdir())) else None


def _is_there(entry: Path) -> bool:
    """Whether a socket is there: one of a workspace is named in a file, as a socket's path must be short."""
    with suppress(OSError):
        return Path(entry.read_text()).is_socket() if entry.is_file() else entry.is_socket()
    return False


def can_fork() -> bool:
    """Whether this platform has a fork that libraries survive: macOS's don't."""
    return hasattr(os, "fork") and sys.platform != "darwin"
