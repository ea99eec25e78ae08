"""A kernel outside of a run, as Lab, VS Code and PyCharm start it: the variables that a run would give it.

`python -m samebook.environment.interactive -f FILE` becomes such a kernel. It is the program of an installed
kernelspec, since an editor that starts kernels by itself knows no provisioner.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from samebook.core import secret, workspace
from samebook.core.errors import SamebookError
from samebook.environment import callers, numerics, settings, variables

# The beginning of Jupyter's own variables of a kernel, and the one with the path of its notebook.
SESSION = "JPY_"
NOTEBOOK = "JPY_SESSION_NAME"


def of_session(jupyters: Mapping[str, str]) -> dict[str, str]:
    """All variables of a kernel with these of Jupyter's, which name its notebook where Jupyter knows it."""
    path = jupyters.get(NOTEBOOK)
    return {**outside_runs(Path(path) if path else None), **jupyters}


def outside_runs(notebook: Path | None) -> dict[str, str]:
    """All variables of a kernel in Lab, in an editor or of a test, with the secrets of its notebook: those that a run
    would give it, by the settings; the default ones where these can't be read.
    """
    current = settings.Settings.model_construct()
    try:
        place = workspace.find()
    except SamebookError:
        return {**os.environ, **numerics.of().variables()}
    with suppress(SamebookError):
        current = settings.load(place, os.environ.get("SAMEBOOK_ENV", "dev"))
    names = secret.names(notebook) if notebook else set[str]()
    given = callers.Callers(secrets=callers.of_secrets(place, current, names))
    with suppress(SamebookError):
        given = callers.named(place, current, names)
    of_kernel = numerics.of(current.numerics, current.threads)
    return variables.of_any_kernel(place, of_kernel, given.variables)


def main() -> None:
    """Become the kernel, in this process, which an editor interrupts and ends by its id."""
    own = of_session({name: value for name, value in os.environ.items() if name.startswith(SESSION)})
    # An editor has the PATH of a desktop: what a cell calls must be this environment's, as in a run.
    programs, path = str(Path(sys.executable).parent), own.get("PATH", os.defpath)
    own["PATH"] = path if path.split(os.pathsep)[0] == programs else programs + os.pathsep + path
    os.execve(sys.executable, (sys.executable, "-m", "ipykernel_launcher", *sys.argv[1:]), own)


if __name__ == "__main__":
    main()
