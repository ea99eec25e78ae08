"""Lists of kept files in the bucket that machines share: at <prefix>/kept/<digest>, beside its objects.

A bucket may be written by others. Of a list that comes from there only files count that have a hash of the lock here;
what a list here names and has stays, and that a list has all files of a platform counts where they came from an index.
"""

from collections.abc import Mapping

from samebook.store.bucket import Bucket
from samebook.store.objects import Store
from samebook.wheelhouse import lists
from samebook.wheelhouse.base_image import ARCHIVE
from samebook.wheelhouse.lists import KeptFiles


def push(bucket: Bucket, digest: str, kept: KeptFiles) -> None:
    """Write the list of a lock or an image to the bucket, with what others have listed there."""
    theirs = _read(bucket, digest)
    if theirs != (joined := theirs.joined(kept)):
        bucket.write(_key(digest), joined.content())


def pull(store: Store, digest: str, kept: KeptFiles) -> None:
    """Write a list from the bucket into the store, with what is listed and whole here."""
    own = lists.read(store, digest).files
    differing = {name: own[name] for name, theirs in kept.files.items() if own.get(name, theirs) != theirs}
    stay = {name: listed for name, listed in differing.items() if store.is_whole(listed)}
    lists.add(store, digest, KeptFiles({**kept.files, **stay}))


def found(bucket: Bucket, wanted: Mapping[str, set[str] | None]) -> dict[str, KeptFiles]:
    """The lists in the bucket of locks, each with its hashes, and of images, which have none, by their digest."""
    read = {digest: _read(bucket, digest, hashes).files for digest, hashes in wanted.items()}
    for digest, hashes in wanted.items():
        if hashes is None:
            read[digest] = {name: listed for name, listed in read[digest].items() if name == ARCHIVE}
    return {digest: KeptFiles(files) for digest, files in read.items() if files}


def _key(digest: str) -> str:
    return f"{lists.FOLDER}/{digest}"


def _read(bucket: Bucket, digest: str, hashes: set[str] | None = None) -> KeptFiles:
    content = bucket.read(_key(digest))
    return lists.parse(b"".join(content), hashes) if content else KeptFiles({})
