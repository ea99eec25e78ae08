"""The environment variables of a kernel: fixed ones, those of its numerics, and a short list of the caller's."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from samebook.core import make
from samebook.core.workspace import Workspace
from samebook.environment import numerics
from samebook.environment.numerics import Numerics

# The short list: the variables of the caller's shell that every kernel gets. All others only by name: `callers.py`.
# What decides a result is not in it (locale, zone, width of a terminal): a container has none of the caller's.
CALLERS = (
    *("PATH", "HOME", "TMPDIR", "USER", "LOGNAME"),
    *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "GIT_SSL_CAINFO"),
)
# samebook's own, by which a kernel finds its run and its settings, but for these.
OWN = "SAMEBOOK_"
PRIVATE = (
    *("SAMEBOOK_HASH_SEED", "SAMEBOOK_LOWERED_LEVEL", "SAMEBOOK_NUMERICS"),
    *("SAMEBOOK_RUN", "SAMEBOOK_TAG", "SAMEBOOK_WARM"),
)
# What no kernel gets by any name: the key signs, and the others choose what a kernel of this environment is.
NEVER = ("SIGNING_KEY", "SECRETS", "MPLBACKEND", "JUPYTER_PATH")
# The beginnings of variables by which numeric libraries have another level, other threads or other functions.
NUMERIC = (
    *("NPY_", "NUMBA_", "ARROW_USER_", "ATEN_", "DNNL_", "ONEDNN_"),
    *("OMP_", "GOMP_", "KMP_", "OPENBLAS_", "GOTO_", "BLIS_", "MKL_", "VECLIB_"),
)
# Those by which any program is another one: by PYTHONOPTIMIZE, no assert would count.
DECISIVE = ("PYTHON", "GLIBC_", "LD_PRELOAD", "LD_AUDIT")
# The names that the option -e gives, for the whole command and all that it starts.
EXTRA = "SAMEBOOK_EXTRA_VARIABLES"
NAME = r"[A-Za-z_][A-Za-z0-9_]*"
FIXED = "environments/variables.env"


def obstacle(name: str) -> tuple[str, str] | None:
    """Why a variable of the caller can't be handed to a kernel, and what does instead; None where it can."""
    if name.startswith(NUMERIC):
        return "numerics decide it", "numerics: or threads: in environments/<env>.yml"
    if name.startswith(DECISIVE):
        return "it would decide what is computed", f"edit {FIXED}, which every kernel gets"
    if name in NEVER:
        return "no kernel gets it", f"leave {name} out"
    if name in CALLERS or name.startswith(OWN):
        return "a kernel has it by itself", f"leave {name} out"
    return None


def fixed(workspace: Workspace) -> dict[str, str]:
    """The variables in environments/variables.env, which are the same for every kernel.

    SAMEBOOK_HASH_SEED overrides the seed: `reproduce --times` looks for differences that a fixed seed hides.
    """
    lines = (workspace.environments / "variables.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    values = {name: value for name, _, value in pairs}
    seed = os.environ.get("SAMEBOOK_HASH_SEED")
    return {**values, "PYTHONHASHSEED": seed} if seed else values


def inherited() -> dict[str, str]:
    """The caller's variables of the short list, and samebook's own, without what was meant for make."""
    private = {*PRIVATE, *make.variables()}
    return {
        name: value
        for name, value in os.environ.items()
        if (name in CALLERS or name.startswith(OWN)) and name not in private
    }


def of_any_kernel(
    workspace: Workspace, of_kernel: Numerics | None = None, handed: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment variables of every kernel with these numerics, by default the default ones: the caller's of the
    short list and those that are `handed` by name, the fixed ones, and those of the numerics.

    A reproduction has a temporary folder of its own: each kernel gets the variable, or it would tell the two apart.
    """
    files = (workspace.environments / "matplotlibrc", Path(__file__).with_name("matplotlib.rc"))
    matplotlib = {"MATPLOTLIBRC": str(next(filter(Path.is_file, files)))}
    own = {**fixed(workspace), **matplotlib, **(of_kernel or numerics.of()).variables()}
    return {"TMPDIR": tempfile.gettempdir(), **inherited(), **(handed or {}), **own}


def of_run(workspace: Workspace, run: Path, env: str, scratch: Path) -> dict[str, str]:
    """The variables by which a kernel finds its run."""
    return {
        "SAMEBOOK_RUN": str(run),
        "SAMEBOOK_ENV": env,
        "SAMEBOOK_WORKSPACE": str(workspace.root),
        "IPYTHONDIR": str(scratch / "ipython"),
    }
