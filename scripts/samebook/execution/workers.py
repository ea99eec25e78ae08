"""Worker processes: many pieces of work at a time, in processes forked once their imports are done.

A worker that is killed costs the piece that it had in hand, and another takes its place.
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

from samebook.core import processes
from samebook.core.errors import ARROW, Interrupted, SamebookError, notes

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

# Seconds between SIGTERM and SIGKILL: less than supervisors wait, more than a kernel needs to end.
PATIENCE = 8
FORK = get_context("fork")


@dataclass(frozen=True)
class Failure:
    """A piece of work that failed: the exit code that its error means, and the error's message."""

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
    """Each item with the result of `work`, in the order in which they are done, `jobs` at a time.

    No thread may be running in this process. When the iterator is closed, work that is not done is ended.
    """
    waiting = list(reversed(items))
    workers: list[_Worker[Item]] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                workers.append(_start(waiting.pop(), work))
            for pipe in connection.wait([worker.pipe for worker in workers]):
                worker = next(worker for worker in workers if worker.pipe is pipe)
                item, result = worker.item, _receive(worker)
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


def _start[Item, Result](item: Item, work: Callable[[Item], Result]) -> _Worker[Item]:
    pipe, workers_end = FORK.Pipe()
    process = FORK.Process(target=_loop, args=(workers_end, work, os.getpid()), daemon=False)
    process.start()
    workers_end.close()
    pipe.send(item)
    return _Worker(process, pipe, item)


def _receive(worker: _Worker[Any]) -> Any:
    try:
        return worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        code = worker.process.exitcode or 0
        return Failure(SamebookError.exit_code, f"its process was ended by signal {-code}" if code < 0 else "it ended")


def _loop(pipe: Connection, work: Callable[[Any], Any], parent: int) -> None:
    """In a worker: do one piece after the other, until there are no more, or the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the parent too, which ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    processes.end_with(parent)
    processes.share()
    with suppress(EOFError, OSError, Interrupted):
        while True:
            pipe.send(_result(pipe.recv(), work))


def _result(item: Any, work: Callable[[Any], Any]) -> Any:
    try:
        return work(item)
    except Interrupted:
        raise
    except SamebookError as error:
        mend = [f"{ARROW}{error.mend}"] if error.mend else []
        return Failure(error.exit_code, "\n".join((str(error), *notes(error), *mend)))
    except OSError as error:
        return Failure(SamebookError.exit_code, str(error))


def _end(workers: Sequence[_Worker[Any]]) -> None:
    """End these workers: by SIGTERM first, then by SIGKILL."""
    for worker in workers:
        worker.pipe.close()
        worker.process.terminate()
    deadline = time.monotonic() + PATIENCE
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        worker.process.kill()
        worker.process.join()
