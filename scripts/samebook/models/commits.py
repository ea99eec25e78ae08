"""What promotions and rollbacks do in git: one file, one commit forward, or nothing at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from samebook.core.errors import UsageError
from samebook.core.file_lock import hold
from samebook.core.git import contents, git, head, show
from samebook.core.workspace import Workspace, write_whole

UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply", "index.lock")
MODE = "100644"


@dataclass(frozen=True)
class Tip:
    """The branch that a change is for, and the commit that it goes on from."""

    branch: str
    head: str


@contextmanager
def hold_branch(workspace: Workspace, path: Path) -> Iterator[Tip]:
    """Hold the branch for one change of `path`; a second one waits, and sees what the first has made.

    Raises UsageError where a commit can't be made here, or `path` holds what is not committed.
    """
    with hold(workspace.root / ".samebook" / "promote.lock"):
        _check(workspace.root, path)
        yield Tip(branch(workspace.root), head(workspace.root))


def _check(root: Path, path: Path) -> None:
    if not branch(root):
        raise UsageError("no branch is checked out: a commit made here would be lost", mend="git switch main")
    author(root)
    if above := git(root, "rev-parse", "--show-prefix").decode().strip():
        raise UsageError(f"the workspace is the folder {above} of a repository; expected the repository's top")
    for name in UNFINISHED:
        if (root / git(root, "rev-parse", "--git-path", name).decode().strip()).exists():
            raise UsageError(f"git is in the middle of something: {name}", mend="git status says how to end it")
    check_committed(root, path)


def check_committed(root: Path, path: Path) -> None:
    """Raise UsageError where a file is not what the commit has."""
    if git(root, "status", "--porcelain", "--", str(path)):
        raise UsageError(f"{path.name} has changes that are not committed", mend=f"git diff HEAD -- {path}")


def author(root: Path) -> str:
    """Who commits here: `Name <address>`. Raises UsageError where git doesn't know."""
    try:
        return git(root, "var", "GIT_AUTHOR_IDENT").decode().rsplit(" ", 2)[0]
    except UsageError as error:
        raise UsageError(
            "git does not know who you are, and the commit says who made it",
            mend='git config user.name "…" && git config user.email …',
        ) from error


def branch(root: Path) -> str:
    """The branch that is checked out; empty where none is."""
    return git(root, "branch", "--show-current").decode().strip()


def commit_file(workspace: Workspace, held: Tip, path: Path, content: bytes, message: str) -> str:
    """Commit one file's new content; what is staged or changed besides stays so. Returns the commit's hash.

    Git's own hooks and signing apply. Where they refuse, or somebody has moved the branch meanwhile, nothing changes.
    """
    root = workspace.root
    _check(root, path)
    if (branch(root), head(root)) != (held.branch, held.head):
        raise UsageError(f"git moved on from {held.branch} {held.head[:12]} meanwhile", mend="look, and do it again")
    entry = _entry(workspace, path, content)
    with _index(root, entry) as index:
        git(root, "commit", "--quiet", "--file", "-", env=index, stdin=message.encode())
    git(root, "update-index", "--add", "--cacheinfo", entry)
    write_whole(path, content)
    return head(root)


def _entry(workspace: Workspace, path: Path, content: bytes) -> str:
    blob = git(workspace.root, "hash-object", "-w", "--stdin", stdin=content).decode().strip()
    return f"{MODE},{blob},{workspace.relative(path)}"


@contextmanager
def _index(root: Path, entry: str) -> Iterator[dict[str, str]]:
    """The variable that names an index of HEAD with one entry changed; the user's own stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        git(root, "read-tree", "HEAD", env=index)
        git(root, "update-index", "--add", "--cacheinfo", entry, env=index)
        yield index


def versions(workspace: Workspace, path: Path) -> list[bytes]:
    """The contents that a file has had on this branch, newest first."""
    return list(contents(workspace.root, workspace.relative(path), "--first-parent"))


def check_reopen(workspace: Workspace, path: Path, name: str) -> None:
    """Raise UsageError where `reopen` could not do its work."""
    root = workspace.root
    try:
        git(root, "show-ref", "--verify", "--quiet", f"refs/heads/{name}")
    except UsageError:
        raise UsageError(f"no branch {name!r} here", mend=f"git branch {name} origin/{name}") from None
    show(root, f"refs/heads/{name}", workspace.relative(path))
    if f"\nbranch refs/heads/{name}\n" in git(root, "worktree", "list", "--porcelain").decode():
        raise UsageError(f"branch {name} is checked out: it can't be moved", mend="git switch another, there")
    if git(root, "rev-list", "--max-count=1", f"HEAD..{name}").strip():
        raise UsageError(
            f"branch {name} has commits that are not merged here",
            mend=f"git switch {name} && git merge {branch(root)}, and promote there again",
        )


def reopen(workspace: Workspace, path: Path, name: str, message: str) -> None:
    """Move the branch `name` one commit beyond HEAD, with its own version of the file.

    Git counts what was merged once as merged for ever; from there the branch brings its version again.
    """
    root = workspace.root
    tip = git(root, "rev-parse", f"refs/heads/{name}").decode().strip()
    theirs = git(root, "cat-file", "blob", f"{tip}:{workspace.relative(path)}")
    with _index(root, _entry(workspace, path, theirs)) as index:
        tree = git(root, "write-tree", env=index).decode().strip()
    made = git(root, "commit-tree", tree, "-p", "HEAD", "-F", "-", stdin=message.encode()).decode().strip()
    git(root, "update-ref", "-m", "reopened after a rollback", f"refs/heads/{name}", made, tip)
