"""Keep a notebook's imports warm: runs of it that are started meanwhile have their kernels from here."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from samebook.core import make, signals, workspace
from samebook.core.errors import UsageError
from samebook.core.workspace import make_folder, write_whole
from samebook.environment import identity
from samebook.execution import pool, preparation
from samebook.execution.preparation import RunRequest
from samebook.execution.warm import client, runner
from samebook.execution.warm.client import ZygoteProcess

if TYPE_CHECKING:
    import subprocess

POLL = 0.2


@dataclass(frozen=True)
class WarmRequest:
    """Which notebook, in which environment; it ends after `idle` seconds without a run, and takes `limit` bytes."""

    notebook: str
    env: str = "dev"
    idle: float = 900
    limit: int = 0


def warm(request: WarmRequest, say: Callable[[str], None]) -> None:
    """Import what the notebook imports, and fork a kernel for each run of it, until Ctrl-C or nothing runs for long.

    What every run imports is kept warm too: the runner itself is forked.

    Raises UsageError where its kernels would not be the same as cold ones, or another such command runs already.
    """
    prepared = preparation.prepare(workspace.find(), RunRequest(request.notebook, {}, request.env))
    if not client.can_fork():
        raise UsageError("kernels can't be forked on this platform: runs start cold")
    kind = pool.kind(prepared, identity.of(prepared.workspace)["digest"])
    folder = make_folder(prepared.workspace.runs / ".warm")
    with signals.as_errors(), _Claims(folder) as claims, client.socket_folder() as sockets, ExitStack() as stack:
        if not claims.claim(kind.name):
            raise UsageError(f"{request.notebook} is warm already")
        claims.clear_up()
        started = [stack.enter_context(client.zygote(kind, prepared.path.parent, Path(sockets), idle=request.idle))]
        others = runner.kind(prepared.workspace)  # they serve any notebook: once is enough
        if claims.claim(others.name):
            started.append(stack.enter_context(client.zygote(others, prepared.workspace.root, Path(sockets))))
        if why := started[0].refusal or _excess(started[0].process.pid, request.limit):
            raise UsageError(f"{request.notebook} can't be kept warm: {why}", mend="its runs start cold")
        if started[-1].refusal:
            say(f"only kernels are warm, runners start cold: {started.pop().refusal}")
        with _named(folder, started):
            how = "make run NOTEBOOK=" if make.COMMAND_LINE in os.environ else "samebook run "
            say(f"{request.notebook} is warm: {how}{request.notebook}, anywhere in this checkout")
            _until_over(started, say)


def _excess(pid: int, limit: int) -> str:
    """The memory of a process, where it is above the limit, in words; 0 is no limit."""
    taken = 0
    with suppress(psutil.Error):
        taken = psutil.Process(pid).memory_info().rss
    return f"it takes {taken >> 20} MiB, more than {limit >> 20}" if 0 < limit < taken else ""


class _Claims:
    """Says for which kinds this process, and no other, keeps zygotes: by a lock for each, which ends with it."""

    def __init__(self, folder: Path) -> None:
        # Beside the folder: who closes a file that it has locked has lost all its locks on it.
        self._folder, self._handle = folder, os.open(folder.with_name(".warm.lock"), os.O_CREAT | os.O_RDWR, 0o644)
        self._names: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def claim(self, name: str) -> bool:
        """Take a kind; False where another process has it."""
        with suppress(BlockingIOError, PermissionError):
            self._lock(name, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._names.add(name)
            return True
        return False

    def clear_up(self) -> None:
        """Remove what others have left that were killed."""
        for entry in self._folder.glob("[!.]*"):
            if entry.name not in self._names and self.claim(entry.name):
                entry.unlink(missing_ok=True)
                self._lock(entry.name, fcntl.LOCK_UN)
                self._names.remove(entry.name)

    def _lock(self, name: str, how: int) -> None:
        fcntl.lockf(self._handle, how, 1, int(name[:8], 16))


@contextmanager
def _named(folder: Path, started: Sequence[ZygoteProcess]) -> Iterator[None]:
    """Inside the block, files tell where the sockets are: their own paths would be too long there."""
    entries = [folder / each.socket.name for each in started]
    try:
        for entry, each in reversed(list(zip(entries, started, strict=True))):
            write_whole(entry, str(each.socket).encode())
        yield
    finally:
        for entry in entries:
            entry.unlink(missing_ok=True)


def _until_over(started: Sequence[ZygoteProcess], say: Callable[[str], None]) -> None:
    """Return when nothing has run for long; on a signal once what runs has ended, or at once on a second one."""
    processes = [each.process for each in started]
    try:
        while processes[0].poll() is None:  # of kernels: it is they that are idle
            time.sleep(POLL)
        say("nothing has run for a while: over")
        _ended(processes)
    except KeyboardInterrupt:
        say("ends as soon as nothing runs; Ctrl-C again ends that too")
        with suppress(KeyboardInterrupt):
            _ended(processes)
        raise


def _ended(processes: Sequence["subprocess.Popen[str]"]) -> None:
    """Let them take no more, and wait until what runs there has ended."""
    for each in processes:
        each.terminate()
    for each in processes:
        each.wait()
