"""A repository that is read without git's program, which the image does not have: commits and files, by dulwich."""

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from samebook.core.errors import UsageError

if TYPE_CHECKING:
    from dulwich.objects import Commit, ShaFile
    from dulwich.repo import Repo

# By these make tells a container which commit its checkout is at, and where the patch on it is.
COMMIT, PATCH = "SAMEBOOK_COMMIT", "SAMEBOOK_PATCH"


def is_outside() -> bool:
    """Whether make has started this process in a container, for a checkout whose repository may not be in there."""
    return bool(os.environ.get(COMMIT) and PATCH in os.environ)


@contextmanager
def opened(root: Path) -> Iterator["Repo"]:
    """The repository of a checkout, of which `root` may be a folder. Raises UsageError where there is none."""
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        repository = Repo.discover(str(root))
        if not Path(repository.commondir()).is_dir():  # a worktree's file names a repository that is not here
            raise NotGitRepository(repository.commondir())
    except NotGitRepository as error:
        if is_outside():
            raise UsageError(
                "policy, keys and models are those of HEAD, and the repository of this checkout is outside of the "
                "container: it is a worktree, or a folder of a larger repository",
                mend="again, with ENGINE=local",
            ) from error
        raise UsageError(f"{root} is not a git repository", mend=f"git init {root}") from error
    with closing(repository):
        yield repository


def commit(root: Path, ref: str) -> str:
    """The hash of the commit that a ref names; "" for none. HEAD is never a branch or a tag of that name."""
    from dulwich.objectspec import parse_commit

    with opened(root) as repository, suppress(KeyError, ValueError):
        return (repository.head() if ref == "HEAD" else parse_commit(repository, ref.encode()).id).decode()
    return ""


def is_unborn(root: Path) -> bool:
    """Whether the repository has no commit at all yet."""
    with opened(root) as repository:
        return not repository.get_refs()


def is_shallow(root: Path) -> bool:
    """Whether the history of the repository is cut off."""
    with opened(root) as repository:
        return bool(repository.get_shallow())


def is_ancestor(root: Path, commit_hash: str, of: str) -> bool:
    """Whether a commit is the one that `of` names, or in its past, by the parents that commits name."""
    start = commit(root, of)
    with opened(root) as repository:
        return bool(start) and commit_hash.encode() in _past(repository, start.encode())


def is_said(root: Path, line: str, old: str, new: str) -> bool:
    """Whether the message of a commit that is in the past of `new`, and not in that of `old`, has this text."""
    with opened(root) as repository:
        before = set(_past(repository, old.encode()))
        commits = (_commit(repository, name) for name in _past(repository, new.encode()) if name not in before)
        return any(line.encode() in commit.message for commit in commits)


def parents(root: Path, commit_hash: str) -> list[str]:
    """The parents of a commit, the first one first; those that a shallow clone lacks are left out."""
    with opened(root) as repository:
        return [name.decode() for name in _commit(repository, commit_hash.encode()).parents if name in repository]


def _commit(repository: "Repo", name: bytes) -> "Commit":
    from dulwich.objects import Commit

    stored = repository[name]
    assert isinstance(stored, Commit)
    return stored


def fork(root: Path, commit_hash: str, of: str) -> str:
    """The newest commit on the line of first parents of `of` that is a commit, or in its past; "" where none is."""
    with opened(root) as repository:
        past = set(_past(repository, commit_hash.encode()))
        return next((name.decode() for name in _line(repository, of.encode()) if name in past), "")


def versions(root: Path, of: str, path: str) -> Iterator[tuple[str, bytes | None]]:
    """The commits on the line of first parents of a commit that changed a file, newest first, each with the content
    that it gave the file; None where it removed it.
    """
    with opened(root) as repository:
        parts = os.fsencode(_folder(repository, root) / path).split(b"/")
        newer, newer_hashes = b"", list[bytes]()
        for name in _line(repository, of.encode()):
            hashes = _hashes(repository, name, parts, newer_hashes)
            if newer and hashes[-1] != newer_hashes[-1]:
                yield newer.decode(), _data(_stored(repository, newer_hashes[-1]))
            newer, newer_hashes = name, hashes
        if newer and newer_hashes[-1]:
            yield newer.decode(), _data(_stored(repository, newer_hashes[-1]))


def _hashes(repository: "Repo", commit_hash: bytes, parts: list[bytes], known: list[bytes]) -> list[bytes]:
    """The hashes on the way to a file in a commit: its tree, each folder, the file; b"" from where there is none.

    From the first hash that is also another commit's, whose hashes are `known`, the others are taken from there: most
    commits of a long history leave a file's folder as it is.
    """
    from dulwich.objects import Commit, Tree

    stored = repository[commit_hash]
    assert isinstance(stored, Commit)
    hashes = [stored.tree]
    for part in parts:
        if hashes[-1:] == known[len(hashes) - 1 : len(hashes)]:
            return [*hashes, *known[len(hashes) :]]
        folder = _stored(repository, hashes[-1])
        hashes.append(folder[part][1] if isinstance(folder, Tree) and part in folder else b"")
    return hashes


def _stored(repository: "Repo", name: bytes) -> "ShaFile | None":
    """The object of a hash; None for b"", and for one that is not in this repository."""
    with suppress(KeyError):
        return repository[name] if name else None
    return None


def _folder(repository: "Repo", root: Path) -> Path:
    """The path of a workspace in its repository."""
    return root.resolve().relative_to(Path(repository.path).resolve())


def _past(repository: "Repo", start: bytes) -> Iterator[bytes]:
    """A commit and all in its past, each once; those that a shallow clone lacks are left out."""
    from dulwich.objects import Commit

    reached, waiting = set[bytes](), [start]
    while waiting:
        name = waiting.pop()
        if name not in reached and name in repository and isinstance(parent := repository[name], Commit):
            reached.add(name)
            waiting += parent.parents
            yield name


def _line(repository: "Repo", start: bytes) -> Iterator[bytes]:
    """A commit, its first parent, the first parent of that, and so on."""
    from dulwich.objects import Commit

    name = start
    while name in repository and isinstance(stored := repository[name], Commit):
        yield name
        if not stored.parents:
            return
        name = stored.parents[0]


def entry(root: Path, commit_hash: str, path: str = "") -> "ShaFile | None":
    """The file or folder at a path below `root` in a commit; None where there is none, or no commit yet ("")."""
    with opened(root) as repository:
        return _entry(repository, root, commit_hash.encode(), path)


def _entry(repository: "Repo", root: Path, commit_hash: bytes, path: str) -> "ShaFile | None":
    from dulwich.errors import NotTreeError
    from dulwich.object_store import tree_lookup_path
    from dulwich.objects import Commit

    with suppress(KeyError, NotTreeError):
        stored = repository[commit_hash]
        assert isinstance(stored, Commit)
        name = os.fsencode(_folder(repository, root) / path)
        if name == b".":
            return repository[stored.tree]
        return repository[tree_lookup_path(repository.__getitem__, stored.tree, name)[1]]
    return None


def content(root: Path, commit_hash: str, path: str) -> bytes | None:
    """The content of a file in a commit; None where there is none."""
    return _data(entry(root, commit_hash, path))


def _data(blob: "ShaFile | None") -> bytes | None:
    from dulwich.objects import Blob

    return blob.as_raw_string() if isinstance(blob, Blob) else None


def blobs(root: Path, commit_hash: str) -> dict[str, str]:
    """The hash of each file of a commit below `root`, by its path from there."""
    from dulwich.object_store import iter_tree_contents

    if (tree := entry(root, commit_hash)) is None:
        return {}
    with opened(root) as repository:
        items = iter_tree_contents(repository.object_store, tree.id)
        return {os.fsdecode(item.path or b""): (item.sha or b"").decode() for item in items}


def contents(root: Path, hashes: Iterable[str]) -> Iterator[bytes]:
    """The contents of files, by their hashes."""
    with opened(root) as repository:
        yield from (repository[name.encode()].as_raw_string() for name in hashes)
