"""Where a case happens: a temporary folder, the peers' environments, our workspace, the same variables for all."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peers
from benchmarks.trials import Trial
from tiny import CHECKOUT, PLAIN, Tiny, git

# What a machine may have set, and would change what is measured, or for whom.
DROPPED = ("SAMEBOOK_", "PYTHON", "UV_", "PIP_", "VIRTUAL_ENV", "JUPYTER", "IPYTHON", "MAKE", "MFLAGS", "DVC_", "GIT_")
IGNORED = "/runs/\n/store/\n/data/\n/.samebook/\n/models/.files/\n"


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    repeats: int = 5
    runs: int = 100
    rows: int = 5_000_000
    jobs: int = 2
    subjects: frozenset[str] = frozenset()
    peers: Path = CHECKOUT / ".samebook" / "bench" / "peers"


@dataclass(frozen=True)
class Place:
    """A case's folder, and what it needs; the stack ends what was started there."""

    root: Path
    plan: Plan
    stack: ExitStack = field(default_factory=ExitStack)

    def folder(self, name: str) -> Path:
        made = self.root / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def peer(self, name: str) -> Path:
        """The bin folder of a peer's environment."""
        return peers.environment(self.plan.peers, name) / "bin"

    def environ(self, programs: Path | None = None) -> dict[str, str]:
        """The variables of every subject: the same but for PATH, with this bin folder first; by default ours."""
        first = programs or Path(sys.executable).parent
        own = {"IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data"}
        own |= {"JUPYTER_RUNTIME_DIR": "runtime", "DVC_SITE_CACHE_DIR": "dvc", "DVC_GLOBAL_CONFIG_DIR": "dvc-config"}
        folders = {name: str(self.folder(f"home/{folder}")) for name, folder in own.items()}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
        path = {"PATH": f"{first}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
        return {**kept, **variables(), **folders, **path, "DVC_NO_ANALYTICS": "1"}

    def workspace(self, name: str = "workspace", settings: str = PLAIN) -> Tiny:
        """A workspace of ours, committed to git as users have it."""
        root = self.root / name
        if root.is_dir():
            return Tiny(root)
        made = Tiny.create(root, settings)
        (root / ".gitignore").write_text(IGNORED)
        (root / ".gitattributes").write_text("models/*.json -merge\n")
        git(made, "init", "--quiet", "--initial-branch", "main")
        git(made, "config", "user.name", "bench")
        git(made, "config", "user.email", "bench@example.com")
        commit(made)
        return made

    def ours(self, workspace: Tiny) -> dict[str, str]:
        """The variables of our own subjects."""
        return {**self.environ(), "SAMEBOOK_WORKSPACE": str(workspace.root)}


def commit(workspace: Tiny) -> None:
    """All that there is, where it isn't yet."""
    git(workspace, "add", "--all")
    if git(workspace, "status", "--porcelain"):
        git(workspace, "commit", "--quiet", "-m", "work")


def variables() -> dict[str, str]:
    """What our runner sets for a kernel; the peers get it too."""
    lines = (CHECKOUT / "environments" / "variables.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


type Make = Callable[[Place], Trial]


@dataclass(frozen=True)
class Race:
    """A case in which subjects do the same, measured in turns; `against` are those that the others are compared with.

    A subject is a function that prepares its trial, and raises NotThere where it can't be.
    """

    name: str
    says: str
    subjects: Mapping[str, Make]
    against: Sequence[str] = ("script", "papermill")


@dataclass(frozen=True)
class Survey:
    """A case whose rows are found in one go: sizes, or what another script measures. Slow ones are asked for."""

    name: str
    says: str
    find: Callable[[Place], list[dict[str, object]]]
    is_slow: bool = False


type Case = Race | Survey
