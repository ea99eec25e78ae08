"""Commits of promotions and rollbacks: each changes one file, in one commit on top of HEAD, or nothing at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.core.errors import UsageError
from samebook.core.file_lock import hold
from samebook.core.git import contents, git, head, show
from samebook.core.workspace import Workspace, write_whole

UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply", "index.lock")
MODE = "100644"
# Held by a promotion or a rollback while its objects are in the store and no commit names them yet.
LOCK = ".samebook/promote.lock"


@dataclass(frozen=True)
class Tip:
    """The tip of the checked out branch: its name, and the commit that a change goes on from."""

    branch: str
    head: str


@contextmanager
def hold_branch(workspace: Workspace, path: Path) -> Iterator[Tip]:
    """Hold the branch for one change of `path`; a second change waits, and then sees the first one's commit.

    Raises UsageError where a commit can't be made here, or `path` has uncommitted changes.
    """
    with hold(workspace.root / LOCK):
        _check(workspace.root, path)
        yield Tip(branch(workspace.root), head(workspace.root))


def _check(root: Path, path: Path) -> None:
    if not branch(root):
        raise UsageError("no branch is checked out: a commit made here would be lost", mend="git switch main")
    author(root)
    if above := git(root, "rev-parse", "--show-prefix").decode().strip():
        raise UsageError(
            f"the workspace is the folder {above} of a repository; expected the repository's top", mend="git init"
        )
    for name in UNFINISHED:
        if (root / git(root, "rev-parse", "--git-path", name).decode().strip()).exists():
            raise UsageError(f"git is in the middle of something: {name}", mend="git status")
    check_committed(root, path)


def check_committed(root: Path, path: Path) -> None:
    """Raise UsageError where a file has uncommitted changes."""
    if git(root, "status", "--porcelain", "--", str(path)):
        raise UsageError(f"{path.name} has changes that are not committed", mend=f"git diff HEAD -- {path}")


def author(root: Path) -> str:
    """The author of commits here: `Name <address>`. Raises UsageError where git has none."""
    try:
        return git(root, "var", "GIT_AUTHOR_IDENT").decode().rsplit(" ", 2)[0]
    except UsageError as error:
        raise UsageError(
            "git does not know who you are, and the commit says who made it",
            mend="git config user.email you@example.com && git config user.name You",
        ) from error


def branch(root: Path) -> str:
    """The name of the checked out branch; empty where there is none."""
    return git(root, "branch", "--show-current").decode().strip()


def commit_file(workspace: Workspace, tip: Tip, path: Path, content: bytes | None, message: str) -> str:
    """Commit one file's new content, or with None its removal; returns the commit's hash.

    The removal of a file that is not there is a commit with the message alone; content that HEAD has is none.
    Other staged and unstaged changes stay. Git's own hooks and signing apply. Where they refuse, or the branch has
    moved since `tip`, nothing changes.
    """
    root = workspace.root
    _check(root, path)
    if (branch(root), head(root)) != (tip.branch, tip.head):
        raise UsageError(f"git moved on from {tip.branch} {tip.head[:12]} meanwhile", mend="git log -1")
    if content is not None and _is_in_head(workspace, path, content):
        return head(root)  # promoted twice within a second: git would refuse an empty commit
    entry, before = _entry(workspace, path, content), path.read_bytes() if path.is_file() else None
    empty = ["--allow-empty"] if content is None and before is None else []
    # First the index and the file: if this process is killed after the commit, the next one by hand undoes nothing.
    git(root, "update-index", *entry)
    _write(path, content)
    try:
        with _index(root, entry) as index:
            git(root, "commit", "--quiet", *empty, "--file", "-", env=index, stdin=message.encode())
    except BaseException:
        if not _is_in_head(workspace, path, content):
            _restore(root, path, before)
        raise
    return head(root)


def _is_in_head(workspace: Workspace, path: Path, content: bytes | None) -> bool:
    with suppress(UsageError):
        return show(workspace.root, "HEAD", workspace.relative(path)) == content
    return content is None


def _restore(root: Path, path: Path, content: bytes | None) -> None:
    """Undo the change of a file in the index and in the work tree; None for a file that was not there."""
    git(root, "reset", "--quiet", "--", str(path))
    _write(path, content)


def _write(path: Path, content: bytes | None) -> None:
    """Write a file, or with None remove it."""
    if content is None:
        path.unlink(missing_ok=True)
    else:
        write_whole(path, content)


def _entry(workspace: Workspace, path: Path, content: bytes | None) -> tuple[str, ...]:
    """The arguments of `git update-index` for a file's new content, or with None for its removal."""
    name = workspace.relative(path)
    if content is None:
        return "--force-remove", "--", name
    blob = git(workspace.root, "hash-object", "-w", "--stdin", stdin=content).decode().strip()
    return "--add", "--cacheinfo", f"{MODE},{blob},{name}"


@contextmanager
def _index(root: Path, entry: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The variable for git that names a temporary index: HEAD with one entry changed. The user's index stays."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        git(root, "read-tree", "HEAD", env=index)
        git(root, "update-index", *entry, env=index)
        yield index


def versions(workspace: Workspace, path: Path) -> list[bytes]:
    """The contents of a file in the commits of this branch, newest first."""
    return list(contents(workspace.root, workspace.relative(path), "--first-parent"))


def came_by_merge(workspace: Workspace, path: Path) -> bool:
    """Whether a merge brought the file as this branch has it, now or before a rollback to it."""
    blob = git(workspace.root, "rev-parse", f"HEAD:{workspace.relative(path)}").decode().strip()
    options = ("--first-parent", "--diff-merges=first-parent", f"--find-object={blob}", "--no-patch", "--format=%P")
    return any(b" " in parents for parents in git(workspace.root, "log", *options).splitlines())


def check_reopen(workspace: Workspace, path: Path, name: str) -> None:
    """Raise UsageError where `reopen` would fail."""
    root = workspace.root
    try:
        git(root, "show-ref", "--verify", "--quiet", f"refs/heads/{name}")
    except UsageError:
        raise UsageError(f"no branch {name!r} here", mend=f"git branch {name} origin/{name}") from None
    show(root, f"refs/heads/{name}", workspace.relative(path))
    if f"\nbranch refs/heads/{name}\n" in git(root, "worktree", "list", "--porcelain").decode():
        raise UsageError(
            f"branch {name} is checked out: it can't be moved", mend="git switch --detach, in the worktree that has it"
        )
    if git(root, "rev-list", "--max-count=1", f"HEAD..refs/heads/{name}").strip():
        raise UsageError(
            f"branch {name} has commits that are not merged here",
            mend=f"git switch {name} && git merge {branch(root)}",
        )


def reopen(workspace: Workspace, path: Path, name: str, message: str) -> None:
    """Move the branch `name` to a new commit on top of HEAD, with the branch's own version of the file.

    To git, a commit that was merged once is merged for ever, even after a rollback. The new commit is not merged yet,
    so that a merge brings the branch's version again.
    """
    root = workspace.root
    branch_tip = git(root, "rev-parse", f"refs/heads/{name}").decode().strip()
    content = git(root, "cat-file", "blob", f"{branch_tip}:{workspace.relative(path)}")
    with _index(root, _entry(workspace, path, content)) as index:
        tree = git(root, "write-tree", env=index).decode().strip()
    commit = git(root, "commit-tree", tree, "-p", "HEAD", "-F", "-", stdin=message.encode()).decode().strip()
    git(root, "update-ref", "-m", "reopened after a rollback", f"refs/heads/{name}", commit, branch_tip)
