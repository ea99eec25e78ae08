"""The only door to git. What only reads history works without the program too: the image has none."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from samebook.core.errors import UsageError

if TYPE_CHECKING:
    from dulwich.repo import Repo

# Whatever the user's configuration says: a patch must apply on any machine.
PLAIN = ("--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")
PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")

# A hook of the user's is for the user's checkout.
NO_HOOKS = "core.hooksPath=/dev/null"

# What git's hooks, and whoever calls us from one, have set: it would mean another repository than `root`.
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")


def git(root: Path, *arguments: str, env: dict[str, str] | None = None, stdin: bytes = b"") -> bytes:
    """What `git ARGUMENTS` prints in `root`.

    Raises UsageError with git's own words when it fails, or when there is no git.
    """
    # A bind mount may belong to another user than the container's: that is no reason to distrust it.
    command = ("git", "-c", f"safe.directory={root}", "-C", str(root), *arguments)
    inherited = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    try:
        done = subprocess.run(command, capture_output=True, input=stdin, check=False, env={**inherited, **(env or {})})
    except FileNotFoundError as error:
        raise UsageError("git is not installed here") from error
    if done.returncode:
        verb = next((each for each in arguments if each not in ("-c", NO_HOOKS)), "")
        raise UsageError(f"git {verb} failed: {done.stderr.decode().strip()}")
    return done.stdout


def commit(root: Path, ref: str) -> str:
    """The commit that a branch, tag or hash means, in hex; a branch that is only at origin counts too.

    A branch goes before a tag of the same name. Raises UsageError for what is none.
    """
    found = (_commit(root, f"{place}{ref}") for place in ("refs/heads/", "", "origin/") if ref)
    if name := next(filter(None, found), ""):
        return name
    raise UsageError(f"no branch, tag or commit {ref!r} in this repository", mend=_to_fetch(root))


def is_ancestor(root: Path, name: str) -> bool:
    """Whether a commit is in the branch that is checked out, so that a clone of it can have it."""
    with suppress(UsageError):
        git(root, "merge-base", "--is-ancestor", name, "HEAD")
        return True
    return False


def show(root: Path, ref: str, path: str) -> bytes:
    """A file's content at a branch, tag or commit, without a checkout. Raises UsageError where there is none."""
    name = commit(root, ref)
    content = _content(root, name, path)
    if content is None:
        raise UsageError(f"there is no {path} at {ref} ({name[:12]})")
    return content


def file_names(root: Path, ref: str, folder: str, suffix: str) -> list[str]:
    """The names, without the suffix, of the files in a folder at a branch, tag or commit; none where it isn't there.

    Raises UsageError for a ref that isn't there.
    """
    listed = git(root, "ls-tree", "-z", "--full-tree", "--name-only", commit(root, ref), "--", f"{folder}/").decode()
    return [Path(name).name.removesuffix(suffix) for name in listed.split("\0") if name.endswith(suffix)]


def contents(root: Path, path: str, *options: str) -> Iterator[bytes]:
    """Every content that a file, or each of several (models/*.json), has had, newest first.

    Options of `git log` say where: --all, --first-parent.
    """
    # Whatever the user's configuration says: no words about signatures, and the first commit's files too.
    plain = ("--format=", "--raw", "--no-abbrev", "--no-color", "--no-show-signature", "--root", "-m")
    shown = git(root, "log", *plain, *options, "--", path).decode(errors="replace").splitlines()
    for blob in (line.split()[3] for line in shown if line.startswith(":")):
        if blob.strip("0"):  # else it was removed there
            yield git(root, "cat-file", "blob", blob)


def is_shallow(root: Path) -> bool:
    """Whether the past is missing here, as in a clone with --depth."""
    with suppress(UsageError):
        return git(root, "rev-parse", "--is-shallow-repository").strip() == b"true"
    return False


def _to_fetch(root: Path) -> str:
    """What may bring a commit that isn't here."""
    return "git fetch --unshallow" if is_shallow(root) else "git fetch --all"


def _commit(root: Path, ref: str) -> str:
    if not ref or ref.startswith("-"):
        return ""
    if shutil.which("git"):
        with suppress(UsageError):
            return git(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").decode().strip()
        return ""
    from dulwich.objectspec import parse_commit

    with _opened(root) as repository, suppress(KeyError, ValueError):
        return parse_commit(repository, ref.encode()).id.decode()
    return ""


def _content(root: Path, name: str, path: str) -> bytes | None:
    if shutil.which("git"):
        with suppress(UsageError):
            return git(root, "cat-file", "blob", f"{name}:{path}")
        return None
    from dulwich.object_store import tree_lookup_path
    from dulwich.objects import Commit

    with _opened(root) as repository, suppress(KeyError):
        found = repository[name.encode()]
        assert isinstance(found, Commit)
        return repository[tree_lookup_path(repository.__getitem__, found.tree, path.encode())[1]].as_raw_string()
    return None


@contextmanager
def _opened(root: Path) -> Iterator["Repo"]:
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        repository = Repo(str(root))
    except NotGitRepository as error:
        raise UsageError(f"{root} is no git repository") from error
    with closing(repository):
        yield repository


def head(root: Path) -> str:
    """The commit that is checked out, in hex."""
    return git(root, "rev-parse", "HEAD").decode().strip()


def patch(root: Path) -> bytes | None:
    """What is not committed, new files included, as a patch on HEAD; empty where all is.

    None where there is more than a patch can hold: changes inside a submodule, or a repository in the repository.
    """
    with tempfile.TemporaryDirectory() as folder:
        # An index of its own: what the user has staged, or told git not to look at, stays as it is.
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        git(root, "read-tree", "HEAD", env=index)
        git(root, "add", "--all", env=index)
        found = git(root, "diff", "--cached", *PLAIN, *PREFIXES, "HEAD", env=index)
    inner = git(root, "submodule", "foreach", "--quiet", "git status --porcelain")
    return None if inner or b" mode 160000" in found else found


@contextmanager
def worktree(root: Path, commit: str, changes: bytes = b"") -> Iterator[Path]:
    """A temporary checkout of `commit`, with a patch applied; removed at the end, whatever happens.

    Raises UsageError for a commit that is not in the repository.
    """
    try:
        git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except UsageError:
        raise UsageError(f"commit {commit} is not in this repository", mend=_to_fetch(root)) from None
    parent = root / ".samebook"
    parent.mkdir(exist_ok=True)
    _drop_abandoned(root, parent)
    with tempfile.TemporaryDirectory(prefix=f"worktree-{os.getpid()}-", dir=parent) as folder:
        path = Path(folder) / "checkout"
        try:
            git(root, "-c", NO_HOOKS, "worktree", "add", "--quiet", "--detach", str(path), commit)
            if changes:
                git(path, "apply", "--binary", "--whitespace=nowarn", "-", stdin=changes)
            yield path
        finally:
            with suppress(UsageError):  # where it could not be added, that error is the one to tell
                git(root, "worktree", "remove", "--force", str(path))


def _drop_abandoned(root: Path, parent: Path) -> None:
    """Remove checkouts of processes that were killed."""
    for folder in parent.glob("worktree-*-*"):
        if not Path(f"/proc/{folder.name.split('-')[1]}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
    git(root, "worktree", "prune")
