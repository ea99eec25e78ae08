"""Zygotes and the processes that they fork, from the outside: a zygote ends with the process that started it.

A zygote's socket has the name of its kind, so that a client finds only a zygote whose kernels are the same as cold
ones.
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

from samebook.core.workspace import Workspace, short_temporary
from samebook.execution.warm import messages
from samebook.execution.warm.kernels import COMMAND, IMPORT_ENV, Kind, Request

# The variable that names the folder of a command's own zygotes.
FOLDER = "SAMEBOOK_WARM"
PATIENCE = 5.0  # seconds


class ForkedProcess:
    """A process that a zygote has forked, with the interface of subprocess.Popen."""

    stdin = stdout = stderr = None

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.connection, self.pid = connection, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, None while the process lives; with its zygote it has ended too."""
        if self.returncode is None:
            self._listen(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once the process has ended. Raises subprocess.TimeoutExpired."""
        while self.returncode is None:
            self._listen(timeout)
            if self.returncode is None and timeout is not None:
                raise subprocess.TimeoutExpired(COMMAND, timeout)
        return self.returncode

    def _listen(self, timeout: float | None) -> None:
        try:
            self.connection.settimeout(timeout)
            self.returncode = messages.receive_answer(self.connection)
        except (BlockingIOError, TimeoutError):
            return
        except (OSError, ValueError):  # the handler of a signal may have received the code meanwhile
            self.returncode = -signal.SIGKILL if self.returncode is None else self.returncode
        self.connection.close()

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork(folder: Path, kind: Kind, request: Request, files: Sequence[int] = (1, 2)) -> ForkedProcess | None:
    """A process from the zygote of this kind in the folder; None where there is none, or it doesn't answer.

    `files` are the process's stdout, stderr, and, where there is a third, stdin.
    """
    entry = folder / kind.name
    with suppress(OSError, ValueError):
        # A workspace's path may be longer than a socket's can be: there a file holds the socket's path.
        address = entry.read_text() if entry.is_file() else str(entry)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(PATIENCE)
            connection.connect(address)
            _check_owner(connection)
            request.send(connection, files)
            return ForkedProcess(connection, messages.receive_answer(connection))
        except BaseException:
            connection.close()
            raise
    return None


def _check_owner(connection: socket.socket) -> None:
    """Raise PermissionError where another user listens, who would get the run's variables."""
    if sys.platform == "linux":
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        if int.from_bytes(credentials[4:8], sys.byteorder) != os.getuid():
            raise PermissionError("the socket belongs to another user")


@dataclass
class ZygoteProcess:
    """A zygote's process, which may be importing still, and the path of its socket."""

    process: subprocess.Popen[str]
    socket: Path

    @property
    def is_ready(self) -> bool:
        """Whether the zygote has imported all, and forks."""
        assert self.process.stdout
        has_answered = "refusal" in vars(self) or select.select([self.process.stdout], [], [], 0)[0]
        return bool(has_answered) and not self.refusal and self.process.poll() is None

    @cached_property
    def refusal(self) -> str:
        """The reason why kernels would differ from cold ones, "" where they don't; waits for the imports."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        reason = json.loads(line)["refused"] if line else "it died while it was importing"
        if reason:
            self.socket.unlink(missing_ok=True)
        return str(reason)

    @property
    def changed(self) -> str:
        """The file that is another one since the imports have read it, so that no kernel is forked; "" where none is.

        It is known once a kernel was asked for.
        """
        assert self.process.stdout
        line = self.process.stdout.readline() if select.select([self.process.stdout], [], [], 0)[0] else ""
        return str(json.loads(line)) if line else ""


@contextmanager
def zygote(kind: Kind, cwd: Path, folder: Path, *, idle: float = 0) -> Iterator[ZygoteProcess]:
    """A zygote of this kind while the block runs; `folder` has its socket, `idle` is in seconds.

    Read its `refusal` before a kernel is forked from it: until then it may be importing.
    """
    path = folder / kind.name
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        command = [sys.executable, "-m", "samebook.execution.warm.zygote"]
        process = subprocess.Popen(
            [*command, str(listener.fileno()), str(idle), *kind.modules],
            cwd=cwd,
            env={**kind.env, **IMPORT_ENV},
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
        process.terminate()  # while it imports it doesn't notice that its stdin is closed
        process.stdin.close()
        process.wait()
        process.stdout.close() if process.stdout else None


def socket_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for sockets that no other user can look into; its path is short: a socket's has 107 bytes at most."""
    return tempfile.TemporaryDirectory(prefix="samebook-warm-", dir=short_temporary())


def folder(workspace: Workspace) -> Path | None:
    """The folder of zygotes that listen: those of the command that started this one, or of `samebook warm`."""
    path = Path(os.environ.get(FOLDER) or workspace.runs / ".warm")
    return path if path.is_dir() and any(map(_is_socket, path.iterdir())) else None


def _is_socket(entry: Path) -> bool:
    """Whether an entry is a socket, or a file that holds the path of one: a socket's path must be short."""
    with suppress(OSError):
        return Path(entry.read_text()).is_socket() if entry.is_file() else entry.is_socket()
    return False


def can_fork() -> bool:
    """Whether libraries survive a fork on this platform: on macOS they don't."""
    return hasattr(os, "fork") and sys.platform != "darwin"
