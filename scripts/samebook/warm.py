"""Keep a notebook's imports warm: runs of it that are started meanwhile have their kernels from here."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from samebook import environment, preparation, signals, warming, workspace, zygotes
from samebook.errors import UsageError
from samebook.preparation import RunRequest
from samebook.workspace import make_folder, write_whole
from samebook.zygotes import Started

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

    Raises UsageError where its kernels would not be the same as cold ones, or another such command runs already.
    """
    prepared = preparation.prepare(workspace.find(), RunRequest(request.notebook, {}, request.env))
    if not zygotes.can_fork():
        raise UsageError("kernels can't be forked on this platform: runs start cold")
    kind = warming.kind(prepared, environment.identity(prepared.workspace)["digest"])
    entry = make_folder(prepared.workspace.runs / ".warm") / kind.name
    if zygotes.folder(prepared.workspace) and entry.is_file():
        raise UsageError(f"{request.notebook} is warm already")
    with (
        zygotes.sockets() as folder,
        signals.raising(),
        zygotes.zygote(kind, prepared.path.parent, Path(folder), idle=request.idle, limit=request.limit) as started,
    ):
        if started.refused:
            raise UsageError(f"{request.notebook} can't be kept warm: {started.refused}", mend="its runs start cold")
        write_whole(entry, str(started.socket).encode())
        say(f"{request.notebook} is warm: make run NOTEBOOK={request.notebook}, anywhere in this checkout")
        try:
            _until_over(started, say)
        finally:
            entry.unlink(missing_ok=True)


def _until_over(started: Started, say: Callable[[str], None]) -> None:
    """Return when nothing has run for long; on a signal once what runs has ended, or at once on a second one."""
    try:
        while started.process.poll() is None:
            time.sleep(POLL)
        say("nothing has run for a while: over")
    except KeyboardInterrupt:
        started.process.terminate()
        say("ends as soon as nothing runs; Ctrl-C again ends that too")
        with suppress(KeyboardInterrupt):
            started.process.wait()
        raise
