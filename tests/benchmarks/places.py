"""The place of a case: a temporary folder, a workspace, the peers' environments, the same variables for all."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.trials import FailedTrial, last_words
from tiny import CHECKOUT, Tiny, git

from samebook.core.workspace import Workspace
from samebook.environment import variables

# Variables of folders, which get one of the case; and those of the machine that would change a measurement.
FOLDERS = (
    *("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"),
    *("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR"),
)
DROPPED = ("SAMEBOOK_", "PYTHON", "UV_", "PIP_", "VIRTUAL_ENV", "JUPYTER", "IPYTHON", "MAKE", "MFLAGS", "DVC_", "GIT_")
IGNORED = "/runs/\n/store/\n/data/\n/.samebook/\n/models/.files/\n"
UV = str(CHECKOUT / ".samebook" / "uv" / "bin" / "uv")
LOCK = CHECKOUT / "environments" / "lab.txt"
PEERS = CHECKOUT / ".samebook" / "bench" / "peers"
# The libraries that the notebooks of the cases import, and the fewest packages of each peer. Versions are our lock's,
# so that no peer is slow for an old library; packages outside the lock are pinned here.
LIBRARIES = ("ipykernel", "pandas", "scikit-learn", "xgboost" if sys.platform == "darwin" else "xgboost-cpu")
PACKAGES = {
    "papermill": ("papermill", *LIBRARIES),
    "testbook": ("testbook", "pytest", *LIBRARIES),
    "jupyterlab": ("jupyterlab",),
    "dvc": ("dvc==3.67.1",),
}


@dataclass(frozen=True)
class Place:
    """The folder of a case; the stack ends its processes, and what is `prepared` is there."""

    root: Path
    stack: ExitStack = field(default_factory=ExitStack)
    prepared: set[Callable[["Place"], object]] = field(default_factory=set)

    def folder(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def environ(self, programs: Path | None = None) -> dict[str, str]:
        """The variables of every subject. They differ only in PATH: `programs` is its first folder, by default ours."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
        own = dict.fromkeys(FOLDERS, str(self.folder("home"))) | {"DVC_NO_ANALYTICS": "1"}
        path = f"{programs or Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**inherited, **variables.fixed(Workspace(CHECKOUT)), **own, "PATH": path}

    def workspace(self, name: str = "workspace") -> Tiny:
        """A workspace of samebook, committed to git as users have it."""
        root = self.root / name
        if not root.is_dir():
            Tiny.create(root)
            commit(root)
        return Tiny(root)

    def samebook_environ(self, workspace: Tiny) -> dict[str, str]:
        return {**self.environ(), "SAMEBOOK_WORKSPACE": str(workspace.root)}


def commit(root: Path) -> None:
    """Commit all changes of a folder, which becomes a repository."""
    repository = Tiny(root)
    if not (root / ".git").is_dir():
        (root / ".gitignore").write_text(IGNORED)
        git(repository, "init", "--quiet", "--initial-branch", "main")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "work")


def programs(peer: str) -> Path:
    """The bin folder of a peer's environment, which is made, or brought up to date. Raises FailedTrial."""
    path = PEERS / f"{peer}-{platform.python_version()}"
    if not path.is_dir():
        call(CHECKOUT, os.environ, UV, "venv", "--python", sys.executable, str(path))
    options = ("--compile-bytecode", "--no-verify-hashes", "--constraints", str(LOCK), *PACKAGES[peer])
    call(CHECKOUT, os.environ, UV, "pip", "install", "--python", str(path), *options)
    return path / "bin"


def call(folder: Path, environ: Mapping[str, str], *command: str) -> None:
    """Run a command that prepares a trial. Raises FailedTrial."""
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedTrial(f"{' '.join(command)}: exit code {done.returncode}: {last_words(done.stdout + done.stderr)}")
