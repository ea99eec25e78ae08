"""Moves many objects at once, and says how far it is."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from enum import Enum

from samebook.core.errors import SamebookError

SECOND = 1.0
SHOWN = 12

type Say = Callable[[str], None]


@dataclass(frozen=True)
class TransferOptions:
    """How to move: so many at a time; or only counted; and whether also what is there already."""

    jobs: int = 8
    dry_run: bool = False
    again: bool = False


class Status(Enum):
    """What becomes of an object: moved, needless since it is there, nowhere to be had, or damaged where it is."""

    MOVED = "moved"
    PRESENT = "present"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class TransferResult:
    """What became of many objects, by sha256; `size` is the bytes that were moved."""

    moved: list[str]
    present: list[str]
    missing: list[str]
    damaged: list[str]
    size: int


class Counter:
    """Counts the bytes that all threads move, and ends each of them at its next chunk once nobody waits for it."""

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
    """Do `job` for every object, `jobs` at a time. The first error ends it all; what is moved by then stays."""
    count, fates = Counter(), dict[str, Status]()
    pool = ThreadPoolExecutor(jobs)
    try:
        waiting: dict[Future[Status], str] = {pool.submit(job, digest, count): digest for digest in sorted({*digests})}
        total = len(waiting)
        while waiting:
            done, _ = wait(waiting, SECOND, FIRST_EXCEPTION)
            fates |= {waiting.pop(future): future.result() for future in done}
            if waiting:
                say(f"{len(fates)} of {total} objects, {format_size(count.size)}; {len(waiting)} to go")
    finally:
        count.stopped = True
        pool.shutdown(cancel_futures=True)
    moved, there, missing, damaged = ([name for name in sorted(fates) if fates[name] is fate] for fate in Status)
    return TransferResult(moved, there, missing, damaged, count.size)


def summary(found: TransferResult, moved: str, there: str) -> str:
    """The result in a line: `sent 12 objects, 34.5 MiB; 40 were there`."""
    return f"{moved} {len(found.moved)} objects, {format_size(found.size)}; {len(found.present)} {there}"


def check_complete(found: TransferResult, wanted: Mapping[str, str], done: str, mend: str) -> None:
    """Raise SamebookError where not all that was wanted is there now; `done` says what is."""
    lines = [f"damaged: {digest[:12]}…, {wanted[digest]}" for digest in found.damaged]
    lines += [f"missing: {digest[:12]}…, {wanted[digest]}" for digest in found.missing]
    if lines:
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        raise SamebookError("\n  ".join((done, *lines[:SHOWN], *more)), mend=mend)


def without_models(found: TransferResult, models: Collection[str], say: Say) -> TransferResult:
    """What was found, less the objects of models that are nowhere: it is said, but they can be made again."""
    missing = [digest for digest in found.missing if digest not in models]
    if gone := len(found.missing) - len(missing):
        say(f"{gone} objects of promoted models are in neither store; make models makes again what a model needs")
    return replace(found, missing=missing)


def format_size(size: int) -> str:
    """Bytes as people say them: 34.5 MiB, or 12.0 KiB."""
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
