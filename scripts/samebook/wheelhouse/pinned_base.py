"""The base images that a Dockerfile pins by digest, in the checkout or in a commit."""

import re

from samebook.core import git
from samebook.core.workspace import Workspace

BASE = re.compile(r"^ARG BASE_IMAGE=(\S*@sha256:[0-9a-f]{64})$", re.MULTILINE)


def read(dockerfile: bytes | None) -> list[str]:
    """The base images that the text of a Dockerfile pins; none for None."""
    return BASE.findall((dockerfile or b"").decode(errors="replace"))


def of(workspace: Workspace, commit: str = "") -> list[str]:
    """Those of a commit, or of the checkout. Raises UsageError for a commit that is not here."""
    if commit:
        return read(git.file_content(workspace.root, git.commit(workspace.root, commit), "Dockerfile"))
    file = workspace.root / "Dockerfile"
    return read(file.read_bytes() if file.is_file() else None)


def for_commit(workspace: Workspace, commit: str, base: str) -> str:
    """The base image of a commit: where `base` is the one that the checkout pins, the one that the commit does."""
    there = of(workspace, commit)
    return there[0] if there and base in of(workspace) else base
