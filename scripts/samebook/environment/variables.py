"""The environment variables of a kernel: fixed ones, those of its numerics, and the caller's."""

import os
import tempfile
from pathlib import Path

from samebook.core import make
from samebook.core.workspace import Workspace
from samebook.environment import numerics
from samebook.environment.numerics import Numerics

# Variables of the caller that must not reach a kernel.
PRIVATE = (
    *("JUPYTER_PATH", "MPLBACKEND", "SECRETS", "SIGNING_KEY"),
    *("SAMEBOOK_HASH_SEED", "SAMEBOOK_LOWERED_LEVEL", "SAMEBOOK_NUMERICS"),
    *("SAMEBOOK_RUN", "SAMEBOOK_TAG", "SAMEBOOK_WARM"),
)

# The beginnings of those that would decide what is computed: by PYTHONOPTIMIZE no assert would count, and by the others
# numeric libraries would have another level, other threads or other functions than the settings say.
DECISIVE = (
    *("PYTHON", "GLIBC_", "LD_PRELOAD", "NPY_", "NUMBA_", "ARROW_USER_", "ATEN_", "DNNL_", "ONEDNN_"),
    *("OMP_", "GOMP_", "KMP_", "OPENBLAS_", "GOTO_", "BLIS_", "MKL_", "VECLIB_"),
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


def of_any_kernel(workspace: Workspace, of_kernel: Numerics | None = None) -> dict[str, str]:
    """The environment variables of every kernel with these numerics, by default the default ones: the caller's without
    the private ones, the fixed ones, and those of the numerics.

    A reproduction has a temporary folder of its own: each kernel gets the variable, or it would tell the two apart.
    """
    private = {*PRIVATE, *make.variables()}
    inherited = {
        name: value for name, value in os.environ.items() if not (name in private or name.startswith(DECISIVE))
    }
    matplotlib = {"MATPLOTLIBRC": str(workspace.environments / "matplotlibrc")}
    own = {**fixed(workspace), **matplotlib, **(of_kernel or numerics.of()).variables()}
    return {"TMPDIR": tempfile.gettempdir(), **inherited, **own}


def of_kernel(workspace: Workspace, run: Path, env: str, scratch: Path, numerics: Numerics) -> dict[str, str]:
    """The environment variables of a run's kernel."""
    own = {
        "SAMEBOOK_RUN": str(run),
        "SAMEBOOK_ENV": env,
        "SAMEBOOK_WORKSPACE": str(workspace.root),
        "IPYTHONDIR": str(scratch / "ipython"),
    }
    return {**of_any_kernel(workspace, numerics), **own}
