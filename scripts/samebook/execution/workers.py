"""Processes that do many pieces of work beside each other, each forked once all that they need is imported.

One that is killed costs the piece that it had in hand, and another takes its place.
"""

import os
import signal
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from samebook.core import errors, processes
from samebook.core.errors import Interrupted, SamebookError

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

# What a supervisor waits before it kills; a kernel is gone well before.
PATIENCE = 8
FORK = get_context("fork")


@dataclass(frozen=True)
class Failure:
    """A piece of work that failed: the exit code that its error means, and its words."""

    code: int
    message: str


@dataclass
class _Worker[Item]:
    process: "ForkProcess"
    pipe: Connection
    item: Item


def results[Item, Result](
    items: Sequence[Item], jobs: int, work: Callable[[Item], Result]
) -> Generator[tuple[Item, Result | Failure]]:
    """Each item with what `work` makes of it, as they are done, so many at a time.

    No thread may be running here. What is left is ended, its work undone, when the iterator is closed.
    """
    waiting = list(reversed(items))
    workers: list[_Worker[Item]] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                workers.append(_started(waiting.pop(), work))
            for pipe in connection.wait([each.pipe for each in workers]):
                worker = next(each for each in workers if each.pipe is pipe)
                item, result = worker.item, _received(worker)
                if isinstance(result, Failure) and not worker.process.is_alive():
                    workers.remove(worker)
                elif waiting:
                    worker.item = waiting.pop()
                    worker.pipe.send(worker.item)
                else:
                    _end([worker])
                    workers.remove(worker)
                yield item, result
    finally:
        _end(workers)


def _started[Item, Result](item: Item, work: Callable[[Item], Result]) -> _Worker[Item]:
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=_loop, args=(theirs, work, os.getpid()), daemon=False)
    process.start()
    theirs.close()
    ours.send(item)
    return _Worker(process, ours, item)


def _received(worker: _Worker[Any]) -> Any:
    try:
        return worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        code = worker.process.exitcode or 0
        return Failure(SamebookError.exit_code, f"its process was ended by signal {-code}" if code < 0 else "it ended")


def _loop(pipe: Connection, work: Callable[[Any], Any], parent: int) -> None:
    """In a worker: one piece after the other, until there is none, or whoever asked for it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal: the parent hears it too, and tells
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    processes.end_with(parent)
    with suppress(EOFError, OSError, Interrupted):
        while True:
            pipe.send(_tried(pipe.recv(), work))


def _tried(item: Any, work: Callable[[Any], Any]) -> Any:
    try:
        return work(item)
    except Interrupted:
        raise
    except SamebookError as error:
        return Failure(error.exit_code, "\n".join((str(error), *getattr(error, "__notes__", ()))))
    except OSError as error:
        return Failure(errors.SamebookError.exit_code, str(error))


def _end(workers: Sequence[_Worker[Any]]) -> None:
    """End them: asked first, then killed."""
    for each in workers:
        each.pipe.close()
        each.process.terminate()
    until = time.monotonic() + PATIENCE
    for each in workers:
        each.process.join(max(0.0, until - time.monotonic()))
        each.process.kill()
        each.process.join()
