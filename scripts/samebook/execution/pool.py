"""Zygotes for the runs of a notebook: which kind it takes, and one for as long as a command needs it."""

import importlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from samebook.core.errors import SamebookError
from samebook.environment import identity, machine, variables
from samebook.execution.preparation import PreparedRun
from samebook.execution.warm import client, imports, kernels, runner
from samebook.execution.warm.kernels import Kind
from samebook.execution.warm.zygote import RUNNER

if TYPE_CHECKING:
    from samebook.execution.warm.client import ZygoteProcess

# Bytes of free memory with which imports are kept: with less, kernels start cold, one after the other.
ENOUGH = 1 << 30
# For so many runs it pays to keep what they import.
MIN_RUNS = 4


def kind(prepared: PreparedRun, packages: str) -> Kind:
    """The kind of zygote whose kernels would be the same as a cold one of this run.

    `packages` is the digest of the environment.
    """
    env = variables.base(prepared.workspace) | variables.threads(prepared.settings.threads)
    return kernels.kind(packages, imports.of_notebook(prepared.path), env)


@contextmanager
def warm_kernels(prepared: PreparedRun) -> Iterator[str]:
    """Inside the block, runs of this notebook that are forked from this process have warm kernels; else why not."""
    if why := _impossible():
        yield why
        return
    with client.socket_folder() as folder:
        wanted = kind(prepared, identity.of(prepared.workspace)["digest"])
        with client.zygote(wanted, prepared.path.parent, Path(folder)) as started:
            importlib.import_module(RUNNER)  # what each of them needs, while the zygote imports
            refused = started.refusal
            with _told(folder):
                yield refused


class Pool:
    """Warm kernels and runners for runs that are programs of their own, until the block ends.

    The first run of a notebook that will be run often starts what they come from; until that has imported all, runs
    start cold.
    """

    def __init__(self, times: int = 1) -> None:
        """`times` is how often each run is still going to be started, at most."""
        self.times = times
        self._stack, self._lock = ExitStack(), threading.Lock()
        self._folder = ""
        self._started: dict[str, ZygoteProcess] = {}
        # By notebook, the kinds that its runs take; none where they start cold.
        self._kinds: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def variables(self, notebook: str, runs: Callable[[], Sequence[PreparedRun]], count: int) -> dict[str, str]:
        """What tells a run of this notebook where its kernel comes from, if there is a warm one.

        Of a notebook that is new here, `runs` are those that are going to be started with it, `count` at most.
        """
        with self._lock:
            if notebook not in self._kinds and count * self.times >= MIN_RUNS and not _impossible():
                self._kinds[notebook] = ()
                with suppress(SamebookError, OSError):  # whatever is wrong, the run will tell
                    self._keep(runs())
            kinds = self._kinds.get(notebook, ())
            is_warm = bool(kinds) and all(self._started[name].is_ready for name in kinds)
        return {client.FOLDER: self._folder} if is_warm else {}

    def _keep(self, runs: Sequence[PreparedRun]) -> None:
        """Start what enough of these runs take."""
        packages = identity.of(runs[0].workspace)["digest"]
        kinds = [(kind(each, packages), each) for each in runs]
        often = Counter(each.name for each, _ in kinds)
        room = len(self._started) + machine.free_memory() // ENOUGH
        for each, run in kinds:
            self._kinds.setdefault(run.request.notebook, ())
            has_room = each.name in self._started or len(self._started) < room
            if has_room and often[each.name] * self.times >= MIN_RUNS:
                wanted = [(runner.kind(run.workspace), run.workspace.root), (each, run.path.parent)]
                self._kinds[run.request.notebook] = tuple(self._start(*one) for one in wanted)

    def _start(self, wanted: Kind, cwd: Path) -> str:
        if wanted.name not in self._started:
            self._folder = self._folder or self._stack.enter_context(client.socket_folder())
            self._started[wanted.name] = self._stack.enter_context(client.zygote(wanted, cwd, Path(self._folder)))
        return wanted.name


def _impossible() -> str:
    if not client.can_fork():
        return "this platform can't fork"
    free = machine.free_memory()
    return f"{free >> 20} MiB of memory are free, too few to keep imports in" if free < ENOUGH else ""


@contextmanager
def _told(folder: str) -> Iterator[None]:
    before = os.environ.get(client.FOLDER)
    os.environ[client.FOLDER] = folder
    try:
        yield
    finally:
        os.environ.pop(client.FOLDER)
        os.environ.update({client.FOLDER: before} if before else {})
