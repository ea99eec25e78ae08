"""Keep a notebook's imports in memory: runs of it that start meanwhile have their kernels forked from this process."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samebook.core import file_lock, make, signals
from samebook.core import workspace as workspaces
from samebook.core.errors import UsageError
from samebook.core.text import Say
from samebook.core.workspace import make_folder, write_whole
from samebook.environment import identity
from samebook.execution import pool, preparation
from samebook.execution.preparation import RunRequest
from samebook.execution.warm import face
from samebook.execution.warm.face import ZygoteProcess

if TYPE_CHECKING:
    import subprocess

POLL = 0.2


@dataclass(frozen=True)
class WarmRequest:
    """One call of `samebook warm`: a notebook and an environment; `idle` in seconds without a run."""

    notebook: str
    env: str = "dev"
    idle: float = 900


def warm(request: WarmRequest, say: Say) -> None:
    """Import a notebook's packages, and fork a kernel for each run of it, until Ctrl-C or `idle` seconds without a run.

    The runner's own imports are kept warm too, and each run is forked from them. Where a file that the imports have
    read is another one by now, they are done again. Raises UsageError where such kernels would not be the same as cold
    ones, or where the notebook is warm already.
    """
    while path := _keep_warm(request, say):
        say(f"{path} has changed since it was imported: runs start cold until {request.notebook} is warm again")


def _keep_warm(request: WarmRequest, say: Say) -> str:
    """Import and fork; returns the file that has changed since it was imported, "" where nothing has run for long."""
    prepared = preparation.prepare(workspaces.find(), RunRequest(request.notebook, {}, request.env))
    cold = f"make run NOTEBOOK={request.notebook}"
    if not face.can_fork():
        raise UsageError("kernels can't be forked on this platform: runs start cold", mend=cold)
    kind = pool.kind(prepared, identity.of(prepared.workspace)["digest"])
    folder, locks = make_folder(prepared.workspace.runs / ".warm"), prepared.workspace.runs / ".warm.locks"
    with signals.as_errors(), face.socket_folder() as sockets, ExitStack() as stack:
        if not _claim(locks / kind.name, stack):
            raise UsageError(f"{request.notebook} is warm already", mend=cold)
        _clear_up(folder, locks)
        zygotes = [stack.enter_context(face.zygote(kind, prepared.path.parent, Path(sockets), idle=request.idle))]
        runners = face.runner_kind(prepared.workspace)  # one zygote serves the runners of all notebooks
        if _claim(locks / runners.name, stack):
            zygotes.append(stack.enter_context(face.zygote(runners, prepared.workspace.root, Path(sockets))))
        if reason := zygotes[0].refusal:
            raise UsageError(f"{request.notebook} can't be kept warm: {reason}", mend=cold)
        if zygotes[-1].refusal:
            say(f"only kernels are warm, runners start cold: {zygotes.pop().refusal}")
        with _announced(folder, zygotes):
            command = "make run NOTEBOOK=" if make.COMMAND_LINE in os.environ else "samebook run "
            say(f"{request.notebook} is warm: {command}{request.notebook}, anywhere in this checkout")
            return _wait(zygotes, say)


def _claim(lock: Path, stack: ExitStack) -> bool:
    """Hold the lock of a kind of zygotes until the stack is closed; False where another process has it."""
    if (descriptor := file_lock.acquire(lock, wait=False)) is not None:
        stack.callback(os.close, descriptor)
    return descriptor is not None


def _clear_up(folder: Path, locks: Path) -> None:
    """Remove the entries of processes that were killed."""
    for entry in folder.glob("[!.]*"):
        if not file_lock.is_held(locks / entry.name):
            entry.unlink(missing_ok=True)


@contextmanager
def _announced(folder: Path, zygotes: Sequence[ZygoteProcess]) -> Iterator[None]:
    """Inside the block, files in the folder name the sockets, whose paths would be too long in there themselves."""
    entries = [folder / zygote.socket.name for zygote in zygotes]
    try:
        for entry, zygote in reversed(list(zip(entries, zygotes, strict=True))):
            write_whole(entry, str(zygote.socket).encode())
        yield
    finally:
        for entry in entries:
            entry.unlink(missing_ok=True)


def _wait(zygotes: Sequence[ZygoteProcess], say: Say) -> str:
    """Return after a long time without a run, or the file by which the imports would be others, once all runs have
    ended; on a signal raise KeyboardInterrupt then, or at once on a second signal.
    """
    processes = [zygote.process for zygote in zygotes]
    try:
        while processes[0].poll() is None:  # the zygote of kernels, which ends when it is idle
            if path := zygotes[0].changed:
                break
            time.sleep(POLL)
        else:
            path = ""
            say("nothing has run for a while: over")
        _stop(processes)
        return path
    except KeyboardInterrupt:
        say("ends as soon as nothing runs; Ctrl-C again ends that too")
        with suppress(KeyboardInterrupt):
            _stop(processes)
        raise


def _stop(processes: Sequence["subprocess.Popen[str]"]) -> None:
    """Let the zygotes take no more runs, and wait until their runs have ended."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()
