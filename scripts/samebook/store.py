"""The content-addressed store: store/aa/bb/<sha256>, each file named by the hash of its bytes.

Objects are written whole, read-only, and never linked into the workspace, so that nothing outside can change
them. Every read is verified: a damaged object is reported by name, and is as good as missing.
"""

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from samebook.digest import sha256
from samebook.errors import SamebookError, UsageError
from samebook.workspace import Workspace, replacing

HEX = 64


class Damaged(SamebookError):
    """An object whose bytes are not those that its name promises."""


@dataclass(frozen=True)
class Store:
    """A store in a local folder."""

    root: Path

    def path(self, digest: str) -> Path:
        """Where the object with this sha256 is, or would be."""
        if not re.fullmatch(f"[0-9a-f]{{{HEX}}}", digest):
            raise UsageError(f"{digest!r} is no sha256")
        return self.root / digest[:2] / digest[2:4] / digest

    def put(self, content: bytes | Path) -> str:
        """Keep bytes, or a file's content; returns the sha256. What is there already, whole, is not written again."""
        digest = sha256(content)
        path = self.path(digest)
        if self.is_whole(digest):
            return digest
        with replacing(path) as temporary:
            if isinstance(content, bytes):
                temporary.write_bytes(content)
            else:
                shutil.copyfile(content, temporary)
                if sha256(temporary) != digest:
                    raise SamebookError(f"{content} changed while it was copied into the store")
        path.chmod(0o444)
        return digest

    def has(self, digest: str) -> bool:
        """Whether there is an object of this name; its content is not looked at."""
        return self.path(digest).is_file()

    def is_whole(self, digest: str) -> bool:
        """Whether there is an object of this name, with the bytes that it promises."""
        path = self.path(digest)
        return path.is_file() and sha256(path) == digest

    def get(self, digest: str) -> bytes | None:
        """The object's bytes, verified; None where there is none. Raises Damaged."""
        path = self.path(digest)
        if not path.is_file():
            return None
        content = path.read_bytes()
        if (found := sha256(content)) != digest:
            raise _damaged(path, found)
        return content

    def export(self, digest: str, target: Path) -> None:
        """Copy an object to `target`, read-only, verified; never a link. Raises Damaged."""
        source = self.path(digest)
        shutil.copyfile(source, target)
        if (found := sha256(target)) != digest:
            raise _damaged(source, found)
        target.chmod(0o444)

    def objects(self) -> Iterator[Path]:
        """Every object, by name."""
        yield from (path for path in sorted(self.root.glob("??/??/*")) if len(path.name) == HEX)

    def damaged(self) -> list[Path]:
        """The objects whose bytes are not those that their name promises."""
        return [path for path in self.objects() if sha256(path) != path.name]

    def unreferenced(self, wanted: Iterable[str]) -> list[Path]:
        """The objects that nothing in `wanted` names."""
        keep = set(wanted)
        return [path for path in self.objects() if path.name not in keep]


def _damaged(path: Path, found: str) -> Damaged:
    return Damaged(
        f"store object {path.name[:12]}… is damaged: its bytes have the sha256 {found[:12]}…",
        mend=f"rm {path}, and it is made or fetched again",
    )


def of(workspace: Workspace) -> Store:
    """The store of a workspace."""
    return Store(workspace.root / "store")
