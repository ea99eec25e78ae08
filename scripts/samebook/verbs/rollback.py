"""Roll a model back: a commit forward that restores an earlier bundle, whole."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git, workspace
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.models import bundle, commits, lookup
from samebook.models.bundle import Artifact, Bundle


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
    """What was promoted, what is promoted again, and the commit that says so; empty in a dry run.

    `before` is None where what was promoted is no whole bundle: a reason to roll back.
    """

    before: Bundle | None
    restored: Bundle
    commit: str


def rollback(request: RollbackRequest) -> Rollback:
    """Restore an earlier bundle. Raises UsageError where there is none; work tree and git are then as before."""
    here = workspace.find()
    path = lookup.path(here, request.model)
    with commits.holding(here, path) as held:
        before = _now(here, request.model)
        content = _earlier(here, path, request.to, before)
        restored = bundle.parse(content, f"{path.name} at {request.to or 'the version before'}")
        if before and restored.digest == before.digest:
            raise UsageError(f"{request.model} is that version already: {restored.receipt.run}")
        if request.reopen:
            commits.check_reopen(here, path, request.reopen)
        if request.dry_run:
            return Rollback(before, restored, "")
        commit = commits.commit_file(here, held, path, content, _message(request, before, restored))
        if request.reopen:
            why = f"Bring {request.model} again after the rollback {commit[:12]}\n"
            commits.reopen(here, path, request.reopen, why)
    return Rollback(before, restored, commit)


def _now(here: Workspace, model: str) -> Bundle | None:
    """What is promoted; None where it is not whole. Raises UsageError where nothing is."""
    if not lookup.path(here, model).is_file():
        return lookup.read(here, model)
    with suppress(UsageError):
        return lookup.read(here, model)
    return None


def _earlier(here: Workspace, path: Path, to: str, before: Bundle | None) -> bytes:
    """The file's content at `to`; without it, the last version before this one that has other files.

    What a rollback, or a second promotion of the same run, has put on top does not count as a version of its own.
    """
    known = commits.versions(here, path)
    if to:
        content = git.show(here.root, to, here.relative(path))
        if content not in [*known, *git.contents(here.root, here.relative(path), "HEAD")]:
            raise UsageError(
                f"{path.stem} at {to} was never promoted on this branch",
                mend=f"git merge {to}, or promote its run here: make promote RUN=… MODEL={path.stem}",
            )
        return content
    files = [_files(content) for content in known]
    now = len(files) - 1 - files[::-1].index(before.artifacts if before else files[0])
    older = (content for content, each in zip(known[now + 1 :], files[now + 1 :], strict=True) if each is not None)
    if found := next(older, None):
        return found
    raise UsageError(
        f"{path.stem} has no earlier version on this branch",
        mend=f"name a branch or commit: TO=…; to withdraw it: git rm models/{path.name}",
    )


def _files(content: bytes) -> Mapping[str, Artifact] | None:
    """The files of a version; None for one that is not whole."""
    with suppress(UsageError):
        return bundle.parse(content, "a version").artifacts
    return None


def _message(request: RollbackRequest, before: Bundle | None, restored: Bundle) -> str:
    why = [request.why, ""] if request.why else []
    old = f"From: {before.receipt.run}, bundle {before.digest}" if before else "From: a bundle that is not whole"
    lines = (old, f"To: {restored.receipt.run}, bundle {restored.digest}")
    return "\n".join((f"Roll {request.model} back to {restored.receipt.run}", "", *why, *lines, ""))
