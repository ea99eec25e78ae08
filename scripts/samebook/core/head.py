"""HEAD: files as they are committed there, whatever the work tree, the index and replaced objects say.

Policy and trusted keys are read in this way, so that no edit, ignored file or flag in the index can weaken them. A copy
without a repository, as the image's is, has its own files instead.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from samebook.core import repository
from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.git import blobs, git, is_ancestor
from samebook.core.git import commit as commit_of


def is_repository(root: Path) -> bool:
    """Whether a workspace is a checkout, or a folder of one, and not a copy without a repository."""
    return repository.is_outside() or any((folder / ".git").exists() for folder in (root, *root.parents))


def content(root: Path, path: str) -> bytes | None:
    """The content of a file at HEAD; None where HEAD has no such file."""
    if not is_repository(root):
        return (root / path).read_bytes() if (root / path).is_file() else None
    if not shutil.which("git"):
        return repository.content(root, repository.commit(root, "HEAD"), path)
    return _output(root, "cat-file", "blob", f"HEAD:./{path}")


def file_names(root: Path, folder: str) -> list[str]:
    """The names of the files in a folder at HEAD, sorted; none where the folder is missing."""
    if not is_repository(root):
        return sorted(path.name for path in (root / folder).glob("*") if path.is_file())
    if not shutil.which("git"):
        from dulwich.objects import Tree

        tree = repository.entry(root, repository.commit(root, "HEAD"), folder)
        return sorted(item.path.decode() for item in tree.items()) if isinstance(tree, Tree) else []
    lines = _output(root, "ls-tree", "-z", "--name-only", f"HEAD:./{folder}") or b""
    return sorted(filter(None, lines.decode().split("\0")))


def digests(root: Path, is_wanted: Callable[[str], bool], ref: str = "HEAD") -> dict[str, str]:
    """The sha256 of each wanted file of a commit, by its path: by one process of git, however many files there are."""
    hashes = {name: blob for name, blob in blobs(root, commit_of(root, ref))[0].items() if is_wanted(name)}
    return {name: sha256(content) for name, content in zip(hashes, _contents(root, hashes.values()), strict=True)}


def has_same(root: Path, commit: str, path: str) -> bool:
    """Whether a file, or a folder, is the same at HEAD and in a commit."""
    names = (f"{version}:./{path}" for version in (commit, "HEAD"))
    return len({_output(root, "rev-parse", "--verify", "--quiet", name) for name in names}) == 1


def is_in_past(root: Path, commit: str, ref: str = "") -> bool:
    """Whether a commit is HEAD or in its past, or in that of `ref`, a branch, tag or commit that the user has named."""
    heads = ("HEAD", *([commit_of(root, ref)] if ref else []))
    return any(is_ancestor(root, commit, name) for name in heads)


def versions(root: Path, path: str, ref: str = "HEAD") -> Iterator[tuple[str, bytes | None]]:
    """The commits on the line of first parents of a branch that changed a file, newest first, each with the content
    that it gave the file; None where it removed it. What a merged branch did in between is not on that line.
    """
    if not shutil.which("git"):
        yield from repository.versions(root, commit_of(root, ref), path)
        return
    # These options overrule the user's configuration: no lines about signatures, and the first commit's files too.
    plain = ("--format=%H", "--raw", "--no-abbrev", "--no-color", "--no-show-signature", "--no-renames", "--root", "-m")
    lines = git(root, "log", *plain, "--first-parent", commit_of(root, ref), "--", path).decode().splitlines()
    commit = ""
    for line in filter(None, lines):
        if not line.startswith(":"):
            commit = line
            continue
        blob = line.split()[3]
        yield commit, git(root, "cat-file", "blob", blob) if blob.strip("0") else None


def fork(root: Path, commit: str, ref: str) -> str:
    """The newest commit on the line of first parents of `ref` that is a commit, or in its past; "" where none is."""
    if not shutil.which("git"):
        return repository.fork(root, commit, commit_of(root, ref))
    try:
        later = git(root, "rev-list", "--count", "--first-parent", ref, "--not", commit).decode().strip()
        return git(root, "rev-parse", "--verify", "--quiet", f"{ref}~{later}").decode().strip()
    except UsageError:  # no such commit here, or a line that does not reach so far
        return ""


def is_said(root: Path, line: str, old: str, new: str) -> bool:
    """Whether the message of a commit that is in the past of `new`, and not in that of `old`, has this text."""
    if not shutil.which("git"):
        return repository.is_said(root, line, old, commit_of(root, new))
    return bool(git(root, "log", "--max-count=1", "--format=%H", "--fixed-strings", f"--grep={line}", f"{old}..{new}"))


def parents(root: Path, commit: str) -> list[str]:
    """The parents of a commit, the first one first."""
    if not shutil.which("git"):
        return repository.parents(root, commit)
    return git(root, "rev-parse", f"{commit}^@").decode().split()


def tips(root: Path) -> list[str]:
    """The commits of HEAD and of each branch, here and at a remote, and of each tag."""
    lines = git(root, "for-each-ref", "--format=%(objectname)^{commit}", "refs/heads", "refs/remotes", "refs/tags")
    return [*dict.fromkeys(git(root, "rev-parse", "HEAD", *lines.decode().split()).decode().split())]


def _output(root: Path, *arguments: str) -> bytes | None:
    """The output of git; None where it finds nothing of that name."""
    with suppress(UsageError):
        return git(root, *arguments)
    return None


def _contents(root: Path, hashes: Iterable[str]) -> Iterator[bytes]:
    """The contents of blobs."""
    if not shutil.which("git"):
        yield from repository.contents(root, hashes)
        return
    output = git(root, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in hashes).encode())
    while output:  # "HASH blob SIZE", the content, a line break
        line, _, output = output.partition(b"\n")
        size = int(line.split()[2])
        yield output[:size]
        output = output[size + 1 :]
