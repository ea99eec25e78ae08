"""Zygotes for the runs of a notebook: which kind it takes, and one for as long as a command needs it."""

import importlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from samebook import environment, imported, kernels, runners, zygotes
from samebook.kernels import Kind
from samebook.preparation import Prepared
from samebook.zygote import RUNNER

# Bytes of free memory with which imports are kept: with less, kernels start cold, one after the other.
ENOUGH = 1 << 30
# For so many runs it pays to keep what they import.
MANY = 3


def kind(prepared: Prepared, packages: str) -> Kind:
    """The kind of zygote whose kernels would be the same as a cold one of this run.

    `packages` is the digest of the environment.
    """
    env = environment.base_env(prepared.workspace) | environment.threads(prepared.settings.threads)
    return kernels.kind(packages, imported.by_file(prepared.path), env)


@contextmanager
def warmed(prepared: Prepared) -> Iterator[str]:
    """Inside the block, runs of this notebook that are forked from this process have warm kernels; else why not."""
    if why := _impossible():
        yield why
        return
    with zygotes.sockets() as folder:
        wanted = kind(prepared, environment.identity(prepared.workspace)["digest"])
        with zygotes.zygote(wanted, prepared.path.parent, Path(folder)) as started:
            importlib.import_module(RUNNER)  # what each of them needs, while the zygote imports
            refused = started.refused
            with _told(folder):
                yield refused


class Programs:
    """Warm kernels and runners for runs that are programs of their own, from the first one on until the block ends.

    Those that are asked for while they are importing are waited for: to start cold would take as long.
    """

    def __init__(self, times: int = 1) -> None:
        """`times` is how often each of the runs is going to be started."""
        self.times = times
        self._stack, self._lock = ExitStack(), threading.Lock()
        self._folder = ""
        self._started: set[str] = set()
        self._is_warm: dict[str, bool] = {}

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def variables(self, notebook: str, runs: Callable[[], Sequence[Prepared]]) -> dict[str, str]:
        """What tells a run of this notebook where its kernel comes from.

        Of a notebook that is new here, `runs` are those that are going to be started with it.
        """
        with self._lock:
            if notebook not in self._is_warm:
                self._is_warm |= {notebook: False, **self._kept(runs())}
            return {zygotes.FOLDER: self._folder} if self._is_warm[notebook] else {}

    def _kept(self, runs: Sequence[Prepared]) -> dict[str, bool]:
        """By notebook, whether it has warm kernels: where there are enough runs of its kind to pay for them."""
        if not runs or zygotes.folder(runs[0].workspace) or _impossible():
            return {}
        packages = environment.identity(runs[0].workspace)["digest"]
        kinds = [(kind(each, packages), each) for each in runs]
        often = Counter(each.name for each, _ in kinds)
        warm = {run.request.notebook: often[each.name] * self.times >= MANY for each, run in kinds}
        for each, run in kinds:
            if warm[run.request.notebook]:
                self._keep(runners.kind(run.workspace), run.workspace.root)
                self._keep(each, run.path.parent)
        return warm

    def _keep(self, wanted: Kind, cwd: Path) -> None:
        if wanted.name not in self._started:
            self._folder = self._folder or self._stack.enter_context(zygotes.sockets())
            self._stack.enter_context(zygotes.zygote(wanted, cwd, Path(self._folder)))
            self._started.add(wanted.name)


def _impossible() -> str:
    if not zygotes.can_fork():
        return "this platform can't fork"
    free = environment.memory()
    return f"{free >> 20} MiB of memory are free, too few to keep imports in" if free < ENOUGH else ""


@contextmanager
def _told(folder: str) -> Iterator[None]:
    before = os.environ.get(zygotes.FOLDER)
    os.environ[zygotes.FOLDER] = folder
    try:
        yield
    finally:
        os.environ.pop(zygotes.FOLDER)
        os.environ.update({zygotes.FOLDER: before} if before else {})
