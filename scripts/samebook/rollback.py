"""Roll a model back: a commit forward that restores an earlier bundle, whole."""

from dataclasses import dataclass
from pathlib import Path

from samebook import bundle, bundles, git, history, workspace
from samebook.bundle import Bundle
from samebook.errors import UsageError
from samebook.workspace import Workspace


@dataclass(frozen=True)
class RollbackRequest:
    """One call of `samebook rollback`: which model, to where ("" for the version before), and what to reopen.

    `reopen` is a branch that was merged here and is to be merged again some day.
    """

    model: str
    to: str = ""
    reopen: str = ""
    why: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Rollback:
    """What was promoted, what is promoted again, and the commit that says so; empty in a dry run."""

    before: Bundle
    restored: Bundle
    commit: str


def rollback(request: RollbackRequest) -> Rollback:
    """Restore an earlier bundle. Raises UsageError where there is none; work tree and git are then as before."""
    here = workspace.find()
    path = bundles.path(here, request.model)
    with history.holding(here, path):
        before = bundles.read(here, request.model)
        content = _earlier(here, path, request.to)
        restored = bundle.parse(content, f"{path.name} at {request.to or 'the version before'}")
        if restored.digest == before.digest:
            raise UsageError(f"{request.model} is that version already: {restored.receipt.run}")
        if request.reopen:
            history.check_reopen(here, request.reopen)
        if request.dry_run:
            return Rollback(before, restored, "")
        commit = history.commit_file(here, path, content, _message(request, before, restored))
        if request.reopen:
            why = f"Bring {request.model} again after the rollback {commit[:12]}\n"
            history.reopen(here, path, request.reopen, why)
    return Rollback(before, restored, commit)


def _earlier(here: Workspace, path: Path, to: str) -> bytes:
    """The file's content at `to`; without it, the version before the one that is here, rollbacks left out."""
    if to:
        return git.show(here.root, to, here.relative(path))
    contents = history.versions(here, path)
    now = len(contents) - 1 - contents[::-1].index(path.read_bytes())
    if now + 1 == len(contents):
        raise UsageError(
            f"{path.stem} has no earlier version on this branch",
            mend=f"name a branch or commit: TO=…; to withdraw it: git rm models/{path.name}",
        )
    return contents[now + 1]


def _message(request: RollbackRequest, before: Bundle, restored: Bundle) -> str:
    why = [request.why, ""] if request.why else []
    lines = (
        f"From: {before.receipt.run}, bundle {before.digest}",
        f"To: {restored.receipt.run}, bundle {restored.digest}",
    )
    return "\n".join((f"Roll {request.model} back to {restored.receipt.run}", "", *why, *lines, ""))
