"""Lists of kept files in the bucket that machines share: at <prefix>/kept/<digest>, beside its objects.

A bucket may be written by others. Of a list that comes from there only files count that have a hash of the lock here.
"""

from collections.abc import Mapping

from samebook.store.bucket import Bucket
from samebook.wheelhouse import lists
from samebook.wheelhouse.base_image import ARCHIVE
from samebook.wheelhouse.lists import KeptFiles


def push(bucket: Bucket, digest: str, kept: KeptFiles) -> None:
    """Write the list of a lock or an image to the bucket, with what others have listed there."""
    theirs = _read(bucket, digest)
    if theirs != (joined := theirs.joined(kept)):
        bucket.write(_key(digest), joined.content())


def found(bucket: Bucket, wanted: Mapping[str, set[str] | None]) -> dict[str, KeptFiles]:
    """The lists in the bucket of locks, each with its hashes, and of images, which have none, by their digest."""
    read = {digest: _read(bucket, digest, hashes) for digest, hashes in wanted.items()}
    return {digest: kept for digest, kept in read.items() if kept.files}


def _key(digest: str) -> str:
    return f"{lists.FOLDER}/{digest}"


def _read(bucket: Bucket, digest: str, hashes: set[str] | None = None) -> KeptFiles:
    content = bucket.read(_key(digest))
    kept = lists.parse(b"".join(content), hashes) if content else KeptFiles({})
    return kept if hashes or ARCHIVE not in kept.files else KeptFiles({ARCHIVE: kept.files[ARCHIVE]})
