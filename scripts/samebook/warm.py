"""Keep a notebook's imports warm: runs of it that are started meanwhile have their kernels from here."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samebook import environment, preparation, runners, signals, warming, workspace, zygotes
from samebook.errors import UsageError
from samebook.kernels import Kind
from samebook.preparation import RunRequest
from samebook.workspace import Workspace, make_folder, write_whole
from samebook.zygotes import Started

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
    if not zygotes.can_fork():
        raise UsageError("kernels can't be forked on this platform: runs start cold")
    kind = warming.kind(prepared, environment.identity(prepared.workspace)["digest"])
    folder = make_folder(prepared.workspace.runs / ".warm")
    with signals.raising(), _claims(prepared.workspace) as claim, zygotes.sockets() as sockets, ExitStack() as stack:
        if not claim(kind):
            raise UsageError(f"{request.notebook} is warm already")
        for entry in folder.iterdir():
            if not zygotes.answers(entry):
                entry.unlink()
        bounds = {"idle": request.idle, "limit": request.limit}
        started = [stack.enter_context(zygotes.zygote(kind, prepared.path.parent, Path(sockets), **bounds))]
        if claim(others := runners.kind(prepared.workspace)):  # runners serve any notebook: once is enough
            started.append(stack.enter_context(zygotes.zygote(others, prepared.workspace.root, Path(sockets))))
        if started[0].refused:
            raise UsageError(f"{request.notebook} can't be kept warm: {started[0].refused}", mend="its runs start cold")
        if started[-1].refused:
            say(f"only kernels are warm, runners start cold: {started.pop().refused}")
        with _named(folder, started):
            say(f"{request.notebook} is warm: make run NOTEBOOK={request.notebook}, anywhere in this checkout")
            _until_over(started, say)


@contextmanager
def _claims(workspace: Workspace) -> Iterator[Callable[[Kind], bool]]:
    """Claims a kind for this process, until the block ends; False where another has it."""
    handle = os.open(workspace.runs / ".warm.lock", os.O_CREAT | os.O_RDWR, 0o644)

    def claim(kind: Kind) -> bool:
        with suppress(BlockingIOError, PermissionError):
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(kind.name[:8], 16))
            return True
        return False

    try:
        yield claim
    finally:
        os.close(handle)


@contextmanager
def _named(folder: Path, started: Sequence[Started]) -> Iterator[None]:
    """Inside the block, files tell where the sockets are: their own paths would be too long there."""
    entries = [folder / each.socket.name for each in started]
    try:
        for entry, each in reversed(list(zip(entries, started, strict=True))):
            write_whole(entry, str(each.socket).encode())
        yield
    finally:
        for entry in entries:
            entry.unlink(missing_ok=True)


def _until_over(started: Sequence[Started], say: Callable[[str], None]) -> None:
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
