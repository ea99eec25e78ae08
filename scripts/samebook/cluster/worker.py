"""The side of a worker: it refuses senders of another environment, and runs a program once, whoever else was sent it.

A worker sees the runs of its sender, or has a checkout or an image of its own: of the same commit, code and lock, with
nothing uncommitted. Then results go through the shared store.

A program holds a lock of its own among the runs, which ends with it and with nothing else. A worker that takes over
from one that died, or that has only lost its connection, waits for that program; what it finished is found, and not
run again.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from distributed import Reschedule, get_worker
from distributed.core import Status
from distributed.worker import thread_state

from samebook.cluster.indexed import INDEX
from samebook.cluster.program import AT_WORKER, Program, worker_variables
from samebook.cluster.rank import CALL
from samebook.cluster.results import Origin, files
from samebook.core import file_lock
from samebook.core import workspace as workspaces
from samebook.core.errors import EnvironmentMismatch, UsageError
from samebook.core.make import clean_environment
from samebook.core.processes import Processes, ProcessResult
from samebook.core.workspace import Workspace, write_whole
from samebook.environment import identity
from samebook.execution import preparation
from samebook.execution.pool import MIN_RUNS, Pool
from samebook.execution.preparation import RunRequest

# Below runs/: the locks of programs, and the identities of those who send them.
FOLDER = ".cluster"
# Seconds between two looks, at a lock and at whether a program is still wanted.
POLL = 0.2
SHOWN = 5
# The program of a rank.
RANK = "samebook.cluster.rank"
# The program of a call whose result goes to the shared store.
STORED = "samebook.cluster.index_program"
DECISIVE = ("python", "machine", "variables", "packages", "startup")


def lock_path(workspace: Workspace, program: Program) -> Path:
    """The file that a program holds while it runs, and that has content once a worker has started it."""
    return workspace.runs / FOLDER / program.key


@dataclass(frozen=True)
class Session:
    """A sender of programs: the name of its file among its runs, and the identity of its environment.

    `origin` is that of its files, where results may go through the shared store; None where they may not.
    """

    name: str
    environment: Mapping[str, Any]
    origin: Origin | None = None


def check(session: Session) -> bool:
    """Whether this process sees the runs of a sender. Raises EnvironmentMismatch where it has another environment, and
    where it does not see them other files; UsageError where it has to see them.
    """
    workspace = workspaces.find()
    _check_environment(identity.of(workspace), session.environment)
    path = workspace.runs / FOLDER / session.name
    if path.is_file():
        return True
    if session.origin is None:
        raise UsageError(
            f"a process of the cluster does not see the runs of this checkout, and there is no shared store for its"
            f" results: it has no {path}",
            mend="make cluster-down && make cluster, in this checkout",
        )
    if session.origin.uncommitted:
        raise UsageError(
            "workers have a checkout of their own, with only what is committed, and this one has changes:"
            f" {_names(session.origin.uncommitted)}",
            mend="git commit --all",
        )
    own = Origin.of(workspace)
    changes = f"has uncommitted changes: {_names(own.uncommitted)}" if own.uncommitted else ""
    if difference := own.difference(session.origin) or changes:
        raise EnvironmentMismatch(
            f"the checkout of a worker, {workspace.root}, {difference}",
            mend=f"git -C {workspace.root} checkout {session.origin.commit[:12] or 'HEAD'}",
        )
    return False


def check_files(sent: Mapping[str, str]) -> None:
    """Raise EnvironmentMismatch where a process that sees the runs of a sender has other code, notebooks or settings:
    it may be in another checkout.
    """
    workspace = workspaces.find()
    own = files(workspace)
    if names := sorted(name for name in {*own, *sent} if own.get(name) != sent.get(name)):
        raise EnvironmentMismatch(
            f"a process of the cluster sees the runs of this checkout, and has other files in {workspace.root}:"
            f" {_names(names)}",
            mend=f"git -C {workspace.root} status",
        )


def _names(changes: Sequence[str]) -> str:
    """The names of changes, of many only the first ones."""
    more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return f"{', '.join(changes[:SHOWN])}{more}"


def _check_environment(own: Mapping[str, Any], sender: Mapping[str, Any]) -> None:
    if own["digest"] != sender["digest"]:
        lines = differences(sender, own)
        more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        raise EnvironmentMismatch(
            f"the cluster has another environment than this one: {'; '.join(lines[:SHOWN])}{more}",
            mend="make cluster-down && make cluster",
        )


def differences(sender: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """What differs between two identities: `numpy 2.5.5 here, 2.5.4 in the cluster`."""
    flat = [_flat({name: facts.get(name) for name in DECISIVE}) for facts in (sender, own)]
    names = sorted(name for name in {*flat[0], *flat[1]} if flat[0].get(name) != flat[1].get(name))
    return [f"{name} {_short(flat[0].get(name))} here, {_short(flat[1].get(name))} in the cluster" for name in names]


def _flat(facts: Mapping[str, Any]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in facts.items():
        values |= value if isinstance(value, dict) else {name: str(value)}
    return values


def _short(version: str | None) -> str:
    """A version, and the first digits of its digest."""
    return "none" if version is None else " ".join(part[:15] for part in version.split())


def execute(program: Program, session: Session) -> ProcessResult:
    """Run a program to its end, unless it is done; the task of a worker."""
    if not check(session) and not program.calls:
        raise UsageError("a worker that does not see the runs has come meanwhile", mend="again: it goes on from there")
    workspace, programs = workspaces.find(), Processes()
    with _stopped_if_unwanted(programs):
        lock = _acquire(lock_path(workspace, program), programs)
        try:
            is_begun = bool(os.fstat(lock).st_size)
            os.pwrite(lock, b"begun\n", 0)
            command = (*_command(workspace, program), *(program.again if is_begun else ()))
            own = {**_warm(workspace, program), AT_WORKER: "1", INDEX: "0"}
            env = {**worker_variables(program, clean_environment()), **own}
            ended = programs.call((sys.executable, "-P", "-m", *command), workspace.root, env, (lock,))
            if program.calls and not programs.is_stopped:
                lock_path(workspace, program).unlink(missing_ok=True)  # its sender sees no file of this one
        finally:
            # Before the lock: another worker of this checkout may write the same file once it holds that.
            calls_path(workspace, program).unlink(missing_ok=True)
            os.close(lock)
    if programs.is_stopped:
        raise Reschedule  # where this worker only closes, another takes over
    return ended


def _command(workspace: Workspace, program: Program) -> tuple[str, ...]:
    """The module of a program, and its arguments."""
    if not program.calls:
        return ("samebook", *program.arguments)
    path = calls_path(workspace, program)
    write_whole(path, program.calls.encode())
    return (STORED, str(path))


def calls_path(workspace: Workspace, program: Program) -> Path:
    """The file of the call whose result goes to the shared store."""
    return workspace.runs / FOLDER / f"{program.key}.json"


def free_port() -> int:
    """A port that is free on this machine now."""
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


def execute_rank(folder: str, rank: tuple[str, ...], variables: Mapping[str, str], session: Session) -> ProcessResult:
    """Run a rank to its end, with these variables of its sender's kernel; it ends early once it is not wanted."""
    check(session)
    workspace, programs = workspaces.find(), Processes()
    if not (Path(folder) / CALL).is_file():
        raise UsageError(
            f"a worker does not see {folder}: ranks need the checkout at the same path on each machine",
            mend="make cluster-down && make cluster, in this checkout",
        )
    with _stopped_if_unwanted(programs):
        command = (sys.executable, "-P", "-m", RANK, folder, *rank)
        return programs.call(command, workspace.root, {**clean_environment(), **variables, AT_WORKER: "1"})


def _acquire(path: Path, programs: Processes) -> int:
    """A descriptor that holds the file at `path`. Raises Reschedule once the program is not wanted here any more."""
    while not programs.is_stopped:
        if (lock := file_lock.acquire(path, wait=False)) is not None:
            with suppress(FileNotFoundError):
                # Its sender removes the file of a program that has ended: another may hold the next file by now.
                if path.stat().st_ino == os.fstat(lock).st_ino:
                    return lock
            os.close(lock)
        time.sleep(POLL)
    raise Reschedule


@contextmanager
def _stopped_if_unwanted(programs: Processes) -> Iterator[None]:
    """Inside the block, the programs are ended once their sender has gone or cancelled them, or this worker closes."""
    worker, key, ended = get_worker(), thread_state.key, threading.Event()

    def watch() -> None:
        while not ended.wait(POLL):
            task = worker.state.tasks.get(key)
            is_wanted = task is not None and task.state != "cancelled"
            if not is_wanted or worker.status not in (Status.running, Status.paused):
                programs.stop()
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _warm(workspace: Workspace, program: Program) -> dict[str, str]:
    """The variables by which a run finds this worker's warm kernels, if there are any for it."""
    if not program.notebook:
        return {}
    request = RunRequest(program.notebook, {}, program.env)
    return _pool().variables(program.notebook, lambda: [preparation.prepare(workspace, request)], 1)


@cache
def _pool() -> Pool:
    """The warm kernels of this worker, which end with its process."""
    return Pool(MIN_RUNS)
