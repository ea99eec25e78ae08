"""The place of a case: a temporary folder, the peers' environments, a workspace, the same variables for all."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peers
from benchmarks.trials import Trial
from tiny import CHECKOUT, PLAIN, Tiny, git

# Variables of the machine that would change the measurement, or that of some subjects.
DROPPED = ("SAMEBOOK_", "PYTHON", "UV_", "PIP_", "VIRTUAL_ENV", "JUPYTER", "IPYTHON", "MAKE", "MFLAGS", "DVC_", "GIT_")
IGNORED = "/runs/\n/store/\n/data/\n/.samebook/\n/models/.files/\n"


@dataclass(frozen=True)
class Plan:
    """The options of a bench."""

    repeats: int = 5
    runs: int = 100
    rows: int = 5_000_000
    jobs: int = 2
    load: int = 0
    subjects: frozenset[str] = frozenset()
    peers: Path = CHECKOUT / ".samebook" / "bench" / "peers"


@dataclass(frozen=True)
class Place:
    """The folder of a case, and its plan; the stack ends the processes of the case."""

    root: Path
    plan: Plan
    stack: ExitStack = field(default_factory=ExitStack)

    def folder(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def peer(self, name: str) -> Path:
        """The bin folder of a peer's environment."""
        return peers.environment(self.plan.peers, name) / "bin"

    def environ(self, programs: Path | None = None) -> dict[str, str]:
        """The variables of every subject. They differ only in PATH: `programs` is its first folder, by default ours."""
        first = programs or Path(sys.executable).parent
        own = {"IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data"}
        own |= {"JUPYTER_RUNTIME_DIR": "runtime", "DVC_SITE_CACHE_DIR": "dvc", "DVC_GLOBAL_CONFIG_DIR": "dvc-config"}
        folders = {name: str(self.folder(f"home/{folder}")) for name, folder in own.items()}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
        path = {"PATH": f"{first}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
        return {**inherited, **variables(), **folders, **path, "DVC_NO_ANALYTICS": "1"}

    def workspace(self, name: str = "workspace", settings: str = PLAIN) -> Tiny:
        """A workspace of samebook, committed to git as users have it."""
        root = self.root / name
        if root.is_dir():
            return Tiny(root)
        workspace = Tiny.create(root, settings)
        (root / ".gitignore").write_text(IGNORED)
        (root / ".gitattributes").write_text("models/*.json -merge\n")
        git(workspace, "init", "--quiet", "--initial-branch", "main")
        git(workspace, "config", "user.name", "bench")
        git(workspace, "config", "user.email", "bench@example.com")
        commit(workspace)
        return workspace

    def samebook_environ(self, workspace: Tiny) -> dict[str, str]:
        """The variables of samebook's subjects."""
        return {**self.environ(), "SAMEBOOK_WORKSPACE": str(workspace.root)}


def commit(workspace: Tiny) -> None:
    """Commit all changes, if there are any."""
    git(workspace, "add", "--all")
    if git(workspace, "status", "--porcelain"):
        git(workspace, "commit", "--quiet", "-m", "work")


def variables() -> dict[str, str]:
    """The variables that our runner sets for a kernel; the peers get them too."""
    lines = (CHECKOUT / "environments" / "variables.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


type Make = Callable[[Place], Trial]


@dataclass(frozen=True)
class Race:
    """A case whose subjects do the same, measured in turns; the others are compared with the subjects `against`.

    A subject is a function that prepares its trial. It raises MissingTool where that is impossible.
    """

    name: str
    title: str
    subjects: Mapping[str, Make]
    against: Sequence[str] = ("script", "papermill")


@dataclass(frozen=True)
class Survey:
    """A case whose rows come in one go: sizes, or the results of another script. Slow ones are only for `--slow`."""

    name: str
    title: str
    find: Callable[[Place], list[dict[str, object]]]
    is_slow: bool = False


type Case = Race | Survey
