"""Install a kernelspec for the programs of this machine that start kernels by themselves: VS Code, PyCharm, Jupyter."""

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.execution.notebook_file import OF_CHECKOUT

SPEC = "kernel.json"
WORKSPACE = "SAMEBOOK_WORKSPACE"
# Without the caller's own variables for Python, and without the notebook's folder: its files are not this program's.
PROGRAM = (sys.executable, "-I", "-m", "samebook.environment.interactive", "-f", "{connection_file}")


def kernel(workspace: Workspace, name: str = "") -> Path:
    """Install the kernelspec `samebook (NAME)` for this user; returns its folder.

    Raises UsageError where another checkout has a kernel of that name.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    name = name or workspace.root.name
    identifier = OF_CHECKOUT + re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-")
    manager = KernelSpecManager()
    _check_free(Path(manager.user_kernel_dir) / identifier, workspace)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / SPEC).write_text(json.dumps(_spec(workspace, name), indent=2) + "\n")
        return Path(manager.install_kernel_spec(folder, identifier, user=True))


def title(folder: Path) -> str:
    """The name that lists of kernels show for the kernelspec in a folder."""
    return str(json.loads((folder / SPEC).read_text())["display_name"])


def _spec(workspace: Workspace, name: str) -> Mapping[str, Any]:
    """The content of kernel.json: https://jupyter-client.readthedocs.io/en/stable/kernels.html#kernel-specs"""
    return {
        "argv": PROGRAM,
        "display_name": f"samebook ({name})",
        "language": "python",
        "env": {WORKSPACE: str(workspace.root)},
        "metadata": {"debugger": True},
    }


def _check_free(folder: Path, workspace: Workspace) -> None:
    """Raise UsageError where a checkout other than this one, which is still there, has the kernel."""
    try:
        other = json.loads((folder / SPEC).read_text())["env"][WORKSPACE]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if Path(other).is_dir() and not Path(other).samefile(workspace.root):
        raise UsageError(
            f"the kernel {folder.name} is that of another checkout, {other}",
            mend=f"make kernel NAME={workspace.root.name}-2",
        )
