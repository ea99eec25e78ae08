"""The transfer of many objects in parallel, with its progress and its result."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from enum import Enum

from samebook.core.errors import SamebookError
from samebook.core.text import Say

# Seconds between two lines of progress.
INTERVAL = 1.0
# The number of objects that an error lists.
MAX_SHOWN = 12


@dataclass(frozen=True)
class TransferOptions:
    """The options of a transfer.

    `jobs` objects are moved at a time; `dry_run` only counts them; `again` moves present ones too.
    """

    jobs: int = 8
    dry_run: bool = False
    again: bool = False


class Status(Enum):
    """The result for an object: it was moved, it was present already, its source lacks it, or has it damaged."""

    MOVED = "moved"
    PRESENT = "present"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class TransferResult:
    """The digests of many objects by their status, sorted; `size` is the number of bytes that were moved."""

    moved: list[str]
    present: list[str]
    missing: list[str]
    damaged: list[str]
    size: int


class Counter:
    """The number of bytes that all threads have moved.

    Once `stopped` is set, each thread's next call raises SamebookError.
    """

    def __init__(self) -> None:
        self.size = 0
        self.stopped = False
        self.lock = threading.Lock()

    def __call__(self, size: int) -> None:
        if self.stopped:
            raise SamebookError("stopped")
        with self.lock:
            self.size += size


type Job = Callable[[str, Counter], Status]


def run(digests: Iterable[str], job: Job, say: Say, jobs: int) -> TransferResult:
    """Call `job` for every digest, `jobs` at a time. The first error ends the transfer; moved objects stay."""
    counter, statuses = Counter(), dict[str, Status]()
    pool = ThreadPoolExecutor(jobs)
    try:
        waiting: dict[Future[Status], str] = {
            pool.submit(job, digest, counter): digest for digest in sorted({*digests})
        }
        total = len(waiting)
        while waiting:
            finished, _ = wait(waiting, INTERVAL, FIRST_EXCEPTION)
            statuses |= {waiting.pop(future): future.result() for future in finished}
            if waiting:
                say(f"{len(statuses)} of {total} objects, {format_size(counter.size)}; {len(waiting)} to go")
    finally:
        counter.stopped = True
        pool.shutdown(cancel_futures=True)
    moved, present, missing, damaged = (
        [digest for digest in sorted(statuses) if statuses[digest] is status] for status in Status
    )
    return TransferResult(moved, present, missing, damaged, counter.size)


def joined(first: TransferResult, second: TransferResult) -> TransferResult:
    """The result of two transfers of different objects."""
    moved, present, missing, damaged = (
        sorted(getattr(first, status.value) + getattr(second, status.value)) for status in Status
    )
    return TransferResult(moved, present, missing, damaged, first.size + second.size)


def summary(result: TransferResult, moved: str, present: str) -> str:
    """The result in a line, with the words for both statuses: `sent 12 objects, 34.5 MiB; 40 were there`."""
    return f"{moved} {len(result.moved)} objects, {format_size(result.size)}; {len(result.present)} {present}"


def check_complete(result: TransferResult, names: Mapping[str, str], summary: str, mend: str) -> None:
    """Raise SamebookError where objects are damaged or missing. `names` has the name of each digest's object."""
    lines = [f"damaged: {digest[:12]}…, {names[digest]}" for digest in result.damaged]
    lines += [f"missing: {digest[:12]}…, {names[digest]}" for digest in result.missing]
    if lines:
        more = [f"and {len(lines) - MAX_SHOWN} more"] if len(lines) > MAX_SHOWN else []
        raise SamebookError("\n  ".join((summary, *lines[:MAX_SHOWN], *more)), mend=mend)


def without_models(result: TransferResult, models: Collection[str], say: Say) -> TransferResult:
    """The result without the missing objects of promoted models, which can be made again; `say` hears their number."""
    missing = [digest for digest in result.missing if digest not in models]
    if count := len(result.missing) - len(missing):
        say(f"{count} objects of promoted models are in neither store; make models makes again what a model needs")
    return replace(result, missing=missing)


def format_size(size: int) -> str:
    """A number of bytes for people: 34.5 MiB, or 12.0 KiB."""
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
