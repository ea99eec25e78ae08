"""Samebook's programs that sign: forked from a process that has the key, into which no other program may look.

A new program can be looked into until its first lines have run: a process of the same user can open whatever it reads
the key from. A forked one has the key in memory, and from its parent the protection of that memory (see signing_key).
A server forks them: it was forked itself before this process had a second thread. All end with this process.
"""

import ctypes
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from samebook.core import signing_key

# The variable with the id of the process that a program must end with.
PARENT = "SAMEBOOK_PARENT"
# The command of a program of samebook, without its arguments: nothing in the folder that it runs in is imported.
SAMEBOOK = (sys.executable, "-P", "-m", "samebook")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html
PR_SET_PDEATHSIG = 1
# Files that a program gets, at most: its connection, stdout, stderr, and locks.
MOST_FILES = 16

_server: socket.socket | None = None


class SigningProgram:
    """A forked program, with that part of the interface of subprocess.Popen which its callers use.

    `pid` is that of its process group.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, env: Mapping[str, str], locks: Sequence[int]) -> None:
        self.returncode: int | None = None
        self._ended = threading.Event()
        self._outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
        self._connection, other = socket.socketpair()
        assert _server
        with other:
            socket.send_fds(_server, [b"1"], [other.fileno(), *self._outputs, *locks])
        self._connection.sendall(json.dumps([list(arguments), str(folder), dict(env)]).encode())
        self._connection.shutdown(socket.SHUT_WR)
        self._answers = self._connection.makefile("r")
        self.pid = int(self._answers.readline())

    def communicate(self) -> tuple[str, str]:
        """The program's output and errors, once it has ended."""
        answer = self._answers.readline()
        self.returncode = int(answer) if answer else -signal.SIGKILL
        self._ended.set()
        self._answers.close()
        self._connection.close()
        stdout, stderr = map(_content, self._outputs)
        return stdout, stderr

    def wait(self, timeout: float) -> None:
        """Wait until `communicate`, of another thread, has the result. Raises subprocess.TimeoutExpired."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(SAMEBOOK, timeout)


def _content(number: int) -> str:
    with open(number, "rb") as file:
        file.seek(0)
        return file.read().decode(errors="replace")


def serve() -> None:
    """Fork the server, where this process has a key. It must have one thread only."""
    global _server
    if signing_key.is_taken() and sys.platform == "linux":
        _server, requests = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if not os.fork():
            _serve(requests, os.getppid())
        requests.close()


def start(
    command: Sequence[str], folder: Path, env: Mapping[str, str], locks: Sequence[int] = ()
) -> "subprocess.Popen[str] | SigningProgram":
    """Start a program in a process group of its own; one of samebook's, and make, get the key of this process.

    It inherits the descriptors in `locks`.
    """
    is_ours = tuple(command[: len(SAMEBOOK)]) == SAMEBOOK
    if _server and is_ours:
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
            start_new_session=True,
            pass_fds=(*locks, *files),
        )


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
        connection.sendall(f"{os.getpid()}\n".encode())
        process = get_context("fork").Process(target=_run, args=(arguments, folder, env, files), name="MainProcess")
        process.start()
        for signum in signal.sigpending():  # sent to the group before the program was in it
            os.kill(process.pid or 0, signum)
        for number in files[1:]:
            os.close(number)
        process.join()
        connection.sendall(f"{process.exitcode}\n".encode())
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
