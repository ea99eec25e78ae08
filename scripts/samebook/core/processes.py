"""Programs that run side by side. They end with the process that started them, even if it is killed."""

import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

from samebook.core import signing_programs
from samebook.core.signing_programs import PARENT, SigningProgram

# Seconds between SIGTERM and SIGKILL. A kernel takes far less to end.
PATIENCE = 8
# The variable with the pipeline and the step that a run is made for; it stands in the run's log.
STEP = "SAMEBOOK_STEP"
# Seconds between two looks at the parent.
POLL = 0.5
# A pipe's capacity in bytes, at most; and milliseconds between two looks at whether its block has ended.
CAPACITY, PIPE_POLL = 1 << 20, 200
# How often SIGTERM is sent before SIGKILL.
ATTEMPTS = 2
# Seconds for which one look serves all pieces of work: what changes meanwhile changes beside a piece, too.
RECENT = 2.0
_shared: dict[object, tuple[float, object]] | None = None
# The option of mallopt for the most heaps of a process: https://man7.org/linux/man-pages/man3/mallopt.3.html
ARENA_MAX = -8
# The places in /proc/<pid>/stat, after the name: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
STATE, SESSION, START, START_OF_STACK, EXIT_CODE = 0, 3, 19, 25, 49


@dataclass(frozen=True)
class ProcessResult:
    """A program's exit code and its output."""

    exit_code: int
    stdout: str
    stderr: str


class Processes:
    """The programs that this process started, each in a process group of its own; `stop` ends them all."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str] | SigningProgram] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def call(
        self, command: Sequence[str], folder: Path, env: Mapping[str, str], locks: Sequence[int] = ()
    ) -> ProcessResult:
        """Run a program to its end; returns its result.

        The program ends early where this process does, and inherits the descriptors in `locks`.
        """
        with self._lock:
            if self._stopped:
                return ProcessResult(128 + signal.SIGTERM, "", "stopped")
            # samebook's own programs watch PARENT; others would ignore it.
            parent = {PARENT: str(os.getpid())} if command[0] == sys.executable else {}
            process = signing_programs.start(command, folder, {**env, **parent}, locks)
            self._running.add(process)
        try:
            output = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        return ProcessResult(process.returncode or 0, *output)

    @property
    def is_stopped(self) -> bool:
        return self._stopped

    def stop(self) -> None:
        """End the programs, by SIGTERM and after PATIENCE by SIGKILL. No other can start from now on."""
        with self._lock:
            self._stopped = True
            running = tuple(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[str] | SigningProgram, signum: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signum)


def share() -> None:
    """From now on, have the pieces of work of this process share what is `shared`."""
    global _shared
    _shared = {}


def shared[Result](work: Callable[..., Result], *arguments: Hashable) -> Result:
    """The result of `work`. Where this process shares, it is that of RECENT seconds ago at most, if there is one."""
    if _shared is None:
        return work(*arguments)
    began, result = _shared.get((work, arguments), (float("-inf"), None))
    if (now := time.monotonic()) - began > RECENT:
        result = work(*arguments)
        _shared[work, arguments] = (now, result)
    return cast("Result", result)


def exit_at_once(code: int = 0) -> NoReturn:
    """End this process without Python's clean-up, which takes as long as a small run."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os._exit(code)


def leave_no_core_dumps() -> None:
    """Let this process and those that it starts leave no image of their memory, which may hold a secret."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def keep_one_heap() -> None:
    """Let all threads of this process share a heap: with one for each of them, as glibc has, a run takes 9 MiB more."""
    with suppress(AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(ARENA_MAX, 1)


def end_with_parent() -> None:
    """End this program with the process that started it by `Processes.call`, if one did."""
    parent = os.environ.pop(PARENT, "")
    if parent:
        end_with(int(parent))


def end_with(parent: int) -> None:
    """End this program once the process `parent`, which started it, has ended.

    It is ended by SIGTERM, and in the end by SIGKILL.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL)
    # A library's clean-up may swallow the error that the first signal raises.
    for _ in range(ATTEMPTS):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE / ATTEMPTS)
    os.kill(os.getpid(), signal.SIGKILL)


def stat(pid: int) -> tuple[str, list[str]]:
    """The name of a process's program, and what Linux says of it after the name. Raises OSError where there is none."""
    text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    name, _, fields = text.partition("(")[2].rpartition(")")
    return name, fields.split()


def mark(pid: int) -> str:
    """A mark of a process: its id and the time of its start, as ids come again; "" where Linux does not say."""
    with suppress(OSError):
        return f"{pid} {stat(pid)[1][START]}"
    return ""


def end_survivors(leader: str, variable: str) -> None:
    """Kill the processes of a session, by the mark of its leader, and those that were started with this variable."""
    deadline = time.monotonic() + PATIENCE
    while (survivors := _survivors(leader, variable.encode())) and time.monotonic() < deadline:
        for pid in survivors:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL / 10)


def _survivors(leader: str, variable: bytes) -> list[int]:
    """The ids of these processes, but for this one and those that have ended; none where there is no /proc."""
    session = leader.partition(" ")[0]
    is_same, pids = bool(leader) and mark(int(session)) == leader, list[int]()
    for pid in (int(path.name) for path in Path("/proc").glob("[0-9]*")):
        with suppress(OSError):  # it has just ended, or is another user's
            fields = stat(pid)[1]
            is_one = (is_same and fields[SESSION] == session) or (
                variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            )
            if is_one and fields[STATE] not in "ZX" and pid != os.getpid():
                pids.append(pid)
    return pids


@contextmanager
def forwarded(take: Callable[[bytes], None]) -> Iterator[int]:
    """A file descriptor for programs to write into while the block runs; a thread hands what they write to `take`.

    A process that outlives the block writes in vain.
    """
    reader, writer = os.pipe()
    ended = threading.Event()
    thread = threading.Thread(target=_forward, args=(reader, ended, take), daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        os.close(writer)
        ended.set()
        thread.join()
        os.close(reader)


def _forward(reader: int, ended: threading.Event, take: Callable[[bytes], None]) -> None:
    """Read until nobody writes any more; after the block's end, only what is in the pipe."""
    poll, is_last = select.poll(), False
    poll.register(reader, select.POLLIN)
    while not is_last:
        is_last = ended.is_set()
        if poll.poll(0 if is_last else PIPE_POLL):
            content = os.read(reader, CAPACITY)
            is_last = is_last or not content
            take(content)
