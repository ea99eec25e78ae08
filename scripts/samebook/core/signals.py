"""Ctrl-C and SIGTERM as an error, so that every `finally` on the way out is kept."""

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

PATIENCE = 20
GRACE = 2


class _Stop(KeyboardInterrupt):
    """A signal on its way out: asyncio lets a KeyboardInterrupt through, and would swallow an error of ours."""


@contextmanager
def as_errors() -> Iterator[None]:
    """Inside the block both signals raise Interrupted, in the main thread; a repeat within GRACE seconds does not,
    so that what the first one has started to clean up is cleaned up.
    """
    heard, first = float("-inf"), 0

    def stop(signum: int, _: FrameType | None) -> None:
        nonlocal heard, first
        if time.monotonic() - heard < GRACE:
            return
        heard, first = time.monotonic(), signum
        raise _Stop(signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:  # some libraries make a plain one of ours
        # The tasks that were under way failed with the kernel: nobody asks for their errors any more.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise Interrupted(first or signal.SIGINT) from None
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def run_interruptibly[Result](work: Callable[[], Result], stopped: Callable[[], bool] = lambda: False) -> Result:
    """What `work` returns, or raises; in a thread of its own, so that a signal is heard while C code is at work.

    Outside the main thread, which alone hears signals, `stopped` tells of one: then Interrupted is raised.
    """
    done: queue.SimpleQueue[Callable[[], Result]] = queue.SimpleQueue()

    def told() -> None:
        try:
            found = work()
        except Exception as error:  # for the caller
            done.put(partial(_raise, error))
        else:
            done.put(lambda: found)

    threading.Thread(target=told, daemon=True).start()
    while True:
        try:
            return done.get(timeout=GRACE)()
        except queue.Empty:
            if stopped():
                raise Interrupted(signal.SIGTERM) from None


def _raise(error: Exception) -> NoReturn:
    raise error


def call(command: Sequence[str], folder: Path, env: Mapping[str, str], output: BinaryIO | None = None) -> int:
    """Run a command with all that it starts in a group of its own, which ends with this call; its exit code.

    What it says goes to `output`, where that is given.
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
