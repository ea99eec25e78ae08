"""The content-addressed store: store/aa/bb/<sha256>, each file named by the hash of its bytes.

Objects are written whole, read-only, and never linked into the workspace, so that nothing outside can change
them. Every read is verified: a damaged object is reported by name, and is as good as missing.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.errors import SamebookError, UsageError
from samebook.core.workspace import Workspace, replacing

DIGEST_LENGTH = 64
HOUR = 3600
CHUNK = 2**20


class DamagedObject(SamebookError):
    """An object whose bytes are not those that its name promises."""


@dataclass(frozen=True)
class Store:
    """A store in a local folder."""

    root: Path

    def path(self, digest: str) -> Path:
        """Where the object with this sha256 is, or would be."""
        if not re.fullmatch(f"[0-9a-f]{{{DIGEST_LENGTH}}}", digest):
            raise UsageError(f"{digest!r} is no sha256")
        return self.root / digest[:2] / digest[2:4] / digest

    def put(self, content: bytes | Path) -> str:
        """Keep bytes, or a file's content; returns the sha256. What is there already, whole, is not written again."""
        digest = sha256(content)
        path = self.path(digest)
        if self.is_whole(digest):
            with suppress(OSError):  # another user's: then its age is its own
                os.utime(path)  # in use from now on, which keeps gc away until a receipt names it
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

    def get(self, digest: str) -> bytes | None:
        """The object's bytes, verified; None where there is none. Raises DamagedObject."""
        path = self.path(digest)
        if not path.is_file():
            return None
        return b"".join(self.chunks(digest))

    def is_whole(self, digest: str) -> bool:
        """Whether the object is here, with the bytes that its name promises."""
        path = self.path(digest)
        return path.is_file() and sha256(path) == digest

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The object's bytes, chunk by chunk. Raises DamagedObject after the last where their sha256 is another."""
        path = self.path(digest)
        with path.open("rb") as stream:
            found = iter(lambda: stream.read(CHUNK), b"")
            yield from verified_chunks(digest, found, "store", mend=f"rm {path}, and it is made or fetched again")

    def receive(self, digest: str, chunks: Iterable[bytes], where: str, *, mend: str) -> None:
        """Keep an object that comes in chunks. Raises DamagedObject, and keeps nothing, where the sha256 is another."""
        path = self.path(digest)
        with replacing(path) as temporary, temporary.open("wb") as stream:
            stream.writelines(verified_chunks(digest, chunks, where, mend=mend))
        path.chmod(0o444)

    def export(self, digest: str, target: Path) -> None:
        """Copy an object to `target`, read-only, verified; never a link. Raises DamagedObject."""
        with target.open("wb") as stream:
            stream.writelines(self.chunks(digest))
        target.chmod(0o444)

    def objects(self) -> Iterator[Path]:
        """Every object, by name."""
        yield from (path for path in sorted(self.root.glob("??/??/*")) if len(path.name) == DIGEST_LENGTH)

    def abandoned(self) -> list[Path]:
        """What writers that were killed have left: not written to for an hour."""
        begun = (path for path in self.root.glob("??/??/.*") if path.is_file())
        return [path for path in sorted(begun) if time.time() - path.stat().st_mtime > HOUR]

    def damaged(self) -> list[Path]:
        """The objects whose bytes are not those that their name promises."""
        return [path for path in self.objects() if sha256(path) != path.name]

    def unreferenced(self, wanted: Iterable[str]) -> list[Path]:
        """The objects that nothing in `wanted` names."""
        keep = set(wanted)
        return [path for path in self.objects() if path.name not in keep]


def verified_chunks(digest: str, chunks: Iterable[bytes], where: str, *, mend: str) -> Iterator[bytes]:
    """The chunks as they come. Raises DamagedObject after the last where their sha256 isn't `digest`."""
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
        yield chunk
    if found.hexdigest() != digest:
        told = f"{where} object {digest[:12]}… is damaged: its bytes have the sha256 {found.hexdigest()[:12]}…"
        raise DamagedObject(told, mend=mend)


def local_store(workspace: Workspace) -> Store:
    """The store of a workspace."""
    return Store(workspace.root / "store")
