"""Ranks: one function of a notebook in a process on each of several workers at the same time, all of them or none.

A library for training on several machines has its processes speak to each other, and waits for one that is lost, at
times forever. So the workers are watched here: where one is lost, or a rank is killed, all ranks are ended and start
again on as many workers; and a time limit ends them, whatever they wait for.

A reproduction has its ranks beside its kernel: the number of ranks decides their results, and not where they are.
"""

import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future as OfProcess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle

from samebook.cluster import client, program, worker
from samebook.cluster.client import Cluster, Silent
from samebook.cluster.rank import CALL, failure, result_path
from samebook.core import file_lock
from samebook.core.errors import SamebookError, UsageError
from samebook.core.processes import Processes, ProcessResult
from samebook.core.text import Say
from samebook.core.workspace import Workspace, make_folder

if TYPE_CHECKING:
    from distributed import Future

# How often ranks start, where workers are lost.
ATTEMPTS = 4
# Seconds in which a lost worker is noticed, once a rank has failed for it.
GRACE = 10
# Held by whoever has ranks: those of two notebooks would wait for each other's workers.
LOCK = ".ranks"


@dataclass(frozen=True)
class Ranks:
    """Ranks: their number, the minutes that they may take, with all that they wait for and all their restarts, and a
    folder that workers see.

    `call` is the pickled function, `variables` are those of the kernel.
    """

    count: int
    minutes: float
    folder: Path
    call: bytes
    variables: Mapping[str, str]
    start: float = field(default_factory=time.monotonic)

    @property
    def deadline(self) -> float:
        """The end of their time."""
        return self.start + 60 * self.minutes

    @property
    def seconds(self) -> str:
        """The seconds after which a rank ends by itself, which a silent scheduler or worker does not end."""
        return str(max(int(self.deadline - time.monotonic()), 0) + GRACE)

    def check_limit(self, state: str) -> None:
        """Raise SamebookError, which says how far they are, once their time is over."""
        if time.monotonic() > self.deadline:
            raise SamebookError(
                f"{state} after {self.minutes:g} minutes, their time limit; all are ended",
                mend=f"samebook.run_ranks(…, minutes={2 * self.minutes:g})",
            )


def run(workspace: Workspace, ranks: Ranks, say: Say) -> list[Any]:
    """The results of the ranks, in their order. Raises SamebookError where they have none.

    The same number of ranks on other workers is the same work: workers are taken in the order of their names.
    """
    if os.environ.get(program.AT_WORKER):
        raise UsageError(
            "ranks of a cluster can't be asked for by a run that a worker of it executes: they would wait for its end",
            mend="make run",
        )
    try:
        with (
            client.connect(workspace, ranks.count, say, deadline=ranks.deadline) as cluster,
            _turn(workspace, ranks, say),
        ):
            for attempt in range(ATTEMPTS):
                addresses = _workers(cluster, ranks)
                lost = _AtWorkers(cluster, addresses).run(_Attempt(ranks, ranks.folder / str(attempt)))
                if isinstance(lost, list):
                    return lost
                say(f"cluster: {lost}" + f"; all {ranks.count} ranks start again" * (attempt + 1 < ATTEMPTS))
                ranks.check_limit("no rank was done")
    except Silent:
        ranks.check_limit("no rank was done")
        raise
    raise SamebookError(
        f"{ATTEMPTS} times a worker was lost, or its rank was killed, as for lack of memory",
        mend=f"make cluster WORKERS={ranks.count} MEMORY=4g",
    )


def run_here(workspace: Workspace, ranks: Ranks) -> list[Any]:
    """The results of ranks that are processes beside this one. Raises SamebookError where they have none."""
    attempt = _Attempt(ranks, ranks.folder / "0")
    programs, rest = Processes(), (str(ranks.count), "127.0.0.1", str(worker.free_port()))
    env = {**os.environ, **ranks.variables, program.AT_WORKER: "1"}
    command = (sys.executable, "-P", "-m", worker.RANK, str(attempt.folder))
    with attempt.prepared(), ThreadPoolExecutor(ranks.count) as threads:
        try:
            futures = [
                threads.submit(programs.call, (*command, str(index), *rest, ranks.seconds), workspace.root, env)
                for index in range(ranks.count)
            ]
            results = attempt.wait(futures, lambda future: future.result(), str)
        finally:
            programs.stop()
    if isinstance(results, str):
        raise SamebookError(
            f"{results}, as for lack of memory: all {ranks.count} ranks of a reproduction are on one machine",
            mend="again, on a machine with more memory",
        )
    return results


@contextmanager
def _turn(workspace: Workspace, ranks: Ranks, say: Say) -> Iterator[None]:
    """The block in which these are the only ranks of the checkout."""
    path = make_folder(workspace.runs / worker.FOLDER) / LOCK
    descriptor = file_lock.acquire(path, wait=False)
    if descriptor is None:
        say("cluster: waiting for the ranks of another notebook")
    while descriptor is None:
        ranks.check_limit("the ranks of another notebook were not done")
        time.sleep(worker.POLL)
        descriptor = file_lock.acquire(path, wait=False)
    try:
        yield
    finally:
        os.close(descriptor)


def _workers(cluster: Cluster, ranks: Ranks) -> tuple[str, ...]:
    """The addresses of the first workers by name, once there are enough: one that was lost is started again."""
    last, count = time.monotonic() + client.WITHOUT_WORKERS, ranks.count
    while len(workers := cluster.addresses()) < count:
        ranks.check_limit(f"the cluster had {len(workers)} of {count} workers")
        if time.monotonic() > last:
            raise SamebookError(
                f"the cluster has {len(workers)} workers; expected {count}", mend=f"make cluster WORKERS={count}"
            )
        cluster.check_scheduler("no rank done")
        time.sleep(client.POLL)
    return workers[:count]


@dataclass(frozen=True)
class _AtWorkers:
    """The ranks of an attempt at these workers of the cluster."""

    cluster: Cluster
    addresses: tuple[str, ...]

    def run(self, attempt: "_Attempt") -> list[Any] | str:
        """The results, or what was lost."""
        with attempt.prepared():
            try:
                futures = [self._submit(attempt, *task) for task in self._tasks()]
            except Silent as error:
                return str(error)
            try:
                return attempt.wait(futures, self._result, self._lost)
            finally:
                if self.cluster.client.status == "running":  # a worker ends the process of a rank that is taken back
                    self.cluster.client.cancel(futures, force=True)

    def _tasks(self) -> list[tuple[str, tuple[str, ...]]]:
        """The address of each rank's worker, and its arguments."""
        first = self.addresses[0]
        port = self.cluster.ask(worker.free_port, workers=[first])[first]
        host = first.partition("://")[2].rpartition(":")[0].strip("[]")
        rest = (str(len(self.addresses)), host, str(port))
        return [(address, (str(index), *rest)) for index, address in enumerate(self.addresses)]

    def _submit(self, attempt: "_Attempt", address: str, rank: tuple[str, ...]) -> "Future[ProcessResult]":
        return self.cluster.client.submit(
            worker.execute_rank,
            str(attempt.folder),
            (*rank, attempt.ranks.seconds),
            attempt.ranks.variables,
            self.cluster.session,
            key=f"rank-{rank[0]}-{uuid.uuid4().hex}",
            pure=False,
            workers=[address],
            retries=0,
        )

    def _result(self, future: "Future[ProcessResult]") -> ProcessResult:
        """The result of a rank that has ended. Raises what its worker has raised before it began."""
        if future.status == "cancelled":
            return ProcessResult(SamebookError.exit_code, "", "")
        return client.gathered(future, self.cluster.patience)

    def _lost(self) -> str:
        self.cluster.check_scheduler("no rank done")
        missing = set(self.addresses) - set(self.cluster.addresses())
        return f"{len(missing)} of {len(self.addresses)} workers lost" if missing else ""


@dataclass(frozen=True)
class _Attempt:
    """One start of all ranks, in a folder of its own."""

    ranks: Ranks
    folder: Path

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """The block in which the folder has the call."""
        make_folder(self.folder)
        (self.folder / CALL).write_bytes(self.ranks.call)
        try:
            yield
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def wait[T](
        self,
        futures: "Sequence[OfProcess[T] | Future[T]]",
        result: Callable[[Any], ProcessResult],
        lost: Callable[[], str],
    ) -> list[Any] | str:
        """The results; or what was lost, where a new start may help. Raises SamebookError for any other failure."""
        failed_at = 0.0
        while True:
            now = time.monotonic()
            if reason := lost():
                return reason
            ended = {index: result(future) for index, future in enumerate(futures) if future.done()}
            failures = {index: each for index, each in ended.items() if self._has_failed(index, each)}
            if killed := [(index, -each.exit_code) for index, each in failures.items() if each.exit_code < 0]:
                return "rank {} ended by signal {}".format(*killed[0])
            failed_at = failed_at or (now if failures else 0.0)
            if failures and (len(ended) == len(futures) or now - failed_at > GRACE):
                raise failure(failures, self.ranks.count)
            if len(ended) == len(futures):
                return [cloudpickle.loads(result_path(self.folder, index).read_bytes()) for index in sorted(ended)]
            self.ranks.check_limit(f"{len(ended)} of {len(futures)} ranks were done")
            time.sleep(worker.POLL)

    def _has_failed(self, index: int, result: ProcessResult) -> bool:
        """Whether a rank has no result: also one whose function has ended its process, as by `sys.exit(0)`."""
        return bool(result.exit_code) or not result_path(self.folder, index).is_file()
