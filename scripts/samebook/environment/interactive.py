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
from samebook.core.workspace import Workspace
from samebook.environment import callers, numerics, settings, variables
from samebook.environment.settings import Settings

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
    try:
        place = workspace.find()
    except SamebookError:
        return {**os.environ, **numerics.of().variables()}
    current = _settings(place)
    names = secret.names(notebook) if notebook else set[str]()
    given = callers.Callers(secrets=callers.of_secrets(place, current, names))
    with suppress(SamebookError):
        given = callers.named(place, current, names)
    return variables.of_any_kernel(place, numerics.of(current.numerics, current.threads), given.variables)


def decisive(place: Workspace) -> dict[str, str]:
    """The variables that decide results, which each kernel of a workspace has on this machine."""
    current = _settings(place)
    return {**variables.fixed(place), **numerics.of(current.numerics, current.threads).variables()}


def _settings(place: Workspace) -> Settings:
    with suppress(SamebookError):
        return settings.load(place, os.environ.get("SAMEBOOK_ENV", "dev"))
    return Settings.model_construct()


def main() -> None:
    """Become the kernel, in this process, which an editor interrupts and ends by its id."""
    own = of_session({name: value for name, value in os.environ.items() if name.startswith(SESSION)})
    # An editor has the PATH of a desktop: what a cell calls must be this environment's, as in a run.
    programs, path = str(Path(sys.executable).parent), own.get("PATH", os.defpath)
    own["PATH"] = path if path.split(os.pathsep)[0] == programs else programs + os.pathsep + path
    os.execve(sys.executable, (sys.executable, "-m", "ipykernel_launcher", *sys.argv[1:]), own)


if __name__ == "__main__":
    main()
