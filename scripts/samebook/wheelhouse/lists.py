"""Lists of kept files: store/kept/<sha256 of a lock, or digest of a base image>, in the form of sha256sum.

The bytes are objects of the store. A list proves nothing: a file of it is taken where the lock itself has its hash.
environments/host reads the same lists.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.workspace import write_whole
from samebook.store.objects import Store

FOLDER = "kept"
# A line: a hash, and the name of a file, which leads nowhere else.
LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_][A-Za-z0-9_.+!-]*)")
# A platform, like local-linux-x86_64, for which every file of the lock is there.
COMPLETE = re.compile(r"# complete for (\S+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class KeptFiles:
    """The kept files of a lock: their sha256 by name, and the platforms for which none is missing."""

    files: Mapping[str, str]
    platforms: frozenset[str] = frozenset()

    def content(self) -> bytes:
        """The text of the list."""
        heads = [f"# complete for {name}" for name in sorted(self.platforms)]
        return "".join(
            f"{line}\n" for line in (*heads, *(f"{self.files[x]}  {x}" for x in sorted(self.files)))
        ).encode()

    def joined(self, other: "KeptFiles") -> "KeptFiles":
        """These files and those of another list."""
        return KeptFiles({**self.files, **other.files}, self.platforms | other.platforms)


def parse(content: bytes, hashes: Iterable[str] | None = None) -> KeptFiles:
    """The list in a text; with `hashes`, only files that have one of these. No other line than a list's counts."""
    lines, wanted = content.decode(errors="replace").splitlines(), None if hashes is None else {*hashes}
    found = (match.groups() for line in lines if (match := LINE.fullmatch(line)))
    files = {name: digest for digest, name in found if wanted is None or digest in wanted}
    return KeptFiles(files, frozenset(match[1] for line in lines if (match := COMPLETE.fullmatch(line))))


def path(store: Store, digest: str) -> Path:
    """The path of a list, whether it exists or not."""
    return store.root / FOLDER / store.path(digest).name


def read(store: Store, digest: str) -> KeptFiles:
    """The list of a lock or an image; an empty one where there is none."""
    file = path(store, digest)
    return parse(file.read_bytes()) if file.is_file() else KeptFiles({})


def add(store: Store, digest: str, kept: KeptFiles) -> None:
    """Write a list, with what it has already: another platform may have kept its own files."""
    write_whole(path(store, digest), read(store, digest).joined(kept).content())


def digests(store: Store) -> list[str]:
    """The sha256 of each lock, and the digest of each image, that has a list here."""
    return sorted(file.name for file in (store.root / FOLDER).glob("*") if re.fullmatch("[0-9a-f]{64}", file.name))


def objects(store: Store, names: Iterable[str]) -> dict[str, str]:
    """A description of each object of the lists of locks and images, by its sha256."""
    return {digest: f"{name}, kept" for listed in {*names} for name, digest in read(store, listed).files.items()}


def is_complete(store: Store, lock: bytes, platform: str) -> bool:
    """Whether every file of a lock is kept, undamaged, for a platform."""
    kept = read(store, sha256(lock))
    return platform in kept.platforms and all(map(store.is_whole, kept.files.values()))


def put(store: Store, lock: bytes, files: Iterable[Path], platform: str) -> KeptFiles:
    """Keep the files that have a hash of the lock; the list of these."""
    wanted = {*HASH.findall(lock.decode())}
    digests = {file: sha256(file) for file in files}
    kept = KeptFiles(
        {file.name: store.put(file) for file, digest in digests.items() if digest in wanted}, frozenset({platform})
    )
    add(store, sha256(lock), kept)
    return kept
