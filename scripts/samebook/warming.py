"""Zygotes for the runs of a notebook: which kind it takes, and one for as long as a command needs it."""

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from samebook import environment, imported, kernels, runners, zygotes
from samebook.kernels import Kind
from samebook.preparation import Prepared
from samebook.zygote import RUNNER

# Bytes of free memory with which imports are kept: with less, kernels start cold, one after the other.
ENOUGH = 1 << 30


def kind(prepared: Prepared, packages: str) -> Kind:
    """The kind of zygote whose kernels would be the same as a cold one of this run.

    `packages` is the digest of the environment.
    """
    env = environment.base_env(prepared.workspace) | environment.threads(prepared.settings.threads)
    return kernels.kind(packages, imported.by_file(prepared.path), env)


@contextmanager
def warmed(notebooks: Sequence[Prepared], *, programs: bool = False) -> Iterator[str]:
    """Inside the block, runs of these notebooks that are started from here have warm kernels; else why not.

    Those that are `programs` of their own have warm runners too; without notebooks nothing changes.
    """
    why = _impossible() if notebooks else ""
    if why or not notebooks:
        yield why
        return
    with ExitStack() as stack:
        found, folder = notebooks[0].workspace, Path(stack.enter_context(zygotes.sockets()))
        packages = environment.identity(found)["digest"]
        kinds = {(each := kind(notebook, packages)).name: (each, notebook.path.parent) for notebook in notebooks}
        wanted = [*kinds.values(), *([(runners.kind(found), found.root)] if programs else [])]
        started = [stack.enter_context(zygotes.zygote(*each, folder)) for each in wanted]
        if not programs:
            importlib.import_module(RUNNER)  # for runs that are forked from here, while the zygotes import
        refused = [each.refused for each in started]
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
