"""Keep a notebook's imports warm: runs of it that are started meanwhile have their kernels from here."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samebook import environment, preparation, runners, signals, warming, workspace, zygotes
from samebook.errors import UsageError
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
    if zygotes.is_there(folder / kind.name):
        raise UsageError(f"{request.notebook} is warm already")
    with (
        zygotes.sockets() as sockets,
        signals.raising(),
        zygotes.zygote(kind, prepared.path.parent, Path(sockets), idle=request.idle, limit=request.limit) as started,
        _runners(prepared.workspace, Path(sockets), folder) as others,
    ):
        if started.refused:
            raise UsageError(f"{request.notebook} can't be kept warm: {started.refused}", mend="its runs start cold")
        both = [started, *([others] if others and not others.refused else [])]
        if others and others.refused:
            say(f"only kernels are warm, runners start cold: {others.refused}")
        with _named(folder, both):
            say(f"{request.notebook} is warm: make run NOTEBOOK={request.notebook}, anywhere in this checkout")
            _until_over(both, say)


@contextmanager
def _runners(workspace: Workspace, sockets: Path, folder: Path) -> Iterator[Started | None]:
    """A zygote of runners, which serve any notebook; None where there is one already."""
    kind = runners.kind(workspace)
    if zygotes.is_there(folder / kind.name):
        yield None
        return
    with zygotes.zygote(kind, workspace.root, sockets) as started:
        yield started


@contextmanager
def _named(folder: Path, started: Sequence[Started]) -> Iterator[None]:
    """Inside the block, files tell where the sockets are: their own paths would be too long there."""
    entries = [folder / each.socket.name for each in started]
    try:
        for entry, each in reversed(list(zip(entries, started, strict=True))):
            write_whole(entry, str(each.socket).encode())
        yield
    finally:
        for entry, each in zip(entries, started, strict=True):
            with suppress(OSError):  # another's, where two were started at once
                if entry.read_text() == str(each.socket):
                    entry.unlink()


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
