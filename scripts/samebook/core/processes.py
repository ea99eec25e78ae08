"""Programs that run beside each other, and end with whoever started them, however that ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

# What a supervisor waits before it kills; a kernel is gone well before.
PATIENCE = 8
# The variable that tells a program whose end is its own.
PARENT = "SAMEBOOK_PARENT"
# The variable that tells a run which step of which pipeline it is, for its log.
STEP = "SAMEBOOK_STEP"
POLL = 0.5
TIMES = 2


@dataclass(frozen=True)
class ProcessResult:
    """How a program ended, and what it said."""

    exit_code: int
    stdout: str
    stderr: str


class Processes:
    """Those that were started from here, each in a group of its own; `stop` ends them all."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def call(
        self, command: Sequence[str], folder: Path, env: Mapping[str, str], held: Sequence[int] = ()
    ) -> ProcessResult:
        """Run a program to its end. It ends too when this process does; `held` are locks that it holds on to."""
        with self._lock:
            if self._stopped:
                return ProcessResult(128 + signal.SIGTERM, "", "stopped")
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**env, **({PARENT: str(os.getpid())} if command[0] == sys.executable else {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
                pass_fds=held,
            )
            self._running.add(process)
        try:
            told = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        return ProcessResult(process.returncode, *told)

    @property
    def is_stopped(self) -> bool:
        return self._stopped

    def stop(self) -> None:
        """End all of them, and let none start any more: asked first, then killed."""
        with self._lock:
            self._stopped = True
            running = tuple(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        for process in running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[str], signum: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signum)


def exit_at_once(code: int = 0) -> NoReturn:
    """End at once: to take apart in order all that a run has imported takes as long as a small run."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os._exit(code)


def end_with_parent() -> None:
    """Where this program was started by `Processes`: end, as if by SIGTERM, once that process is gone."""
    parent = os.environ.pop(PARENT, "")
    if parent:
        end_with(int(parent))


def end_with(parent: int) -> None:
    """End this program once its parent is no longer this one: as if by SIGTERM, and where that is lost, by SIGKILL."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL)
    # An error that a signal raises may be swallowed, where it comes in somebody's clean-up.
    for _ in range(TIMES):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE / TIMES)
    os.kill(os.getpid(), signal.SIGKILL)
