"""The environment variables of a kernel: fixed ones, the caller's, and the number of threads."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samebook.core import make
from samebook.core.workspace import Workspace
from samebook.environment import machine

# Variables of the caller that must not reach a kernel.
PRIVATE = (
    *("JUPYTER_PATH", "MPLBACKEND", "SIGNING_KEY"),
    *("SAMEBOOK_HASH_SEED", "SAMEBOOK_RUN", "SAMEBOOK_TAG", "SAMEBOOK_WARM"),
)


def fixed(workspace: Workspace) -> dict[str, str]:
    """The variables in environments/variables.env, which are the same for every kernel.

    SAMEBOOK_HASH_SEED overrides the seed: `reproduce --times` looks for differences that a fixed seed hides.
    """
    lines = (workspace.environments / "variables.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    values = {name: value for name, _, value in pairs}
    seed = os.environ.get("SAMEBOOK_HASH_SEED")
    return {**values, "PYTHONHASHSEED": seed} if seed else values


def of_any_kernel(workspace: Workspace) -> dict[str, str]:
    """The environment variables of every kernel: the caller's without the private ones, and the fixed ones.

    A reproduction has a temporary folder of its own: each kernel gets the variable, or it would tell the two apart.
    """
    # PYTHON… variables stay out too: PYTHONOPTIMIZE would disable every assert.
    private = {*PRIVATE, *make.variables(), *(name for name in os.environ if name.startswith("PYTHON"))}
    inherited = {name: value for name, value in os.environ.items() if name not in private}
    matplotlib = {"MATPLOTLIBRC": str(workspace.environments / "matplotlibrc")}
    return {"TMPDIR": tempfile.gettempdir(), **inherited, **fixed(workspace), **matplotlib}


def of_kernel(workspace: Workspace, run: Path, env: str, scratch: Path) -> dict[str, str]:
    """The environment variables of a run's kernel."""
    own = {
        "SAMEBOOK_RUN": str(run),
        "SAMEBOOK_ENV": env,
        "SAMEBOOK_WORKSPACE": str(workspace.root),
        "IPYTHONDIR": str(scratch / "ipython"),
    }
    return {**of_any_kernel(workspace), **own}


def openmp_threads(count: int) -> dict[str, str]:
    """The variable OMP_NUM_THREADS: the caller's value, else `count`.

    It is left out where neither is given (`count` is 0): the kernel then uses all cores.
    """
    value = os.environ.get("OMP_NUM_THREADS") or str(count or "")
    return {"OMP_NUM_THREADS": value} if value else {}


@contextmanager
def shared_cores(jobs: int) -> Iterator[None]:
    """Divide the cores among `jobs` kernels inside the block, unless the caller has set OMP_NUM_THREADS."""
    if os.environ.get("OMP_NUM_THREADS"):
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(max(1, machine.cores() // jobs))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
