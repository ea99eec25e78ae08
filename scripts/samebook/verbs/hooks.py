"""Hooks of git: after a checkout of another branch, and after a merge, they say which models' folders are stale."""

import os
from pathlib import Path

from samebook.core import git
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace, make_folder, write_whole

HOOK = Path(__file__).with_name("git-hook")
NAMES = ("post-checkout", "post-merge")
# The beginning of the comment in each one of samebook's: an earlier one is replaced.
OURS = "\n# After a checkout of another branch, or a merge: the"


def hooks(workspace: Workspace) -> list[Path]:
    """Install the hooks in the repository of a workspace, none over a hook of somebody's own; returns their files.

    Raises UsageError for a hook that is there already, and for a folder of hooks that isn't this repository's alone.
    """
    root = workspace.root
    folder, own = root / _path(root, "--git-path", "hooks"), root / _path(root, "--git-common-dir")
    if not folder.resolve().is_relative_to(own.resolve()):
        raise UsageError(
            f"core.hooksPath is {folder}, which other repositories or people may share",
            mend=f"add to post-checkout and post-merge there: the lines of {HOOK}",
        )
    paths = [folder / name for name in NAMES]
    for path in paths:
        if path.is_symlink() or (path.exists() and OURS not in path.read_text(errors="replace")):
            raise UsageError(f"{path} is there already", mend=f"add to it: the lines of {HOOK}")
    make_folder(folder)
    for path in paths:
        write_whole(path, HOOK.read_bytes())
        path.chmod(0o755)
    return paths


def _path(root: Path, *options: str) -> Path:
    return Path(os.fsdecode(git.git(root, "rev-parse", *options)).removesuffix("\n"))
