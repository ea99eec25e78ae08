"""Patches of runs on this machine: the only ones that a reproduction applies without its user's word.

The store proves nothing of a patch: its objects come from buckets too, and from the results of strangers' commits.
"""

from contextlib import suppress
from pathlib import Path

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace, make_folder
from samebook.store import objects

# An empty file for each patch, by its sha256.
FOLDER = Path(".samebook") / "own-patches"


def put(workspace: Workspace, patch: Path) -> None:
    """Store the patch of a run, and note it as this machine's; where that fails, a reproduction asks its user."""
    digest = objects.local_store(workspace).put(patch)
    with suppress(OSError, UsageError):
        folder = make_folder(workspace.root / FOLDER)
        (folder / ".gitignore").write_text("*\n")  # the user's own may not name .samebook, and the next run were dirty
        (folder / digest).touch()


def has(workspace: Workspace, digest: str) -> bool:
    """Whether the patch is that of a run on this machine."""
    return (workspace.root / FOLDER / digest).is_file()
