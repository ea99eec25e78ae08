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
class How:
    """How to move: so many at a time; or only counted; and whether also what is there already."""

    jobs: int = 8
    dry_run: bool = False
    again: bool = False


class Fate(Enum):
    """What becomes of an object: moved, needless since it is there, nowhere to be had, or damaged where it is."""

    MOVED = "moved"
    THERE = "there"
    LACKING = "lacking"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Moved:
    """What became of many objects, by sha256; `size` is the bytes that were moved."""

    moved: list[str]
    there: list[str]
    lacking: list[str]
    damaged: list[str]
    size: int


class Counter:
    """Counts the bytes that all threads move, and ends each of them at its next piece once nobody waits for it."""

    def __init__(self) -> None:
        self.size = 0
        self.stopped = False
        self.lock = threading.Lock()

    def __call__(self, size: int) -> None:
        if self.stopped:
            raise SamebookError("stopped")
        with self.lock:
            self.size += size


type Job = Callable[[str, Counter], Fate]


def each(digests: Iterable[str], job: Job, say: Say, jobs: int) -> Moved:
    """Do `job` for every object, `jobs` at a time. The first error ends it all; what is moved by then stays."""
    count, fates = Counter(), dict[str, Fate]()
    pool = ThreadPoolExecutor(jobs)
    try:
        waiting: dict[Future[Fate], str] = {pool.submit(job, digest, count): digest for digest in sorted({*digests})}
        total = len(waiting)
        while waiting:
            done, _ = wait(waiting, SECOND, FIRST_EXCEPTION)
            fates |= {waiting.pop(future): future.result() for future in done}
            if waiting:
                say(f"{len(fates)} of {total} objects, {readable(count.size)}; {len(waiting)} to go")
    finally:
        count.stopped = True
        pool.shutdown(cancel_futures=True)
    moved, there, lacking, damaged = ([name for name in sorted(fates) if fates[name] is fate] for fate in Fate)
    return Moved(moved, there, lacking, damaged, count.size)


def told(found: Moved, moved: str, there: str) -> str:
    """The result in a line: `sent 12 objects, 34.5 MiB; 40 were there`."""
    return f"{moved} {len(found.moved)} objects, {readable(found.size)}; {len(found.there)} {there}"


def check(found: Moved, wanted: Mapping[str, str], done: str, mend: str) -> None:
    """Raise SamebookError where not all that was wanted is there now; `done` says what is."""
    lines = [f"damaged: {digest[:12]}…, {wanted[digest]}" for digest in found.damaged]
    lines += [f"missing: {digest[:12]}…, {wanted[digest]}" for digest in found.lacking]
    if lines:
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        raise SamebookError("\n  ".join((done, *lines[:SHOWN], *more)), mend=mend)


def without(found: Moved, models: Collection[str], say: Say) -> Moved:
    """What was found, less the objects of models that are nowhere: it is said, but they can be made again."""
    lacking = [digest for digest in found.lacking if digest not in models]
    if gone := len(found.lacking) - len(lacking):
        say(f"{gone} objects of promoted models are in neither store; make models makes again what a model needs")
    return replace(found, lacking=lacking)


def readable(size: int) -> str:
    """Bytes as people say them: 34.5 MiB, or 12.0 KiB."""
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
