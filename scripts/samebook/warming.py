"""Zygotes for the runs of a notebook: which kind it takes, and one for as long as a command needs it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samebook import environment, imported, kernels
from samebook.kernels import Kind, Started
from samebook.preparation import Prepared


def kind(prepared: Prepared) -> Kind:
    """The kind of zygote whose kernels would be the same as a cold one of this run."""
    env = environment.base_env(prepared.workspace) | environment.threads(prepared.settings.threads)
    packages = environment.identity(prepared.workspace)["digest"]
    return kernels.kind(packages, imported.modules(prepared.notebook, prepared.path.parent), env)


@contextmanager
def zygote(prepared: Prepared, folder: Path, *, idle: float = 0, limit: int = 0) -> Iterator[Started]:
    """A zygote for the runs of this notebook while the block runs, with its socket in the folder."""
    with kernels.zygote(kind(prepared), prepared.path.parent, folder, idle=idle, limit=limit) as started:
        yield started


@contextmanager
def warmed(prepared: Prepared) -> Iterator[str]:
    """Inside the block, runs of this notebook that are started from here have warm kernels; else why not."""
    if not kernels.can_fork():
        yield "this platform can't fork"
        return
    with kernels.sockets() as folder, zygote(prepared, Path(folder)) as started:
        before = os.environ.get(kernels.FOLDER)
        os.environ[kernels.FOLDER] = folder
        try:
            yield started.refused
        finally:
            os.environ.pop(kernels.FOLDER)
            os.environ.update({kernels.FOLDER: before} if before else {})
