"""Zygotes for the runs of a notebook: which kind it takes, and one for as long as a command needs it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from samebook import environment, imported, kernels, zygotes
from samebook.kernels import Kind
from samebook.preparation import Prepared

# Bytes of free memory with which imports are kept: with less, kernels start cold, one after the other.
ENOUGH = 1 << 30


def kind(prepared: Prepared, packages: str) -> Kind:
    """The kind of zygote whose kernels would be the same as a cold one of this run.

    `packages` is the digest of the environment.
    """
    env = environment.base_env(prepared.workspace) | environment.threads(prepared.settings.threads)
    return kernels.kind(packages, imported.by_file(prepared.path), env)


@contextmanager
def warmed(notebooks: Sequence[Prepared]) -> Iterator[str]:
    """Inside the block, runs of these notebooks that are started from here have warm kernels; else why not."""
    if why := _impossible():
        yield why
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(zygotes.sockets()))
        packages = environment.identity(notebooks[0].workspace)["digest"] if notebooks else ""
        kinds = {(found := kind(each, packages)).name: (found, each.path.parent) for each in notebooks}
        refused = [stack.enter_context(zygotes.zygote(*each, folder)).refused for each in kinds.values()]
        stack.enter_context(_told(folder))
        yield next(filter(None, refused), "")


def _impossible() -> str:
    if not zygotes.can_fork():
        return "this platform can't fork"
    free = environment.memory()
    return f"{free >> 20} MiB of memory are free, too few to keep imports in" if free < ENOUGH else ""


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    before = os.environ.get(zygotes.FOLDER)
    os.environ[zygotes.FOLDER] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(zygotes.FOLDER)
        os.environ.update({zygotes.FOLDER: before} if before else {})
