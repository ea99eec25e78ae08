"""The process that kernels are forked from: it imports the modules of a notebook once, then forks for each request.

`client` starts it as `python -m samebook.execution.warm.zygote`. A client connects to its socket and sends one line of
JSON, with the kernel's arguments, environment and folder, and its own stdout and stderr as open files. The zygote
answers twice: with the kernel's pid, and with its exit code once it has ended. A kernel ends when its client
disconnects; all kernels end with the zygote.

Runners are forked in the same way, and get stdin too. They have a zygote of their own, because they import other
modules.

Before a fork there may be no second thread, no event loop and no zmq context, and nothing may have been computed:
OpenMP's threads don't survive a fork, and a library that waits for them waits for ever.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

from samebook.execution.warm import child, messages, preload

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)


@dataclass
class Zygote:
    """The state of the process: its socket, and by the pid of each child the connection of its client.

    It ends after `idle` seconds without a child, with 0 never.
    """

    listener: socket.socket
    idle: float
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    children: dict[int, socket.socket] = field(default_factory=dict)
    pipe: tuple[int, int] = field(default_factory=lambda: os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
    is_ending: bool = False


def serve(zygote: Zygote) -> dict[str, Any] | None:
    """Fork a child for each request, until the process that started this one ends, or no child has run for `idle`
    seconds.

    It returns in several processes, as os.fork does: in each child the request, in this process None at the end, once
    the children that are left are killed and the socket is removed.
    """
    signal.set_wakeup_fd(zygote.pipe[1], warn_on_full_buffer=False)
    for signum in SIGNALS:
        signal.signal(signum, lambda *_: None)
    for file, role in ((zygote.listener, "client"), (zygote.pipe[0], "signal"), (0, "owner")):
        zygote.selector.register(file, selectors.EVENT_READ, role)
    path, last_use, request = zygote.listener.getsockname(), time.monotonic(), None
    try:
        while zygote.children or not zygote.is_ending:
            events = zygote.selector.select(1.0)
            for key, _ in events:
                if request := _handle(zygote, key):
                    return request
            if zygote.children or events:
                last_use = time.monotonic()
            elif zygote.idle and time.monotonic() - last_use > zygote.idle:
                break
    finally:
        for pid in zygote.children:
            _kill(pid)
        if not request:
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - pathlib is not imported for a kernel's sake
    return None


def _handle(zygote: Zygote, key: selectors.SelectorKey) -> dict[str, Any] | None:
    """The request, in a child that an event has forked; None otherwise."""
    match key.data:
        case "client":
            return _fork(zygote)
        case "signal":
            signals = os.read(key.fd, 512)
            _reap(zygote)
            if {signal.SIGTERM, signal.SIGINT} & set(signals):
                _end(zygote)
        case "owner":
            if not os.read(0, 512):
                raise SystemExit(0)
        case pid if pid in zygote.children:  # else it has been reaped by an event before this one
            # A client sends nothing after its request: the connection is readable because the client has ended.
            _kill(pid)
            zygote.selector.unregister(key.fileobj)
    return None


def _end(zygote: Zygote) -> None:
    """Take no more requests. Children may end by themselves, unless this is the second signal."""
    if zygote.is_ending:
        raise SystemExit(0)
    zygote.is_ending = True
    zygote.selector.unregister(zygote.listener)
    zygote.listener.close()


def _fork(zygote: Zygote) -> dict[str, Any] | None:
    """Fork a child for the client that has connected; returns its request, in the child alone."""
    connection, _ = zygote.listener.accept()
    connection.settimeout(5)
    try:
        preload.check_reads()  # else the client starts a kernel of its own
        request, files = messages.receive(connection)
    except (OSError, ValueError):
        connection.close()
        return None
    request["parent"] = os.getpid()
    # Until the child has its own handlers, its signals would be written into this process's pipe.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # OpenBLAS has threads of its own, and knows about forks
        try:
            pid = os.fork()
        except OSError:  # no memory, or too many processes: this client starts a kernel of its own, the others go on
            pid = -1
    if not pid:
        _leave(zygote, connection, files)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return request
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    for file in files:
        os.close(file)
    if pid < 0:
        connection.close()
        return None
    zygote.children[pid] = connection
    connection.settimeout(None)
    zygote.selector.register(connection, selectors.EVENT_READ, pid)
    messages.answer(connection, pid)
    return None


def _leave(zygote: Zygote, connection: socket.socket, files: list[int]) -> None:
    """In the child: start a session of its own, and close all that is the parent's."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for signum in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for resource in (zygote.selector, zygote.listener, connection, *zygote.children.values()):
        resource.close()
    for number in zygote.pipe:
        os.close(number)
    zygote.children.clear()
    _close_stdin()
    _take_files(files)


def _take_files(files: list[int]) -> None:
    """Make a client's files this process's stdout, stderr, and, where there is a third, stdin."""
    for number, file in zip(messages.FILES, files, strict=False):
        os.dup2(file, number)
        os.close(file)


def _close_stdin() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _reap(zygote: Zygote) -> None:
    """Send the exit codes of the children that have ended to their clients."""
    for pid, connection in tuple(zygote.children.items()):
        number, status = os.waitpid(pid, os.WNOHANG)
        if number:
            messages.answer(connection, os.waitstatus_to_exitcode(status))
            with contextlib.suppress(KeyError, ValueError):
                zygote.selector.unregister(connection)
            connection.close()
            del zygote.children[pid]


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except PermissionError:
        pass
    except ProcessLookupError:  # it has no group of its own yet; its pid is still its own
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def once(parent: int, modules: list[str]) -> None:
    """Import the modules of a notebook, then become the kernel that the parent requests over stdin.

    Without a request this process ends, and where an import has effects that a cell would show: a kernel would differ.
    """
    connection = socket.socket(fileno=os.dup(0))
    _close_stdin()
    effects, refusal = preload.preload(child.KERNEL_MODULES, modules)
    if refusal:
        return
    try:
        request, files = messages.receive(connection)
    except (OSError, ValueError):
        return
    _take_files(files)
    request["parent"] = parent
    messages.answer(connection, os.getpid())
    connection.close()
    child.run_kernel(request, effects)


def main(arguments: list[str]) -> None:
    """Run the program: `once`, the parent's pid and modules, or the socket's number, the idle seconds and modules."""
    if sys.path[0] == os.getcwd():  # noqa: PTH109 - as ipykernel's own launcher does
        del sys.path[0]
    if arguments[0] == "once":
        once(int(arguments[1]), arguments[2:])
        return
    number, idle, *modules = arguments
    listener = socket.socket(fileno=int(number))
    is_runner = modules == [messages.RUNNER]
    effects, refusal = preload.preload(modules, []) if is_runner else preload.preload(child.KERNEL_MODULES, modules)
    sys.stdout.write(json.dumps({"refused": refusal}) + "\n")
    sys.stdout.flush()
    if refusal:
        return
    gc.collect()
    gc.freeze()
    if request := serve(Zygote(listener, float(idle))):
        (child.run_command if is_runner else child.run_kernel)(request, effects)


if __name__ == "__main__":
    main(sys.argv[1:])
