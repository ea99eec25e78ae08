"""The work of a notebook beside its cells: threads and tasks that end with an error, processes that nobody waits for.

A cell ends well whatever becomes of them, and a run whose work has failed must not count as done.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samebook.core.errors import CellFailed
from samebook.core.processes import EXIT_CODE, START_OF_STACK, STATE, stat
from samebook.records import run_folder

KIND = "failure"
# What Python says of an error that ends a thread of `_thread`, which no hook of threads hears of.
LOW_LEVEL = "Exception ignored in thread started by"
MADE_FOR_THREAD = "_make_invoke_excepthook"
# Processes of Python's own and of joblib that outlive the work which they are for.
HELPERS = ("resource_tracker", "forkserver", "loky", "spawn_main")


@dataclass(frozen=True)
class Child:
    """A process that the kernel has started and not waited for; `exit_code` is None while it runs."""

    name: str
    exit_code: int | None


@dataclass
class _Failures:
    """The failures beside the cells of a kernel, which are recorded in the run's folder.

    Of the cell that runs it has whether that may end with an error, and the threads that were there before it; `depth`
    counts the cells that a cell runs itself, by `run_cell`: they are a part of it. The message of an error is left out:
    it may hold a secret, and the notebook shows it.
    """

    run: Path
    shell: Any
    may_raise: bool = False
    before: frozenset[threading.Thread] = frozenset()
    depth: int = 0

    def begin(self, _: object) -> None:
        self.depth += 1
        if self.depth == 1:
            with suppress(RuntimeError):  # without a loop no cell can start a task
                loop = asyncio.get_running_loop()
                if loop.get_exception_handler() is None:
                    loop.set_exception_handler(self.of_loop)
            # The request of a cell tagged `raises-exception` says that the cells after it are to be executed anyway.
            self.may_raise = not self.shell.kernel.get_parent()["content"].get("stop_on_error", True)
            self.before = frozenset(threading.enumerate())

    def end(self, result: Any) -> None:
        if result.info.raw_cell.strip():  # of an empty cell IPython tells the end alone
            self.depth -= 1
        if not self.depth:
            self.may_raise, self.before = False, frozenset()

    def record(self, text: str) -> None:
        run_folder.append_event(self.run, {"kind": KIND, "name": "failure", "text": text})

    def asked(self, _: object) -> None:
        self.record("the notebook asked its kernel to end")

    def of_thread(self, thread: threading.Thread) -> None:
        error = sys.exception()
        if isinstance(error, Exception) and not (self.may_raise and thread not in self.before):
            self.record(f"the thread {thread.name} ended with {type(error).__name__}")

    def of_low_level(self, arguments: Any) -> None:
        is_thread = str(arguments.err_msg or "").startswith(LOW_LEVEL)
        if is_thread and issubclass(arguments.exc_type, Exception) and not self.may_raise:
            self.record(f"a thread without a name ended with {arguments.exc_type.__name__}")

    def of_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)
        error = context.get("exception")
        if isinstance(error, Exception) and not self.may_raise:
            self.record(f"a task, or a call of the event loop, ended with {type(error).__name__}")


def start(run: str) -> None:
    """Record from now on, in the run's folder, each thread that ends with an error, each error of the kernel's event
    loop that nobody has awaited, and the wish that the kernel ends.

    What a cell tagged `raises-exception` has started may end with an error in that cell. A hook that the notebook sets
    comes after these.
    """
    from IPython.core.getipython import get_ipython  # a runner never imports it

    shell = get_ipython()
    failures, unraisable = _Failures(Path(run), shell), sys.unraisablehook
    # A thread calls what this has made, and not threading.excepthook, which the notebook may set.
    made = getattr(threading, MADE_FOR_THREAD)

    def invoke_excepthook() -> Callable[[threading.Thread], None]:
        invoke = made()

        def recorded(thread: threading.Thread) -> None:
            failures.of_thread(thread)
            invoke(thread)

        return recorded

    def hook(arguments: Any) -> None:
        failures.of_low_level(arguments)
        unraisable(arguments)

    setattr(threading, MADE_FOR_THREAD, invoke_excepthook)
    sys.unraisablehook = hook
    if shell:
        shell.observe(failures.asked, "exit_now")
        shell.events.register("pre_run_cell", failures.begin)
        shell.events.register("post_run_cell", failures.end)


def check(run: Path) -> None:
    """Raise CellFailed where work beside the cells has failed."""
    if failure := next(run_folder.events(run, KIND), None):
        raise CellFailed(
            f"{failure['text']}, though each cell ended well", mend="concurrent.futures hands errors to the cell"
        )


def check_children(pid: int) -> Iterator[str]:
    """A line for each process that still runs. Raises CellFailed for one that has failed, and nobody asked."""
    for child in _children(pid):
        if child.exit_code:
            raise CellFailed(
                f"the process {child.name} ended with exit code {child.exit_code}, and no cell has waited for it",
                mend="subprocess.run(…, check=True) in the cell",
            )
        if child.exit_code is None:
            yield f"the process {child.name} still runs at the notebook's end: its results may be half written"


def _children(pid: int) -> Iterator[Child]:
    """The processes that a process has started, but helpers; where there is no /proc, none are known."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for number in path.read_text().split():
            with suppress(OSError):  # it has just ended, and was waited for
                command = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace")
                name, fields = stat(int(number))
                code = (int(fields[EXIT_CODE]) >> 8) if fields[STATE] in "ZX" else None
                if not any(helper in command for helper in HELPERS):
                    yield Child(name, code)


def program(pid: int) -> str:
    """A mark of the program that a process runs, which changes with exec; "" where Linux does not say."""
    with suppress(OSError):
        return stat(pid)[1][START_OF_STACK]
    return ""
