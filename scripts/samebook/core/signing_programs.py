"""Samebook's programs that sign: forked from a process that has the key, into which no other program may look.

A new program can be looked into until its first lines have run: a process of the same user can open whatever it reads
the key from. A forked one has the key in memory, and from its parent the protection of that memory (see signing_key).
A server forks them: it was forked itself before this process had a second thread. All end with this process.
"""

import ctypes
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from samebook.core import code, signing_key
from samebook.core.digest import stamp
from samebook.core.errors import SamebookError

# The variable with the id of the process that a program must end with.
PARENT = "SAMEBOOK_PARENT"
# The command of a program of samebook, without its arguments: nothing in the folder that it runs in is imported.
SAMEBOOK = (sys.executable, "-P", "-m", "samebook")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html
PR_SET_PDEATHSIG = 1
# Files that a program gets, at most: its connection, stdout, stderr, and locks. Linux hands over no more at a time.
# https://man7.org/linux/man-pages/man7/unix.7.html
MOST_FILES = 253
# Bytes of an answer: a pid, or an exit code. And bytes of a pipe that are read at a time.
WORD, CAPACITY = 8, 1 << 16

_server: socket.socket | None = None
_code: list[tuple[Path, tuple[int, ...]]] = []


class SigningProgram:
    """A forked program, with that part of the interface of subprocess.Popen which its callers use.

    `pid` is that of its process group. Raises SamebookError where the server does not fork it.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, env: Mapping[str, str], locks: Sequence[int]) -> None:
        assert _server
        self.returncode: int | None = None
        self._ended = threading.Event()
        self._connection, other = socket.socketpair()
        pipes = [os.pipe(), os.pipe()]
        self._outputs = [reader for reader, _ in pipes]
        try:
            socket.send_fds(_server, [b"1"], [other.fileno(), *(writer for _, writer in pipes), *locks])
            self._connection.sendall(json.dumps([list(arguments), str(folder), dict(env)]).encode())
            self._connection.shutdown(socket.SHUT_WR)
            other.close()
            self.pid = int.from_bytes(self._connection.recv(WORD, socket.MSG_WAITALL), signed=True)
        except OSError:
            self.pid = 0
        for number in (writer for _, writer in pipes):
            os.close(number)
        other.close()
        if not self.pid:
            self._close()
            raise SamebookError("no program that signs can be started: out of memory, or of processes", mend="again")

    def communicate(self) -> tuple[str, str]:
        """The program's output and errors, once it has ended; what outlives it is not waited for."""
        contents = {number: bytearray() for number in self._outputs}
        with selectors.DefaultSelector() as selector:
            for source in (self._connection, *self._outputs):
                selector.register(source, selectors.EVENT_READ)
            while self.returncode is None:
                for key, _ in selector.select():
                    if key.fileobj is self._connection:
                        code = self._connection.recv(WORD, socket.MSG_WAITALL)
                        self.returncode = int.from_bytes(code, signed=True) if code else -signal.SIGKILL
                    elif not _read(key.fd, contents[key.fd]):
                        selector.unregister(key.fd)
        for number, content in contents.items():
            os.set_blocking(number, False)
            while _read(number, content):
                pass
        self._close()
        self._ended.set()
        stdout, stderr = (content.decode(errors="replace") for content in contents.values())
        return stdout, stderr

    def wait(self, timeout: float) -> None:
        """Wait until `communicate`, of another thread, has the result. Raises subprocess.TimeoutExpired."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(SAMEBOOK, timeout)

    def _close(self) -> None:
        self._connection.close()
        for number in self._outputs:
            os.close(number)


def _read(number: int, content: bytearray) -> bool:
    """Add what a pipe has to the content; whether it may have more."""
    with suppress(BlockingIOError):
        part = os.read(number, CAPACITY)
        content += part
        return bool(part)
    return False


def serve() -> None:
    """Fork the server, where this process has a key. It must have one thread only."""
    global _server, _code
    if signing_key.is_taken() and sys.platform == "linux":
        _code = _stamps_of_code()
        _server, requests = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if not os.fork():
            _serve(requests, os.getppid())
        requests.close()


def start(
    command: Sequence[str], folder: Path, env: Mapping[str, str], locks: Sequence[int] = (), *, is_group: bool = True
) -> "subprocess.Popen[str] | SigningProgram":
    """Start a program; one of samebook's, and make, get the key of this process.

    With `is_group` it has a process group of its own, as forked programs always have; else it ends with this group. It
    inherits the descriptors in `locks`. Raises SamebookError where samebook's own files are others than when this
    process began, whose modules a forked program shares.
    """
    is_ours = tuple(command[: len(SAMEBOOK)]) == SAMEBOOK
    if _server and is_ours:
        if _stamps_of_code() != _code:
            raise SamebookError("samebook's own files have changed since this command began", mend="start it again")
        return SigningProgram(command[len(SAMEBOOK) :], folder, env, locks)
    with signing_key.handed(env, is_wanted=is_ours or command[0] == "make") as (variables, files):
        return subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=is_group,
            pass_fds=(*locks, *files),
        )


def _stamps_of_code() -> list[tuple[Path, tuple[int, ...]]]:
    return [(path, stamp(path)) for path in code.files()]


def _serve(requests: socket.socket, parent: int) -> NoReturn:
    """In the server: fork an attendant for each program, until the parent has ended."""
    global _server
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # they are for the programs
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how an attendant ends
    _end_with(parent)
    if _server:
        _server.close()
        _server = None
    while True:
        message, files, _, _ = socket.recv_fds(requests, 1, MOST_FILES)
        if not message:
            os._exit(0)
        server = os.getpid()
        with suppress(OSError):  # of memory, or of processes, there are too few: the connection says so by its end
            if not os.fork():
                requests.close()
                _attend(files, server)
        for number in files:
            os.close(number)


def _attend(files: list[int], server: int) -> NoReturn:
    """In an attendant: fork the program that is asked for into this process's group; answer with its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    _end_with(server)
    from multiprocessing import get_context

    with socket.socket(fileno=files[0]) as connection:
        with connection.makefile("r") as lines:
            arguments, folder, env = json.loads(lines.read())
        connection.sendall(os.getpid().to_bytes(WORD))
        process = get_context("fork").Process(target=_run, args=(arguments, folder, env, files), name="MainProcess")
        process.start()
        for signum in signal.sigpending():  # sent to the group before the program was in it
            os.kill(process.pid or 0, signum)
        for number in files[1:]:
            os.close(number)
        process.join()
        connection.sendall((process.exitcode or 0).to_bytes(WORD, signed=True))
    os._exit(0)


def _run(arguments: list[str], folder: str, env: dict[str, str], files: list[int]) -> None:
    """In the program: be what `python -m samebook` is in this folder, with these variables."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    os.close(files[0])
    null = os.open(os.devnull, os.O_RDONLY)
    for number, source in enumerate((null, *files[1:3])):
        os.dup2(source, number)
        os.close(source)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env | {PARENT: str(os.getppid())})
    sys.argv = ["samebook", *arguments]
    importlib.import_module("samebook.__main__").main()


def _end_with(parent: int) -> None:
    """Have Linux end this process with the one that has forked it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
