"""The side of whoever sends programs to a Dask cluster, and gets each one's result once."""

import logging
import os
import queue
import signal
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from distributed import Client, Future, KilledWorker
from distributed.security import Security

from samebook.cluster import certificates, worker
from samebook.cluster.certificates import Access
from samebook.cluster.program import Program
from samebook.cluster.results import Origin, files
from samebook.cluster.worker import Session
from samebook.core import file_lock, signing_key
from samebook.core.errors import Interrupted, SamebookError, UsageError
from samebook.core.processes import PATIENCE, ProcessResult
from samebook.core.text import Say
from samebook.core.workspace import Workspace, make_folder
from samebook.environment import identity, settings
from samebook.execution.workers import Failure

# Seconds for a scheduler to answer, for workers to be there, and without a worker while there is work.
CONNECT, ARRIVE, WITHOUT_WORKERS = 10, 15, 120
# Seconds between two looks at the connection.
POLL = 1.0
UP = "make cluster WORKERS=4"
SESSION = "session-"
DOWN = "make cluster-down && make cluster WORKERS=4"
AGAIN = "with a cluster, the same command goes on from there"


class Silent(SamebookError):
    """A scheduler, or a worker that it knows, does not answer, as one whose network is away."""


@dataclass(frozen=True)
class Cluster:
    """A connection to the cluster of a checkout; `session` says to workers who has sent.

    `is_shared`: all workers see the runs of the checkout. No answer is waited for after the `deadline`.
    """

    workspace: Workspace
    client: Client
    session: Session
    deadline: float = float("inf")
    is_shared: bool = True
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def size(self) -> int:
        """The number of workers, each of which has one program at a time."""
        return len(self._workers())

    @property
    def patience(self) -> float:
        """Seconds in which there must be an answer."""
        return max(POLL, min(WITHOUT_WORKERS, self.deadline - time.monotonic()))

    def addresses(self) -> tuple[str, ...]:
        """The addresses of the workers, by their names."""
        workers = self._workers()
        return tuple(sorted(workers, key=lambda address: str(workers[address]["name"])))

    def ask[T](self, function: Callable[..., T], *arguments: object, workers: list[str] | None = None) -> dict[str, T]:
        """What a function says at each worker, or at these. Raises Silent where one does not answer."""
        try:
            return self.client.run(function, *arguments, workers=workers, callback_timeout=self.patience)
        except OSError as error:
            raise Silent(f"a worker does not answer: {error}", mend=DOWN) from None

    def check_scheduler(self, done: str) -> None:
        """Raise SamebookError where the scheduler is lost, which says what is `done`."""
        if self.client.status != "running":
            raise SamebookError(f"the scheduler is lost, with {done}; {AGAIN}", mend=UP)

    def stop(self) -> None:
        """End all that runs for this connection: each `map` under way raises Interrupted."""
        self.stopped.set()

    def map(self, programs: Sequence[Program]) -> Generator[tuple[Program, ProcessResult | Failure]]:
        """Each program with its result, in the order in which they are done; one on each thread of a worker.

        Where a worker dies, another takes over what it had in hand. Raises SamebookError where the scheduler is lost,
        or no worker is left. When the iterator is closed, programs that are not done are ended.
        """
        ended = queue.SimpleQueue[Future[ProcessResult]]()
        waiting = {self._task(program): program for program in programs}
        futures = {task: self._submit(program, task) for task, program in waiting.items()}
        try:
            for future in futures.values():
                future.add_done_callback(ended.put)
            while waiting:
                future = self._next(ended, f"with {len(programs) - len(waiting)} of {len(programs)} done; {AGAIN}")
                task = str(future.key)
                program = waiting.pop(task)
                yield program, _result(future)
                futures.pop(task).release()
                worker.lock_path(self.workspace, program).unlink(missing_ok=True)
        finally:
            self._cancel(list(futures.values()), list(waiting.values()))

    def _task(self, program: Program) -> str:
        """The key of a program's task: also that of another sender, and where its file is checked only of a session."""
        return program.key if program.calls else f"{program.key}-{self.session.name}"

    def _submit(self, program: Program, task: str) -> "Future[ProcessResult]":
        return self.client.submit(worker.execute, program, self.session, key=task, pure=False)

    def _next(self, ended: "queue.SimpleQueue[Future[ProcessResult]]", so_far: str) -> "Future[ProcessResult]":
        """The next future that is done. It is waited for as long as there are a scheduler and workers."""
        last = time.monotonic()
        while True:
            if self.stopped.is_set():
                raise Interrupted(signal.SIGTERM)
            try:
                future = ended.get(timeout=POLL)
            except queue.Empty:
                future = None
            if (future is None and self.client.status != "running") or (future and future.status == "cancelled"):
                raise SamebookError(f"the scheduler is lost, {so_far}", mend=UP)
            if future:
                return future
            last = time.monotonic() if self._workers() else last
            if time.monotonic() - last > WITHOUT_WORKERS:
                raise SamebookError(f"the cluster was without a worker for {WITHOUT_WORKERS} s, {so_far}", mend=UP)

    def _workers(self) -> Mapping[str, Mapping[str, object]]:
        """The workers by their addresses; none where the scheduler is lost. Raises SamebookError where it is silent."""
        # The client's own `scheduler_info` is emptied every two seconds by a thread of its own.
        scheduler = self.client.scheduler
        if scheduler is None:
            return {}
        try:
            return self.client.sync(scheduler.identity, n_workers=-1, callback_timeout=self.patience)["workers"]
        except TimeoutError:
            raise Silent(f"the scheduler has been silent for {WITHOUT_WORKERS} s; {AGAIN}", mend=DOWN) from None
        except OSError:
            return {}

    def _cancel(self, futures: "Sequence[Future[ProcessResult]]", programs: Sequence[Program]) -> None:
        """Take back what is not done, and wait until it has ended: workers notice within a second."""
        if not futures or self.client.status != "running":
            return
        self.client.cancel(futures, force=False)
        deadline = time.monotonic() + PATIENCE
        paths = [worker.lock_path(self.workspace, program) for program in programs]
        while time.monotonic() < deadline and any(map(file_lock.is_held, paths)):
            time.sleep(worker.POLL)

    def check(self, least: int, say: Say) -> bool:
        """Wait for as many workers as `least`, and have each of them, and the scheduler, compare its environment.

        Returns whether all workers see the runs of this checkout.
        """
        deadline = min(time.monotonic() + ARRIVE, self.deadline)
        while len(workers := self._workers()) < max(least, 1):
            if time.monotonic() > deadline:
                raise UsageError(
                    f"the cluster has {len(workers)} workers; expected {max(least, 1)}",
                    mend=f"make cluster WORKERS={max(least, 1)}",
                )
            time.sleep(POLL)
        try:
            self.client.run_on_scheduler(worker.check, self.session, callback_timeout=self.patience)
        except OSError as error:
            raise Silent(f"the scheduler does not answer: {error}", mend=DOWN) from None
        is_shared = all(self.ask(worker.check, self.session).values())
        if is_shared:
            self.ask(worker.check_files, files(self.workspace))
        say(f"cluster: {len(workers)} workers" + ("" if is_shared else ", whose results come by the shared store"))
        return is_shared


def gathered(future: "Future[ProcessResult]", patience: float = WITHOUT_WORKERS) -> ProcessResult:
    """The result of a program that has ended. Raises SamebookError where its worker keeps it, as one without a network
    does.
    """
    try:
        return future.result(timeout=patience)
    except TimeoutError:
        raise Silent(
            f"a worker has had a result for {patience:.0f} s, and nothing reaches its address; {AGAIN}", mend=DOWN
        ) from None


def _result(future: "Future[ProcessResult]") -> ProcessResult | Failure:
    error = future.exception()
    if error is None:
        return gathered(future)
    if isinstance(error, KilledWorker):
        return Failure(
            SamebookError.exit_code,
            f"each worker that had it in hand was killed, {error.allowed_failures + 1} of them, as for lack of memory:"
            " make cluster MEMORY=4g",
        )
    if isinstance(error, SamebookError):
        raise error
    return Failure(SamebookError.exit_code, f"{type(error).__name__}: {error}")


@contextmanager
def connect(
    workspace: Workspace, least: int, say: Say, env: str = "", deadline: float = Cluster.deadline
) -> Iterator[Cluster]:
    """A connection to the checkout's cluster with at least this many workers, for the block.

    Where the settings of `env` name a shared store, workers need not see the runs of this checkout. Raises UsageError
    where there is no such cluster, or its receipts were to be signed, and EnvironmentMismatch where it has another
    environment.
    """
    access = certificates.access(workspace)
    if signing_key.current():
        raise UsageError(
            "a signing key is not sent to a cluster, whose receipts are unsigned",
            mend="again, without SIGNING_KEY or ON",
        )
    for name in ("distributed", "distributed.client"):  # Dask gives the second a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    origin = Origin.of(workspace) if env and settings.load(workspace, env).store.url else None
    with _client(access) as client, _session(workspace, origin) as session:
        cluster = Cluster(workspace, client, session, deadline)
        yield replace(cluster, is_shared=cluster.check(least, say))


@contextmanager
def _session(workspace: Workspace, origin: Origin | None) -> Iterator[Session]:
    """A session, for the block. Senders at the same time share its file among the runs; the last one removes it."""
    folder = make_folder(workspace.runs / worker.FOLDER)
    with file_lock.hold(folder / ".lock"):
        shared = file_lock.prune(folder.glob(f"{SESSION}*"))
        path = shared[0] if shared else folder / f"{SESSION}{uuid.uuid4().hex}"
        descriptor = file_lock.acquire(path, shared=True)
    assert descriptor is not None
    try:
        yield Session(path.name, identity.of(workspace), origin)
    finally:
        with file_lock.hold(folder / ".lock"):
            os.close(descriptor)
            file_lock.prune([path])


def _client(access: Access) -> Client:
    tls = access.files
    security = Security(
        require_encryption=True, tls_ca_file=tls["ca_file"], tls_client_cert=tls["cert"], tls_client_key=tls["key"]
    )
    try:
        return Client(access.scheduler, security=security, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"no scheduler answers at {access.scheduler}: {error}", mend=UP) from None
