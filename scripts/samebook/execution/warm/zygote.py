"""The process that kernels come from: it imports what they will import, and forks one for each that asks.

`python -m samebook.execution.warm.zygote`, started by `client`. A client sends a line of JSON over a socket, with the
kernel's arguments, its environment and its folder, and with it its own stdout and stderr; the answer is the kernel's
pid, and, when it has ended, its exit code. A kernel ends with the connection that asked for it, and all of them end
with this process.
Runners, which have stdin too, are forked in the same way: from a process of their own, as they import other things.

Before a fork there may be no second thread, no event loop and no zmq context, and nothing may have been computed:
OpenMP's threads don't survive a fork, and a library that waits for them waits for ever.
"""

import contextlib
import gc
import importlib.util
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from typing import Any, NoReturn

from samebook.execution.warm import preload

LINE = 1 << 22
# What comes along: stdout and stderr, and a runner's stdin.
FILES = (1, 2, 0)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
KERNEL = "ipykernel_launcher"
# What a kernel imports until its first cell.
KERNELS = ["ipykernel.kernelapp", "ipykernel.debugger", "IPython.core.completerlib", "IPython.extensions.storemagic"]
# To import this does once what every run does; a zygote of it alone forks runners.
RUNNER = "samebook.cli.ready"


@dataclass
class Kernel:
    """A kernel that was forked, and the connection that asked for it."""

    connection: socket.socket
    pid: int


@dataclass
class Zygote:
    """The process's state: who listens, what lives, and when it is over."""

    listener: socket.socket
    idle: float
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    kernels: dict[int, Kernel] = field(default_factory=dict)
    pipe: tuple[int, int] = field(default_factory=lambda: os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
    is_ending: bool = False
    since: float = field(default_factory=time.monotonic)


def become(asked: dict[str, Any], effects: preload.Effects) -> NoReturn:
    """Turn this process into the kernel that was asked for, as `python -m ipykernel_launcher` would have made it."""
    _settle(asked, effects)
    parent = os.environ["JPY_PARENT_PID"] = str(os.getppid())
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # else all kernels of one zygote would draw the same
    found = importlib.util.find_spec(KERNEL)
    sys.argv = [str(found.origin) if found else KERNEL, *asked["arguments"]]
    from ipykernel.kernelapp import IPKernelApp

    # ipykernel has read the variable when it was imported: too early.
    kernel = IPKernelApp.instance()
    del preload.shown()[: len(effects.filters)]
    kernel.initialize([*asked["arguments"], f"--IPKernelApp.parent_handle={parent}"])
    preload.shown()[:0] = effects.filters  # before those of the kernel, as when a cell imports
    kernel.start()
    sys.exit(0)


def run(asked: dict[str, Any], effects: preload.Effects) -> NoReturn:
    """Turn this process into the `samebook` that was asked for."""
    _settle(asked, effects)
    ready: Any = sys.modules[RUNNER]
    ready.main(asked["arguments"], asked["parent"])
    sys.exit(0)


def _settle(asked: dict[str, Any], effects: preload.Effects) -> None:
    """Take on the environment and the folder that were asked for."""
    kept = {name: text for name, text in asked["env"].items() if name not in effects.removed}
    os.environ.clear()
    os.environ.update(kept | effects.set)
    time.tzset()
    os.chdir(asked["cwd"])
    tempfile.tempdir = None


def serve(zygote: Zygote) -> dict[str, Any] | None:
    """Fork a kernel for each that asks, until whoever started this process ends, or nothing happens for too long.

    Returns twice, as fork does: None here, in the end, and in each child what it is asked to become.
    """
    signal.set_wakeup_fd(zygote.pipe[1], warn_on_full_buffer=False)
    for signum in SIGNALS:
        signal.signal(signum, lambda *_: None)
    for what, name in ((zygote.listener, "asked"), (zygote.pipe[0], "signal"), (0, "owner")):
        zygote.selector.register(what, selectors.EVENT_READ, name)
    while zygote.kernels or not zygote.is_ending:
        events = zygote.selector.select(1.0)
        for key, _ in events:
            if asked := _handled(zygote, key):
                return asked
        if zygote.kernels or events:
            zygote.since = time.monotonic()
        elif zygote.idle and time.monotonic() - zygote.since > zygote.idle:
            break
    return None


def _handled(zygote: Zygote, key: selectors.SelectorKey) -> dict[str, Any] | None:
    match key.data:
        case "asked":
            return _forked(zygote)
        case "signal":
            signals = os.read(key.fd, 512)
            _reap(zygote)
            if {signal.SIGTERM, signal.SIGINT} & set(signals):
                _end(zygote)
        case "owner":
            if not os.read(0, 512):
                raise SystemExit(0)
        case Kernel() as kernel:
            # Nothing else is ever said by whoever asked: it has gone.
            _kill(kernel)
            zygote.selector.unregister(kernel.connection)
    return None


def _end(zygote: Zygote) -> None:
    """Take no more: what runs may end, unless it is said twice."""
    if zygote.is_ending:
        raise SystemExit(0)
    zygote.is_ending = True
    zygote.selector.unregister(zygote.listener)
    zygote.listener.close()


def _forked(zygote: Zygote) -> dict[str, Any] | None:
    """Fork a kernel for whoever has connected: what it shall become, in the child alone."""
    connection, _ = zygote.listener.accept()
    connection.settimeout(5)
    try:
        asked, files = received(connection)
    except (OSError, ValueError):
        connection.close()
        return None
    asked["parent"] = os.getpid()
    # Until the child is on its own, what is meant for it would be heard here too, and what is heard there is done here.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # OpenBLAS has threads of its own, and knows about forks
        pid = os.fork()
    if not pid:
        _leave(zygote, connection, files)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return asked
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    for file in files:
        os.close(file)
    kernel = Kernel(connection, pid)
    zygote.kernels[pid] = kernel
    connection.settimeout(None)
    zygote.selector.register(connection, selectors.EVENT_READ, kernel)
    _tell(connection, {"pid": pid})
    return None


def received(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What somebody asks for, and the files that came with it. Raises ValueError where it is cut off."""
    content, files, _, _ = socket.recv_fds(connection, LINE, len(FILES))
    try:
        while not content.endswith(b"\n"):
            more = connection.recv(LINE)
            if not more or len(content) > LINE:
                raise ValueError("cut off")
            content += more
        return json.loads(content), files
    except BaseException:
        for file in files:  # whoever waits for their end would wait for this process's
            os.close(file)
        raise


def _leave(zygote: Zygote, connection: socket.socket, files: list[int]) -> None:
    """In the child: a session of its own, and nothing of the parent's."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for signum in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for each in (
        zygote.selector,
        zygote.listener,
        connection,
        *(kernel.connection for kernel in zygote.kernels.values()),
    ):
        each.close()
    for number in zygote.pipe:
        os.close(number)
    zygote.kernels.clear()
    _no_input()
    for number, file in zip(FILES, files, strict=False):
        os.dup2(file, number)
        os.close(file)


def _no_input() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _reap(zygote: Zygote) -> None:
    """Tell whoever asked how their kernel ended."""
    for pid, kernel in tuple(zygote.kernels.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _tell(kernel.connection, {"code": os.waitstatus_to_exitcode(status)})
            with contextlib.suppress(KeyError, ValueError):
                zygote.selector.unregister(kernel.connection)
            kernel.connection.close()
            del zygote.kernels[pid]


def _tell(connection: socket.socket, what: dict[str, int]) -> None:
    with contextlib.suppress(OSError):  # nobody is left to be told
        connection.sendall(json.dumps(what).encode() + b"\n")


def _kill(kernel: Kernel) -> None:
    try:
        os.killpg(kernel.pid, signal.SIGKILL)
    except PermissionError:
        pass
    except ProcessLookupError:  # it has no group of its own yet; its number is still its own
        with contextlib.suppress(ProcessLookupError):
            os.kill(kernel.pid, signal.SIGKILL)


def once(modules: list[str]) -> NoReturn:
    """Import what the kernel will import, and become the one that is asked for over stdin; end where nobody asks.

    Where an import has effects that a cell would show, this is no kernel for it.
    """
    connection = socket.socket(fileno=os.dup(0))
    _no_input()
    effects, why = preload.preloaded(KERNELS, modules)
    if why:
        sys.exit(0)
    try:
        asked, files = received(connection)
    except (OSError, ValueError):
        sys.exit(0)
    for each in files:
        os.close(each)
    _tell(connection, {"pid": os.getpid()})
    connection.close()
    become(asked, effects)


def main(arguments: list[str]) -> None:
    """`once` and the modules, or the listening socket's number, the idle time, and the modules."""
    if sys.path[0] == os.getcwd():  # noqa: PTH109 - as ipykernel's own launcher does
        del sys.path[0]
    if arguments[0] == "once":
        once(arguments[1:])
    number, idle, *modules = arguments
    listener = socket.socket(fileno=int(number))
    is_runner = modules == [RUNNER]
    effects, why = preload.preloaded(modules, []) if is_runner else preload.preloaded(KERNELS, modules)
    sys.stdout.write(json.dumps({"refused": why}) + "\n")
    sys.stdout.flush()
    if why:
        return
    gc.collect()
    gc.freeze()
    zygote, place, asked = Zygote(listener, float(idle)), listener.getsockname(), None
    try:
        asked = serve(zygote)
    finally:
        for kernel in zygote.kernels.values():
            _kill(kernel)
        if not asked:
            with contextlib.suppress(OSError):
                os.unlink(place)  # noqa: PTH108 - pathlib is not imported for a kernel's sake
    if asked:
        (run if is_runner else become)(asked, effects)


if __name__ == "__main__":
    main(sys.argv[1:])
