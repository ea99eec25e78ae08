"""What a run happens in: the engine, the lock, and what is installed against it."""

import os
import platform
import re
import sys
from importlib.metadata import distributions
from pathlib import Path

from samebook.workspace import Workspace

# What of a user's own shell must not reach a kernel.
REMOVED = ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "JUPYTER_PATH", "MPLBACKEND", "SAMEBOOK_RUN")


def engine() -> str:
    """`docker` in the image, `local` in an environment of the machine's own."""
    return os.environ.get("SAMEBOOK_ENGINE", "local")


def variables(workspace: Workspace) -> dict[str, str]:
    """The variables that are fixed for every kernel, from environments/variables.env."""
    lines = (workspace.environments / "variables.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def kernel_env(workspace: Workspace, run: Path, env: str, scratch: Path) -> dict[str, str]:
    """The environment variables of a kernel: the caller's, less what is private to it, plus what is fixed."""
    inherited = {name: value for name, value in os.environ.items() if name not in REMOVED}
    ours = {
        "SAMEBOOK_RUN": str(run),
        "SAMEBOOK_ENV": env,
        "SAMEBOOK_WORKSPACE": str(workspace.root),
        "MATPLOTLIBRC": str(workspace.environments / "matplotlibrc"),
        "IPYTHONDIR": str(scratch / "ipython"),
    }
    return {**inherited, **variables(workspace), **ours}


def locked(workspace: Workspace) -> dict[str, str]:
    """The versions that the runtime lock names for this platform, by normalised name."""
    from packaging.requirements import Requirement

    text = (workspace.environments / "runtime.txt").read_text()
    lines = re.findall(r"^([A-Za-z0-9].*?)\s*\\?$", text, re.MULTILINE)
    wanted = (Requirement(line) for line in lines)
    return {
        _normal(item.name): str(item.specifier).removeprefix("==")
        for item in wanted
        if item.marker is None or item.marker.evaluate()
    }


def installed() -> dict[str, str]:
    """The versions that this Python finds, by normalised name."""
    return {_normal(found.metadata["Name"]): found.version for found in distributions()}


def mismatches(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Packages whose version is not the lock's: expected and found ("" for missing)."""
    found = installed()
    wanted = locked(workspace).items()
    return {name: (version, found.get(name, "")) for name, version in wanted if found.get(name) != version}


def python() -> str:
    return platform.python_version()


def pinned_python(workspace: Workspace) -> str:
    """The minor version that the environment is made for, as in .python-version."""
    return (workspace.root / ".python-version").read_text().strip()


def operating_system() -> str:
    """The OS as it names itself, for example "Debian GNU/Linux 13 (trixie)"."""
    if sys.platform != "linux":
        return platform.platform(terse=True)
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
