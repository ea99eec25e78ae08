"""Ctrl-C, SIGTERM and the end of a terminal as an error, so that every `finally` runs on the way out."""

import logging
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

from samebook.core.errors import Interrupted

# Seconds between SIGTERM and SIGKILL for a command's process group.
PATIENCE = 20
# Seconds in which a repeated signal is ignored.
GRACE = 2


class _Stop(KeyboardInterrupt):
    """The error that a signal raises: asyncio lets a KeyboardInterrupt through, and would swallow a SamebookError."""


@contextmanager
def as_errors() -> Iterator[None]:
    """Inside the block, SIGINT, SIGTERM and SIGHUP raise Interrupted in the main thread; with nohup, SIGHUP does not.

    A second signal within GRACE seconds is ignored, so that the clean-up after the first is not cut short.
    """
    last_time, first = float("-inf"), 0

    def stop(signum: int, _: FrameType | None) -> None:
        nonlocal last_time, first
        if time.monotonic() - last_time < GRACE:
            return
        last_time, first = time.monotonic(), signum
        raise _Stop(signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stops = [signal.SIGINT, signal.SIGTERM, *[signal.SIGHUP] * (signal.getsignal(signal.SIGHUP) != signal.SIG_IGN)]
    handlers = {signum: signal.signal(signum, stop) for signum in stops}
    try:
        yield
    except KeyboardInterrupt:  # some libraries raise a plain one in place of _Stop
        # The kernel ended with the signal, and asyncio would report the errors of all tasks that waited for it.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise Interrupted(first or signal.SIGINT) from None
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)


def run_interruptibly[Result](work: Callable[[], Result], is_stopped: Callable[[], bool] = lambda: False) -> Result:
    """The result of `work`, or its error. It runs in a thread, so that a signal is noticed while C code is at work.

    Only the main thread gets signals; in another one, Interrupted is raised once `is_stopped` is true.
    """
    outcomes: queue.SimpleQueue[Callable[[], Result]] = queue.SimpleQueue()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # the caller's thread raises it
            outcomes.put(partial(_raise, error))
        else:
            outcomes.put(lambda: result)

    threading.Thread(target=run, daemon=True).start()
    while True:
        try:
            return outcomes.get(timeout=GRACE)()
        except queue.Empty:
            if is_stopped():
                raise Interrupted(signal.SIGTERM) from None


def _raise(error: Exception) -> NoReturn:
    raise error


def call(command: Sequence[str], folder: Path, env: Mapping[str, str], output: BinaryIO | int | None = None) -> int:
    """The exit code of a command that runs in `folder`, in a process group of its own, which ends with this call.

    Its output and its errors go to `output`; without one, to this process's own.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
    ) as process:
        try:
            return process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            raise


@contextmanager
def ignored() -> Iterator[None]:
    """Inside the block, which takes no time, SIGINT, SIGTERM and SIGHUP have no effect, here and in new processes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {
        signum: signal.signal(signum, signal.SIG_IGN) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
