"""Run a pipeline for many days, side by side; each day goes on where an earlier backfill stopped.

In a cluster the runs are executed by workers; whether a step is done already is looked up here.
"""

import datetime
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from samebook.cluster import places, pods
from samebook.cluster.places import Sender
from samebook.cluster.pods import Pods
from samebook.core import signals, subcommand
from samebook.core.errors import SamebookError, UsageError
from samebook.core.processes import Processes
from samebook.core.text import Say
from samebook.data import dataset
from samebook.execution.pool import Pool
from samebook.execution.workers import Failure
from samebook.pipelines import executor, step_program
from samebook.pipelines.executor import State
from samebook.pipelines.step_program import Job

if TYPE_CHECKING:
    from samebook.cluster.client import Cluster

JOBS = 2


@dataclass(frozen=True)
class BackfillRequest:
    """One call of `samebook backfill`: a pipeline, whose parameter `day` goes from `first` to `last`, both included.

    `jobs` days are under way at a time; 0: JOBS, and in a cluster one for each worker.
    """

    job: Job
    first: datetime.date
    last: datetime.date
    jobs: int = 0
    on: places.Name = "local"
    pods: Pods = field(default_factory=Pods)


@dataclass(frozen=True)
class DayOutcome:
    """The outcome of a day: DONE where a step ran, SAME where all steps were done already, FAILED with a message."""

    day: datetime.date
    state: State
    message: str = ""
    code: int = 0


@dataclass(frozen=True)
class Backfill:
    """The outcome of each day, in the order of the days."""

    days: tuple[DayOutcome, ...]

    @property
    def failed(self) -> list[DayOutcome]:
        return [outcome for outcome in self.days if outcome.state is State.FAILED]


@dataclass(frozen=True)
class _Machines:
    """What days run on: programs and their warm kernels, and the number of days at a time."""

    processes: Processes
    programs: Pool
    jobs: int


def backfill(request: BackfillRequest, say: Say) -> Backfill:
    """Run the pipeline for each day; `say` gets a line for each day that has ended. A day that fails stops no other.

    Raises UsageError where the first day can't run at all; Ctrl-C and SIGTERM stop all days within seconds.
    """
    days = dataset.span(request.first, request.last)
    # An error that every day would meet is raised once, and before any day runs.
    work = executor.prepare(_job(request, days[0]))
    if request.on != "local" and (step := next((step for step in work.steps if step.declaration.verb != "run"), None)):
        raise UsageError(
            f"step {step.name} has to {step.declaration.verb}; a cluster only runs notebooks",
            mend=f"make backfill NAME={request.job.name} …, without ON",
        )
    with signals.as_errors():
        if request.on == "kubernetes":
            job = request.job
            return _sent(request, pods.sender(job.workspace, job.env, request.pods, job.name, request.jobs, say), say)
        with _cluster(request, say) as cluster:
            if cluster and not cluster.is_shared:
                from samebook.cluster import stored_calls

                return _sent(request, stored_calls.sender(cluster, request.job.env), say)
            with _machines(request, len(days), cluster) as machines:
                return _side_by_side(request, days, machines, say)


def _side_by_side(request: BackfillRequest, days: Sequence[datetime.date], machines: _Machines, say: Say) -> Backfill:
    """The backfill whose steps' programs run on these machines."""
    start, outcomes = time.monotonic(), dict[datetime.date, DayOutcome]()
    with ThreadPoolExecutor(machines.jobs) as pool:
        try:
            for future in as_completed([pool.submit(_run, request, day, machines) for day in days]):
                outcome = future.result()
                outcomes[outcome.day] = outcome
                machines.programs.times = len(days) - len(outcomes)
                say(_progress(outcome, len(outcomes), len(days), time.monotonic() - start))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            machines.processes.stop()
            raise
    return Backfill(tuple(outcomes[day] for day in days))


def _sent(request: BackfillRequest, sender: Sender, say: Say) -> Backfill:
    """The backfill with a call for each day, which runs all its steps elsewhere; runs come by the shared store."""
    job = request.job
    if job.force:
        raise UsageError("what is in the shared store is not run again there", mend="again, without FORCE")
    days = dataset.span(request.first, request.last)
    calls = {step_program.call(job, day): day for day in days}
    known = {path.name for path in job.workspace.runs.glob("*Z-*")}
    start, outcomes = time.monotonic(), dict[datetime.date, DayOutcome]()
    with closing(sender.map([*calls])) as results:
        for call, runs in results:
            if isinstance(runs, Failure):
                outcome = DayOutcome(calls[call], State.FAILED, runs.message, runs.code)
            else:
                is_new = any(run.name not in known for run in runs)
                outcome = DayOutcome(calls[call], State.DONE if is_new else State.DONE_ALREADY)
            outcomes[outcome.day] = outcome
            say(_progress(outcome, len(outcomes), len(days), time.monotonic() - start))
    return Backfill(tuple(outcomes[day] for day in days))


def _job(request: BackfillRequest, day: datetime.date) -> Job:
    return replace(request.job, given={**request.job.given, "day": str(day)}, jobs=1)


@contextmanager
def _cluster(request: BackfillRequest, say: Say) -> "Iterator[Cluster | None]":
    """A connection to the cluster of Dask, until the block ends; None where days run here."""
    if request.on == "local":
        yield None
        return
    from samebook.cluster import client

    with client.connect(request.job.workspace, request.jobs, say, request.job.env) as cluster:
        yield cluster


@contextmanager
def _machines(request: BackfillRequest, days: int, cluster: "Cluster | None") -> Iterator[_Machines]:
    """The machines for as many days, until the block ends."""
    if cluster is None:
        with Pool(days) as programs:
            yield _Machines(Processes(), programs, request.jobs or JOBS)
        return
    from samebook.cluster.run_processes import RunProcesses

    with Pool(0) as none:
        yield _Machines(RunProcesses(cluster, request.job.env), none, request.jobs or cluster.size)


def _run(request: BackfillRequest, day: datetime.date, machines: _Machines) -> DayOutcome:
    try:
        work = replace(
            executor.prepare(_job(request, day), is_checked=not subcommand.has_kernels()),
            processes=machines.processes,
            programs=machines.programs if request.on == "local" else None,
        )
        outcomes = executor.execute(work)
    except SamebookError as error:
        return DayOutcome(day, State.FAILED, str(error), error.exit_code)
    except OSError as error:
        return DayOutcome(day, State.FAILED, str(error), SamebookError.exit_code)
    if failure := executor.failure(work.job, outcomes):
        return DayOutcome(day, State.FAILED, str(failure), failure.exit_code)
    has_run = any(outcome.state is State.DONE for outcome in outcomes)
    return DayOutcome(day, State.DONE if has_run else State.DONE_ALREADY)


def _progress(outcome: DayOutcome, done: int, total: int, seconds: float) -> str:
    left = datetime.timedelta(seconds=round(seconds / done * (total - done)))
    return f"{done:>4}/{total}  {outcome.day}  {outcome.state:<8}  {left} left"


def table(result: Backfill) -> str:
    """The result as text: how many days ran, were done already, and failed; then a line for each failed day."""
    counts = Counter(outcome.state for outcome in result.days)
    names = {State.DONE: "ran", State.DONE_ALREADY: "done already", State.FAILED: "failed"}
    lines = [", ".join(f"{counts[state]} {name}" for state, name in names.items())]
    return "\n".join((*lines, *(f"  {outcome.day}: {outcome.message}" for outcome in result.failed)))
