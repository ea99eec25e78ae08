"""Git: the only module that calls the program. Reading a commit works without the program too: the image has none.

`repository` reads there.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from samebook.core import repository, text
from samebook.core.errors import UsageError

# The user's hooks are meant for the user's checkout, not for a temporary one.
NO_HOOKS = "core.hooksPath=/dev/null"

# Replaced objects and grafts show other files and other parents here than everybody else has.
TRUE_HISTORY = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull}

# Inside a git hook these variables are set, and they would make git read another repository than `root`.
REPOSITORY_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
)

BRANCHES = ("refs/heads/", "refs/remotes/origin/", "refs/remotes/")  # a name is looked up there before tags

# The exit code of `git merge-file` is its number of conflicts, at most this one.
MOST_CONFLICTS = 127


def git(root: Path, *arguments: str, env: dict[str, str] | None = None, stdin: bytes = b"", accepted: int = 0) -> bytes:
    """The standard output of `git ARGUMENTS` in `root`.

    Raises UsageError with git's own message when git fails, or when it is not installed. Exit codes up to `accepted`
    are no failure.
    """
    return _run(root, arguments, env, stdin, accepted).stdout


def _run(
    root: Path, arguments: Sequence[str], env: dict[str, str] | None = None, stdin: bytes = b"", accepted: int = 0
) -> subprocess.CompletedProcess[bytes]:
    """The end of `git ARGUMENTS` in `root`; exit codes up to `accepted` are no failure."""
    # A bind mount may belong to another user than the container's, and git would refuse it.
    command = ("git", "-c", f"safe.directory={root}", "-C", str(root), *arguments)
    inherited = {name: value for name, value in os.environ.items() if name not in REPOSITORY_VARIABLES}
    try:
        process = subprocess.run(
            command, capture_output=True, input=stdin, check=False, env={**inherited, **TRUE_HISTORY, **(env or {})}
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed here", mend="apt-get install git") from error
    if not 0 <= process.returncode <= accepted:
        verb = next((argument for argument in arguments if argument != "-c" and "=" not in argument), "")
        raise UsageError(f"git {verb} failed: {process.stderr.decode().strip()}", mend=f"git -C {root} status")
    return process


def merge_file(own: Path, old: Path, new: Path, names: Sequence[str]) -> tuple[bytes, int]:
    """The three-way merge of a text file, and its number of conflicts: they stand in it between marks.

    `names` are those of the three versions, for the marks.
    """
    labels = [word for name in names for word in ("-L", name)]
    options = ("-c", "merge.conflictStyle=merge", "merge-file", "--stdout", "--quiet")
    process = _run(own.parent, (*options, *labels, str(own), str(old), str(new)), accepted=MOST_CONFLICTS)
    return process.stdout, process.returncode


def clone(address: str, folder: Path, ref: str = "") -> None:
    """Clone the newest commit of a repository, or of its branch or tag `ref`, into a new folder; links become text.

    Nothing of it is run, and nothing asks for a password. Raises UsageError.
    """
    safe = ("-c", "core.symlinks=false", "-c", "protocol.ext.allow=never", "-c", NO_HOOKS)
    branch = (f"--branch={ref}",) if ref else ()
    options = ("--quiet", "--depth=1", "--template=", *branch)
    try:
        git(folder.parent, *safe, "clone", *options, "--", address, str(folder), env={"GIT_TERMINAL_PROMPT": "0"})
    except UsageError as error:
        raise UsageError(str(error), mend=shlex.join(["git", "ls-remote", address, *filter(None, [ref])])) from None


def commit(root: Path, ref: str) -> str:
    """The hash of the commit that a branch, a tag or a hash names; a branch that is only at origin counts too.

    A branch, here or at origin, goes before a tag of its name, which is said; HEAD, HEAD~1 and a whole hash are never
    either. Raises UsageError where `ref` names no commit.
    """
    is_branch = not re.match(r"(HEAD|@)(?!\w)", ref) and not re.fullmatch(r"[0-9a-f]{40}", ref)
    hashes = (_commit(root, f"{prefix}{ref}") for prefix in (*(BRANCHES if is_branch else ()), "") if ref)
    if commit_hash := next(filter(None, hashes), ""):
        if is_branch and _commit(root, f"refs/tags/{ref}") not in ("", commit_hash):
            text.warn(f"{ref} is a branch and a tag: taking the branch, {commit_hash[:12]}; refs/tags/{ref} is the tag")
        return commit_hash
    raise UsageError(f"no branch, tag or commit {ref!r} in this repository", mend=_fetch_command(root))


def is_ancestor(root: Path, commit: str, of: str = "HEAD") -> bool:
    """Whether a commit is another one, or in its past: by default in the branch that is checked out and its clones."""
    if not shutil.which("git"):
        return repository.is_ancestor(root, commit, of)
    with suppress(UsageError):
        git(root, "merge-base", "--is-ancestor", commit, of)
        return True
    return False


def show(root: Path, ref: str, path: str) -> bytes:
    """The content of a file at a branch, tag or commit, without a checkout. Raises UsageError where it is missing."""
    commit_hash = commit(root, ref)
    content = file_content(root, commit_hash, path)
    if content is None:
        raise UsageError(f"there is no {path} at {ref} ({commit_hash[:12]})", mend=f"git ls-tree -r --name-only {ref}")
    return content


def file_names(root: Path, ref: str, folder: str, suffix: str) -> list[str]:
    """The names, without the suffix, of the files in a folder below `root` at a branch, a tag or a commit.

    Where the folder is missing, there are none. Raises UsageError where `ref` names no commit.
    """
    output = git(root, "ls-tree", "-z", "--name-only", commit(root, ref), "--", f"{folder}/").decode()
    return [Path(name).name.removesuffix(suffix) for name in output.split("\0") if name.endswith(suffix)]


def contents(root: Path, path: str, *options: str) -> Iterator[bytes]:
    """Every content that a file, or the files of a pattern (models/*.json), ever had, newest first.

    `options` are those of `git log` that choose commits: --all, --first-parent.
    """
    # These options overrule the user's configuration: no lines about signatures, and the first commit's files too.
    plain = ("--format=", "--raw", "--no-abbrev", "--no-color", "--no-show-signature", "--root", "-m")
    lines = git(root, "log", *plain, *options, "--", path).decode(errors="replace").splitlines()
    for blob in (line.split()[3] for line in lines if line.startswith(":")):
        if blob.strip("0"):  # a removed file has the hash 000…
            yield git(root, "cat-file", "blob", blob)


def is_shallow(root: Path) -> bool:
    """Whether history is cut off, as in a clone with --depth."""
    with suppress(UsageError):
        if not shutil.which("git"):
            return repository.is_shallow(root)
        return git(root, "rev-parse", "--is-shallow-repository").strip() == b"true"
    return False


def _fetch_command(root: Path) -> str:
    """The command that may bring a missing commit."""
    return "git fetch --unshallow" if is_shallow(root) else "git fetch --all"


def _commit(root: Path, ref: str) -> str:
    if not ref or ref.startswith("-"):
        return ""
    if shutil.which("git"):
        with suppress(UsageError):
            return git(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").decode().strip()
        return ""
    return repository.commit(root, ref)


def file_content(root: Path, commit: str, path: str) -> bytes | None:
    """The content of a file at a commit; None where it is missing."""
    if shutil.which("git"):
        with suppress(UsageError):
            return git(root, "cat-file", "blob", f"{commit}:./{path}")
        return None
    return repository.content(root, commit, path)


def head(root: Path) -> str:
    """The hash of the commit that is checked out."""
    return git(root, "rev-parse", "HEAD").decode().strip()


def is_unborn(root: Path) -> bool:
    """Whether a repository has no commit at all yet. Raises UsageError where it can't be read."""
    if shutil.which("git"):
        return not git(root, "rev-list", "--all", "--max-count=1") and not _commit(root, "HEAD")
    return repository.is_unborn(root)


def submodules(root: Path, ref: str) -> list[tuple[str, str]]:
    """The path and the commit of each submodule in a commit."""
    lines = git(root, "ls-tree", "-r", "-z", "--full-tree", ref).split(b"\0")
    entries = (line.partition(b"\t") for line in lines if line.startswith(b"160000 "))
    return [(os.fsdecode(path), fields.split()[2].decode()) for fields, _, path in entries]


def blobs(root: Path, commit: str) -> tuple[dict[str, str], dict[str, str]]:
    """The hash of each file of a commit below a folder, and the commit of each submodule, by their paths from there."""
    if shutil.which("git"):
        lines = git(root, "ls-tree", "-r", "-z", commit).split(b"\0")
        entries = [
            (os.fsdecode(path), fields.decode().split()) for fields, _, path in (x.partition(b"\t") for x in lines)
        ]
        kinds = [{path: fields[2] for path, fields in entries if fields[1:2] == [kind]} for kind in ("blob", "commit")]
        return kinds[0], kinds[1]
    return repository.blobs(root, commit), {}


@contextmanager
def worktree(root: Path, commit: str, changes: bytes = b"") -> Iterator[Path]:
    """The path of `root` in a temporary checkout of `commit`, with the patch `changes` applied; it goes at the end.

    `root` may be a folder of a repository; the patch names files from the repository's top. Raises UsageError for a
    commit that is not in the repository.
    """
    try:
        git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except UsageError:
        raise UsageError(f"commit {commit} is not in this repository", mend=_fetch_command(root)) from None
    parent = root / ".samebook"
    parent.mkdir(exist_ok=True)
    top, prefix = (git(root, "rev-parse", f"--show-{name}").decode().strip("\n") for name in ("toplevel", "prefix"))
    _remove_abandoned(root, parent)
    with tempfile.TemporaryDirectory(prefix=f"worktree-{os.getpid()}-", dir=parent) as folder:
        path = Path(folder) / "checkout"
        try:
            git(root, "-c", NO_HOOKS, "worktree", "add", "--quiet", "--detach", str(path), commit)
            _fill_submodules(Path(top), path)
            if changes:
                git(path, "apply", "--binary", "--whitespace=nowarn", "-", stdin=changes)
            yield path / prefix
        finally:
            with suppress(UsageError):  # the error of adding the checkout is the one to report
                git(root, "worktree", "remove", "--force", str(path))


def _fill_submodules(root: Path, checkout: Path) -> None:
    """Check out each submodule that the user's checkout has, from there: no network, and the objects are shared."""
    for name, commit_hash in submodules(checkout, "HEAD"):
        source, path = root / name, checkout / name
        if (source / ".git").exists():
            git(root, "clone", "--quiet", "--shared", "--no-checkout", "--template=", str(source), str(path))
            git(path, "-c", NO_HOOKS, "checkout", "--quiet", "--detach", commit_hash)
            _fill_submodules(source, path)


def _remove_abandoned(root: Path, parent: Path) -> None:
    """Remove the checkouts of processes that were killed."""
    for folder in parent.glob("worktree-*-*"):
        if not Path(f"/proc/{folder.name.split('-')[1]}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
    git(root, "worktree", "prune")
