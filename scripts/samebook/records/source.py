"""The source of a run: the commit, the patch on it, and the hashes of its notebook, lock and code."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from samebook.core import git, head, uncommitted
from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError
from samebook.core.uncommitted import Changes
from samebook.core.workspace import Workspace, write_whole
from samebook.records import source_files
from samebook.store import objects

# The code of a run, by folder: modules, queries, and samebook itself or the wheel of it.
CODE = {"notebooks": (".py", ".sql"), "scripts": (".py", ".whl")}


@dataclass(frozen=True)
class Source:
    """The source of a run, read before the run starts, because people edit while it runs.

    `commit` is empty outside a repository. `patch` holds the uncommitted changes; it is None where no patch can, as
    in a submodule, and `unpatched` names those. `notebook`, `lock` and `code` are sha256. `states` are those of
    the files that the run may read later.
    """

    commit: str
    patch: bytes | None
    notebook: str
    lock: str
    code: str
    unpatched: tuple[str, ...] = ()
    states: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def read(workspace: Workspace, notebook: Path, limit: int = uncommitted.LIMIT) -> Source:
    """Read the source of a run of this notebook, as it is now; `limit` is that of a patch, in MB.

    Raises UsageError where git can't tell the changes.
    """
    states = source_files.states(workspace.root)
    try:
        commit, changes = commit_and_changes(workspace, limit)
    except UsageError as error:
        raise UsageError(
            f"the commit and the uncommitted changes of this checkout can't be read: {error}",
            mend=error.mend or f"git -C {workspace.root} status, which has to work",
        ) from error
    lock = sha256(workspace.environments / "runtime.txt")
    return Source(commit, changes.patch, sha256(notebook), lock, code_digest(workspace), changes.unpatched, states)


def after_run(workspace: Workspace, source: Source, notebook: Path, text: str) -> Source:
    """The source of a run that has ended: it may have read files that were edited meanwhile, and no patch holds these.

    The run's own notebook was read before; another one counts where the notebook's `text` names it.
    """
    names = source_files.edited(source.states, source_files.states(workspace.root))
    notebooks = [name for name in names if name.endswith(".ipynb")]
    unread = {workspace.relative(notebook), *(name for name in notebooks if Path(name).stem not in text)}
    lines = source_files.shown((name for name in names if name not in unread), "edited during the run")
    return replace(source, patch=None, unpatched=(*source.unpatched, *lines)) if lines else source


def check_commit(workspace: Workspace) -> None:
    """Raise UsageError where the checkout has moved on from the commit in SAMEBOOK_COMMIT.

    A container that runs for long gets that variable once, at its start: after a `git pull` its receipts would name
    the wrong commit.
    """
    expected = os.environ.get("SAMEBOOK_COMMIT")
    if not expected or not (workspace.root / ".git").is_dir():
        return
    try:
        head_commit = git.commit(workspace.root, "HEAD")
    except UsageError:  # a worktree's repository may be outside the container
        return
    if head_commit != expected:
        raise UsageError(
            f"the checkout is at {head_commit[:12]}; this container was started at {expected[:12]}",
            mend="start it again, with make, which tells it where it is: make watch",
        )


def code_digest(workspace: Workspace) -> str:
    """One sha256 over the modules that notebooks import, their queries, and samebook itself, or the wheel of it."""
    return code_digest_of({workspace.relative(path): sha256(path) for path in code_files(workspace)})


def code_digest_of(digests: Mapping[str, str]) -> str:
    """The `code_digest` of files, by the sha256 of each."""
    return sha256(json_bytes(digests))


def committed_code(workspace: Workspace, ref: str) -> dict[str, str]:
    """The sha256 of each file that the `code_digest` of a commit is over, by its path: the work tree may hold others.

    There are none where the commit is not here.
    """
    with suppress(UsageError):
        return head.digests(workspace.root, _is_code, ref)
    return {}


def _is_code(name: str) -> bool:
    """Whether the `code_digest` covers a file of a commit."""
    return name.endswith(CODE.get(name.partition("/")[0], ())) and not uncommitted.is_cache(name)


def code_files(workspace: Workspace) -> list[Path]:
    """The files that the `code_digest` covers, but those in folders that are links: the receipt has their hash.

    Copies that Lab keeps of open files are not the commit's, and are left out.
    """
    paths = (
        path
        for folder, suffixes in CODE.items()
        for suffix in suffixes
        for path in (workspace.root / folder).rglob(f"*{suffix}")
    )
    return sorted(path for path in paths if _is_code(workspace.relative(path)) and path.is_file())


def commit_and_changes(workspace: Workspace, limit: int = uncommitted.LIMIT) -> tuple[str, Changes]:
    """The commit and the changes on it; make hands them over where the runner has no git, as in the image."""
    root, store = workspace.root, objects.local_store(workspace).root
    commit, patch_name = (os.environ.get(name) for name in ("SAMEBOOK_COMMIT", "SAMEBOOK_PATCH"))
    for folder in (workspace.runs, *filter(Path.is_dir, [store])):  # a call that is refused makes no store
        _ignore(folder)
    if commit:
        return commit, _changes_in_image(root) if patch_name is None else _changes_from_make(root, root / patch_name)
    if not any((folder / ".git").exists() for folder in (root, *root.parents)) or git.is_unborn(root):
        return "", Changes(b"")
    if shutil.which("git") is None:
        return git.commit(root, "HEAD"), Changes(None, ("git is not installed, so the changes are unknown",))
    return git.head(root), uncommitted.changes(root, (workspace.runs, store, workspace.data), limit)


def _changes_in_image(root: Path) -> Changes:
    """The changes in a release image, where anything may be mounted over the commit's files, or beside them."""
    unlisted = source_files.unlisted(root)
    return Changes(None, unlisted) if unlisted else Changes(b"")


def _changes_from_make(root: Path, path: Path) -> Changes:
    """The changes that make has written for a container: the patch, and the names of those that no patch can hold.

    A container may run for months, as a watcher does: later edits are in no patch.
    """
    names = path.with_name(f"{path.name}.names")
    if not path.is_file():
        return Changes(None, ("the patch that make handed over is gone, so the changes are unknown",))
    unpatched = tuple(names.read_text().splitlines()) if names.is_file() else ()
    later = source_files.edited_since(root, path.stat().st_mtime_ns)
    unpatched += source_files.shown(later, "edited after make has started this container")
    return Changes(None, unpatched) if unpatched else Changes(path.read_bytes())


def _ignore(folder: Path) -> None:
    """Make git ignore a folder of results, which the user's own .gitignore may not name."""
    path = folder / ".gitignore"
    with suppress(OSError, UsageError):  # a folder without write permission fails later, at its first real write
        if not path.exists():
            write_whole(path, b"*\n")
