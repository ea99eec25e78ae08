"""Zygotes for the runs of a command: the kind that a run takes, and as many as pay, until the command ends."""

import importlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from samebook.core.errors import SamebookError
from samebook.environment import identity, machine, variables
from samebook.execution.preparation import PreparedRun
from samebook.execution.warm import face
from samebook.execution.warm.face import Kind, ZygoteProcess

# Bytes of free memory that a zygote needs: with less, kernels start cold, one after the other.
ZYGOTE_MEMORY = 1 << 30
# The number of runs from which on a zygote pays.
MIN_RUNS = 4


def kind(prepared: PreparedRun, packages: str) -> Kind:
    """The kind of zygote whose kernels would be the same as a cold one of this run.

    `packages` is the digest of the environment.
    """
    env = variables.of_any_kernel(prepared.workspace, prepared.numerics, prepared.callers.handed)
    return face.kernel_kind(prepared.path, packages, env)


@contextmanager
def warm_kernels(prepared: PreparedRun) -> Iterator[str]:
    """Inside the block, runs of this notebook that are forked from this process have warm kernels.

    The block gets the reason why they start cold, "" where they are warm.
    """
    if obstacle := _obstacle():
        yield obstacle
        return
    with face.socket_folder() as folder:
        kernel_kind = kind(prepared, identity.of(prepared.workspace)["digest"])
        with face.zygote(kernel_kind, prepared.path.parent, Path(folder)) as zygote:
            importlib.import_module(face.RUNNER)  # the imports of the runs, while the zygote does those of the kernels
            refusal = zygote.refusal
            with _folder_variable(folder):
                yield refusal


class Pool:
    """Warm kernels and runners for runs that are programs of their own, until the block ends.

    The first run of a notebook that will be run often starts their zygotes; until these have imported all, runs
    start cold.
    """

    def __init__(self, times: int = 1) -> None:
        """`times` is the number of times that each run is still started, at most."""
        self.times = times
        self._stack, self._lock = ExitStack(), threading.Lock()
        self._folder = ""
        self._zygotes: dict[str, ZygoteProcess] = {}
        # By notebook, the names of the kinds that its runs take; none where they start cold.
        self._kinds: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def variables(self, notebook: str, runs: Callable[[], Sequence[PreparedRun]], count: int) -> dict[str, str]:
        """The variables for a run of this notebook, which name the folder of warm kernels if there are any for it.

        Of a notebook that is new here, `runs` are those that are going to be started with it, `count` at most.
        """
        with self._lock:
            if notebook not in self._kinds and count * self.times >= MIN_RUNS and not _obstacle():
                self._kinds[notebook] = ()
                with suppress(SamebookError, OSError):  # the run itself will raise it
                    self._start_frequent(runs())
            kinds = self._kinds.get(notebook, ())
            is_warm = bool(kinds) and all(self._zygotes[name].is_ready for name in kinds)
        return {face.FOLDER: self._folder} if is_warm else {}

    def _start_frequent(self, runs: Sequence[PreparedRun]) -> None:
        """Start the zygotes that enough of these runs take, as far as memory goes."""
        packages = identity.of(runs[0].workspace)["digest"]
        kinds = [kind(run, packages) for run in runs]
        counts = Counter(of_kernel.name for of_kernel in kinds)
        limit = len(self._zygotes) + machine.free_memory() // ZYGOTE_MEMORY
        for run, of_kernel in zip(runs, kinds, strict=True):
            self._kinds.setdefault(run.request.notebook, ())
            has_room = of_kernel.name in self._zygotes or len(self._zygotes) < limit
            if has_room and counts[of_kernel.name] * self.times >= MIN_RUNS:
                of_runner = self._start(face.runner_kind(run.workspace), run.workspace.root)
                self._kinds[run.request.notebook] = (of_runner, self._start(of_kernel, run.path.parent))

    def _start(self, kernel_kind: Kind, cwd: Path) -> str:
        if kernel_kind.name not in self._zygotes:
            self._folder = self._folder or self._stack.enter_context(face.socket_folder())
            self._zygotes[kernel_kind.name] = self._stack.enter_context(
                face.zygote(kernel_kind, cwd, Path(self._folder))
            )
        return kernel_kind.name


def _obstacle() -> str:
    """The reason why no kernel can be warm on this machine, "" where it can."""
    if not face.can_fork():
        return "this platform can't fork"
    free = machine.free_memory()
    return f"{free >> 20} MiB of memory are free, too few to keep imports in" if free < ZYGOTE_MEMORY else ""


@contextmanager
def _folder_variable(folder: str) -> Iterator[None]:
    """Inside the block, the variable that names the folder of zygotes is set."""
    before = os.environ.get(face.FOLDER)
    os.environ[face.FOLDER] = folder
    try:
        yield
    finally:
        os.environ.pop(face.FOLDER)
        os.environ.update({face.FOLDER: before} if before else {})
