"""The origin of what a run has read: held by its commit, or undeclared. Git says so, not the names of folders."""

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from stat import S_ISREG

from samebook.core import git
from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.uncommitted import POINTER
from samebook.core.workspace import Workspace
from samebook.reads import recorder
from samebook.records import receipt
from samebook.records.receipt import Json
from samebook.records.source import Source, code_files

UNDECLARED, COMMITTED = "undeclared", "committed"
# The folders of a copy without a repository, as the image's is, that were copied from the commit.
COPIED = ("environments", "models", "notebooks", "scripts")
SHOWN = 5
SHA1 = 40  # hex digits


def settled(workspace: Workspace, source: Source, notebook: Path, events: Iterable[Json]) -> Iterator[Json]:
    """The events of a run, each read as `committed` or `undeclared`.

    Reads of what the receipt names anyway are left out: of the notebook, and of the code. A receipt has one
    sha256 for an input: of one that was read again with another, the earlier content counts as unseen.
    """
    inputs = dict[str, str]()
    held: _Commit | None = None
    hashed = {workspace.relative(path) for path in (notebook, *code_files(workspace))}
    for event in events:
        if event["kind"] == "input" and inputs.setdefault(event["name"], event["sha256"]) != event["sha256"]:
            yield {"kind": recorder.UNSEEN, "name": f"{event['name']}, before it changed during the run"}
        if event["kind"] != recorder.READ:
            yield event
        elif event["name"] not in hashed:
            held = held or _Commit(workspace.root, source.commit)
            is_held = event["name"].endswith("/") or held.has(event["name"], event["sha256"])
            yield {**event, "kind": COMMITTED if is_held else UNDECLARED}


def notes(events: Iterable[Json], ignored: tuple[str, ...] = ()) -> list[str]:
    """The lines that tell what a run has read without being able to name or to prove it.

    Unseen reads whose names begin with one of `ignored` are left out: somebody answers for them.
    """
    events = list(events)
    undeclared, unseen = (
        sorted({event["name"] for event in events if event["kind"] == kind}) for kind in (UNDECLARED, recorder.UNSEEN)
    )
    unseen = [name for name in unseen if not name.startswith(ignored)]
    lines = [f"read without being declared: {_some(undeclared)}; commit it, or read it by samebook.input_path"]
    answered = "unless ignore_unseen in environments/<env>.yml names it"
    lines += [f"read unseen: {_some(unseen)}; so no pipeline takes it as done already, {answered}"]
    return [line for line, names in zip(lines, (undeclared, unseen), strict=True) if names]


def current_digest(workspace: Workspace, name: str) -> str:
    """The sha256 that a run would read today under a name of a receipt, of a file or of a folder's names; "" for none.

    A file is hashed once for each of its states. A stranger's receipt may name a device, which never ends, or a pipe.
    """
    path = workspace.root / name
    with suppress(OSError, ValueError):
        if name.endswith("/"):
            return recorder.listing(str(path))
        state = path.stat()
        if not S_ISREG(state.st_mode):
            return ""
        return _digest(path, state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino)
    return ""


def lacked(workspace: Workspace, statement: Json) -> dict[str, str]:
    """The undeclared files of a receipt that are not there, or are others, by name, with the sha256 that they had."""
    files = receipt.undeclared(statement)
    return {name: digest for name, digest in files.items() if current_digest(workspace, name) != digest}


@cache
def _digest(path: Path, *_state: int) -> str:
    return sha256(path)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


class _Commit:
    """The files of a commit, below a folder of its repository."""

    def __init__(self, root: Path, commit: str) -> None:
        self._root = root
        self._blobs: dict[str, str] | None = None
        self._submodules: dict[str, _Commit] = {}
        with suppress(UsageError, KeyError):  # a worktree's repository, or its objects, may be outside the container
            if commit:
                self._blobs, submodules = git.blobs(root, commit)
                self._submodules = {path: _Commit(root / path, of) for path, of in submodules.items()}

    def has(self, name: str, digest: str) -> bool:
        """Whether the commit holds these bytes under this name, by itself or as a pointer of git-lfs."""
        if self._blobs is None:
            return name.split("/")[0] in COPIED
        if blob := self._blobs.get(name):
            return self._is_blob(name, digest, blob)
        return any(
            commit.has(name.removeprefix(f"{path}/"), digest)
            for path, commit in self._submodules.items()
            if name.startswith(f"{path}/")
        )

    def _is_blob(self, name: str, digest: str, blob: str) -> bool:
        with suppress(OSError):
            content = (self._root / name).read_bytes()
            kind = "sha1" if len(blob) == SHA1 else "sha256"
            header = f"blob {len(content)}\0".encode()
            if sha256(content) == digest and hashlib.new(kind, header + content).hexdigest() == blob:
                return True
        if shutil.which("git") is None:
            return False
        pointer = git.git(self._root, "cat-file", "blob", blob)
        return pointer.startswith(POINTER) and f"oid sha256:{digest}\n".encode() in pointer
