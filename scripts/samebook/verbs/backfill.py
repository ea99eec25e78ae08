"""Run a pipeline for many days: side by side, each day as far as it has not been done yet."""

import datetime
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace

from samebook.core import signals
from samebook.core.errors import SamebookError, UsageError
from samebook.core.processes import Processes
from samebook.data import dataset
from samebook.environment import variables
from samebook.execution.pool import Pool
from samebook.pipelines import engine
from samebook.pipelines.engine import State
from samebook.pipelines.step_program import Job


@dataclass(frozen=True)
class BackfillRequest:
    """One call of `samebook backfill`: a pipeline, whose parameter `day` goes from `first` to `last`, both included."""

    job: Job
    first: datetime.date
    last: datetime.date
    jobs: int = 2


@dataclass(frozen=True)
class Day:
    """What became of a day: DONE where anything ran, SAME where all was done already, FAILED with the reason."""

    day: datetime.date
    state: State
    told: str = ""
    code: int = 0


@dataclass(frozen=True)
class Backfill:
    """What became of each day, in the order of days."""

    days: tuple[Day, ...]

    @property
    def failed(self) -> list[Day]:
        return [each for each in self.days if each.state is State.FAILED]


def backfill(request: BackfillRequest, say: Callable[[str], None]) -> Backfill:
    """Run the pipeline for each day; `say` hears how far it is. A day that fails stops no other.

    Raises UsageError where the first day can't run at all; Ctrl-C and SIGTERM stop all days within seconds.
    """
    if request.last < request.first:
        raise UsageError(f"found --from {request.first} after --to {request.last}")
    days = dataset.days(request.first, request.last)
    # What is wrong for every day is told once, and before any.
    engine.prepared(_job(request, days[0]))
    processes, began, done = Processes(), time.monotonic(), dict[datetime.date, Day]()
    shared = variables.shared_cores(request.jobs)
    with signals.as_errors(), shared, Pool(len(days)) as programs, ThreadPoolExecutor(request.jobs) as pool:
        try:
            for future in as_completed([pool.submit(_run, request, day, processes, programs) for day in days]):
                done[future.result().day] = future.result()
                programs.times = len(days) - len(done)
                say(_progress(future.result(), len(done), len(days), time.monotonic() - began))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.stop()
            raise
    return Backfill(tuple(done[day] for day in days))


def _job(request: BackfillRequest, day: datetime.date) -> Job:
    return replace(request.job, given={**request.job.given, "day": str(day)}, jobs=1)


def _run(request: BackfillRequest, day: datetime.date, processes: Processes, programs: Pool) -> Day:
    try:
        work = replace(engine.prepared(_job(request, day)), processes=processes, programs=programs)
        outcomes = engine.execute(work)
    except SamebookError as refused:
        return Day(day, State.FAILED, str(refused), refused.exit_code)
    except OSError as error:
        return Day(day, State.FAILED, str(error), SamebookError.exit_code)
    if failed := engine.failure(outcomes):
        return Day(day, State.FAILED, str(failed), failed.exit_code)
    return Day(day, State.DONE if State.DONE in [each.state for each in outcomes] else State.SAME)


def _progress(day: Day, done: int, of: int, seconds: float) -> str:
    left = datetime.timedelta(seconds=round(seconds / done * (of - done)))
    return f"{done:>4}/{of}  {day.day}  {day.state:<8}  {left} left"


def table(found: Backfill) -> str:
    """A summary: how many days ran, were done already, and failed; of these the reason."""
    counts = Counter(each.state for each in found.days)
    names = {State.DONE: "ran", State.SAME: "done already", State.FAILED: "failed"}
    lines = [", ".join(f"{counts[state]} {name}" for state, name in names.items())]
    return "\n".join((*lines, *(f"  {each.day}: {each.told}" for each in found.failed)))
