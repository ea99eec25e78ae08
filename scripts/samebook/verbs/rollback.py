"""Roll a model back: restore an earlier bundle, whole, by a new commit; or withdraw it, so that none is left."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git
from samebook.core import workspace as workspaces
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.models import bundle, commits, lookup
from samebook.models.bundle import Artifact, Bundle


@dataclass(frozen=True)
class RollbackRequest:
    """One call of `samebook rollback`: a model, and the branch or commit to restore ("" for the version before).

    `reopen` is a branch that was merged here and shall be merged again later. One that withdraws restores nothing.
    """

    model: str
    to: str = ""
    reopen: str = ""
    why: str = ""
    withdraw: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Rollback:
    """The bundle that was promoted, the restored one, and the commit, which is empty in a dry run.

    `before` is None where the promoted file is not a whole bundle, which is a reason to roll back. `restored` is None
    where the model was withdrawn. What came by a merge was brought here by another branch.
    """

    before: Bundle | None
    restored: Bundle | None
    commit: str
    came_by_merge: bool = False


def rollback(request: RollbackRequest) -> Rollback:
    """Restore an earlier bundle. Raises UsageError where there is none; work tree and git are then as before."""
    workspace = workspaces.find()
    path = lookup.path(workspace, request.model)
    with commits.hold_branch(workspace, path) as lock:
        before = _current(workspace, request)
        if request.withdraw:
            return _withdraw(workspace, request, lock, before)
        content = _earlier(workspace, path, request.to, before)
        restored = bundle.parse(content, f"{path.name} at {request.to or 'the version before'}")
        if before and restored.digest == before.digest:
            raise UsageError(
                f"{request.model} is that version already: {restored.receipt.run}",
                mend=f"git log -- models/{request.model}.json",
            )
        if request.reopen:
            commits.check_reopen(workspace, path, request.reopen)
        if request.dry_run:
            return Rollback(before, restored, "")
        came_by_merge = commits.came_by_merge(workspace, path)
        commit = commits.commit_file(workspace, lock, path, content, _message(request, before, restored))
        if request.reopen:
            why = f"Bring {request.model} again after the rollback {commit[:12]}\n"
            commits.reopen(workspace, path, request.reopen, why)
    return Rollback(before, restored, commit, came_by_merge)


def _withdraw(workspace: Workspace, request: RollbackRequest, lock: commits.Tip, before: Bundle | None) -> Rollback:
    """Remove the model's file by a commit that says which bundle it withdraws: the next one has no champion to beat.

    Where the file was removed already, the commit is empty but for its words.
    """
    if request.to or request.reopen or before is None:
        raise UsageError(
            f"{request.model}: expected a whole bundle to withdraw, and neither TO nor REOPEN",
            mend=f"make rollback MODEL={request.model}",
        )
    why = [request.why, ""] if request.why else []
    message = "\n".join((f"Withdraw {request.model}", "", *why, lookup.withdrawal(before), ""))
    path = lookup.path(workspace, request.model)
    commit = "" if request.dry_run else commits.commit_file(workspace, lock, path, None, message)
    return Rollback(before, None, commit)


def _current(workspace: Workspace, request: RollbackRequest) -> Bundle | None:
    """The promoted bundle, or to withdraw it, one whose file was removed and that is the champion still.

    None where it is not whole. Raises UsageError where there is none.
    """
    model = request.model
    if not lookup.path(workspace, model).is_file():
        if (champion := lookup.champion(workspace, model)[1]) is None:
            return lookup.read(workspace, model)
        if request.withdraw:
            return champion
        raise UsageError(
            f"{model} was removed, and not by a rollback: {champion.receipt.run} is the champion still",
            mend=f"make rollback MODEL={model} WITHDRAW=1",
        )
    with suppress(UsageError):
        return lookup.read(workspace, model)
    return None


def _earlier(workspace: Workspace, path: Path, to: str, before: Bundle | None) -> bytes:
    """The file's content at `to`; without `to`, in the last version before this one that has other files.

    A rollback, or a second promotion of the same run, does not count as a version of its own.
    """
    versions = commits.versions(workspace, path)
    if to:
        content = git.show(workspace.root, to, workspace.relative(path))
        if content not in [*versions, *git.contents(workspace.root, workspace.relative(path), "HEAD")]:
            raise UsageError(
                f"{path.stem} at {to} was never promoted on this branch",
                mend=f"git merge {to}",
            )
        return content
    files = [_files(content) for content in versions]
    index = len(files) - 1 - files[::-1].index(before.artifacts) if before else 0
    older = zip(versions[index + 1 :], files[index + 1 :], strict=True)
    if content := next((content for content, artifacts in older if artifacts is not None), None):
        return content
    raise UsageError(
        f"{path.stem} has no earlier version on this branch",
        mend=f"make rollback MODEL={path.stem} WITHDRAW=1",
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
