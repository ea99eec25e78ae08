"""The environment variables of a kernel: what is fixed, what is the caller's, and how many threads it may take."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samebook.core import make
from samebook.core.workspace import Workspace
from samebook.environment import machine

# What of a user's own shell must not reach a kernel.
# (PYTHON… too: PYTHONOPTIMIZE would switch every check off.)
REMOVED = ("JUPYTER_PATH", "MPLBACKEND", "SAMEBOOK_RUN", "SAMEBOOK_WARM", "SIGNING_KEY")


def fixed(workspace: Workspace) -> dict[str, str]:
    """The variables that are fixed for every kernel, from environments/variables.env.

    SAMEBOOK_HASH_SEED takes the place of the seed there: `reproduce --times` looks for what a fixed seed hides.
    """
    lines = (workspace.environments / "variables.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    values = {name: value for name, _, value in pairs}
    seed = os.environ.get("SAMEBOOK_HASH_SEED")
    return {**values, "PYTHONHASHSEED": seed} if seed else values


def base(workspace: Workspace) -> dict[str, str]:
    """The variables that all kernels have alike: the caller's, less what is private to it, plus what is fixed."""
    private = {*REMOVED, *make.variables(), *(name for name in os.environ if name.startswith("PYTHON"))}
    inherited = {name: value for name, value in os.environ.items() if name not in private}
    matplotlib = {"MATPLOTLIBRC": str(workspace.environments / "matplotlibrc")}
    return {**inherited, **fixed(workspace), **matplotlib}


def of_kernel(workspace: Workspace, run: Path, env: str, scratch: Path) -> dict[str, str]:
    """The environment variables of a run's kernel."""
    ours = {
        "SAMEBOOK_RUN": str(run),
        "SAMEBOOK_ENV": env,
        "SAMEBOOK_WORKSPACE": str(workspace.root),
        "IPYTHONDIR": str(scratch / "ipython"),
    }
    return {**base(workspace), **ours}


def threads(asked: int) -> dict[str, str]:
    """The variable that says how many threads a kernel may take: the caller's, else `asked`; 0 for all cores."""
    told = os.environ.get("OMP_NUM_THREADS") or str(asked or "")
    return {"OMP_NUM_THREADS": told} if told else {}


@contextmanager
def shared_cores(jobs: int) -> Iterator[None]:
    """Inside the block, so many kernels share the cores, unless the caller has said how many threads each may take."""
    if os.environ.get("OMP_NUM_THREADS"):
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(max(1, machine.cores() // jobs))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
