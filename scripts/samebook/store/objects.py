"""The local store: a folder with an object at store/aa/bb/<sha256>, named by the SHA-256 of its bytes.

Objects are written as a whole, read-only, and never linked into the workspace, so that nothing outside can change them.
Every read is verified: a damaged object is reported by its name and counts as missing.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.errors import SamebookError, UsageError
from samebook.core.workspace import Workspace, copy_content, replacing

DIGEST_LENGTH = 64
HOUR = 3600
# Bytes that are read at a time.
CHUNK = 2**20


class DamagedObject(SamebookError):
    """An object whose bytes have another SHA-256 than its name."""


@dataclass(frozen=True)
class Store:
    """A store in a local folder. Digests are 64 lower-case hex digits; others raise UsageError."""

    root: Path

    def path(self, digest: str) -> Path:
        """The path of an object, whether it exists or not."""
        if not re.fullmatch(f"[0-9a-f]{{{DIGEST_LENGTH}}}", digest):
            raise UsageError(
                f"{digest!r} is not a SHA-256; expected {DIGEST_LENGTH} lower-case hex digits", mend="make store-verify"
            )
        return self.root / digest[:2] / digest[2:4] / digest

    def put(self, content: bytes | Path) -> str:
        """Store bytes, or a file's content, and return the digest. An undamaged object is not written again."""
        digest = sha256(content)
        path = self.path(digest)
        if self.is_whole(digest):
            with suppress(OSError):  # the file may belong to another user
                os.utime(path)  # gc leaves a young object alone until a receipt names it
            return digest
        with replacing(path) as temporary:
            if isinstance(content, bytes):
                temporary.write_bytes(content)
            else:
                copy_content(content, temporary)
                if sha256(temporary) != digest:
                    raise SamebookError(
                        f"{content} changed while it was copied into the store", mend="again, once nothing writes to it"
                    )
        path.chmod(0o444)
        return digest

    def has(self, digest: str) -> bool:
        """Whether the object exists; its bytes are not verified."""
        return self.path(digest).is_file()

    def get(self, digest: str) -> bytes | None:
        """The verified bytes of an object; None where it is missing. Raises DamagedObject."""
        path = self.path(digest)
        if not path.is_file():
            return None
        return b"".join(self.chunks(digest))

    def is_whole(self, digest: str) -> bool:
        """Whether the object exists and is undamaged."""
        path = self.path(digest)
        return path.is_file() and sha256(path) == digest

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of an object, chunk by chunk. Raises DamagedObject after the last chunk of a damaged object."""
        path = self.path(digest)
        with path.open("rb") as stream:
            chunks = iter(lambda: stream.read(CHUNK), b"")
            yield from verified_chunks(digest, chunks, "store", mend=f"rm {path}, and it is made or fetched again")

    def receive(self, digest: str, chunks: Iterable[bytes], source: str, *, mend: str) -> None:
        """Store an object from chunks of `source`. Raises DamagedObject, and stores nothing, where it is damaged."""
        path = self.path(digest)
        with replacing(path) as temporary, temporary.open("wb") as stream:
            stream.writelines(verified_chunks(digest, chunks, source, mend=mend))
        path.chmod(0o444)

    def export(self, digest: str, target: Path) -> None:
        """Write a verified, read-only copy of an object to `target`; never a link. Raises DamagedObject."""
        with target.open("wb") as stream:
            stream.writelines(self.chunks(digest))
        target.chmod(0o444)

    def objects(self) -> Iterator[Path]:
        """The paths of all objects, sorted."""
        yield from (path for path in sorted(self.root.glob("??/??/*")) if len(path.name) == DIGEST_LENGTH)

    def abandoned(self) -> list[Path]:
        """The temporary files of killed writers: those that nothing has written to for an hour."""
        temporary = (path for path in self.root.glob("??/??/.*") if path.is_file())
        return [path for path in sorted(temporary) if time.time() - path.stat().st_mtime > HOUR]

    def damaged(self) -> list[Path]:
        """The paths of the damaged objects."""
        return [path for path in self.objects() if sha256(path) != path.name]

    def unreferenced(self, digests: Iterable[str]) -> list[Path]:
        """The paths of the objects that are not among the digests."""
        referenced = set(digests)
        return [path for path in self.objects() if path.name not in referenced]


def verified_chunks(digest: str, chunks: Iterable[bytes], source: str, *, mend: str) -> Iterator[bytes]:
    """The chunks of an object, verified. Raises DamagedObject after the last one where their SHA-256 is another."""
    actual = hashlib.sha256()
    for chunk in chunks:
        actual.update(chunk)
        yield chunk
    if actual.hexdigest() != digest:
        message = f"{source} object {digest[:12]}… is damaged: its bytes have the sha256 {actual.hexdigest()[:12]}…"
        raise DamagedObject(message, mend=mend)


def local_store(workspace: Workspace) -> Store:
    """The store in the folder store/ of a workspace."""
    return Store(workspace.root / "store")
