"""The store's remote: the same objects, at <prefix>/aa/bb/<sha256> in an S3 bucket that machines share.

Nothing is believed: what comes is hashed before it is moved into place, and what goes is hashed on its way out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import sections, settings
from samebook.store import bucket, objects, transfer
from samebook.store.bucket import Bucket, RemoteError
from samebook.store.transfer import Counter, Say, Status, TransferOptions, TransferResult

PLAIN = TransferOptions()
AGAIN = "on a machine that has it whole: samebook store push --again"


@dataclass(frozen=True)
class Remote:
    """A store in a bucket."""

    bucket: Bucket

    def get(self, digest: str) -> bytes | None:
        """An object's bytes, verified; None where there is none. Raises DamagedObject, or RemoteError."""
        chunks = self.bucket.read(key(digest))
        return (
            None if chunks is None else b"".join(objects.verified_chunks(digest, chunks, self.bucket.url, mend=AGAIN))
        )

    def fetch(self, digests: Iterable[str], kept: objects.Store, say: Say) -> list[str]:
        """Bring what is missing or damaged in `kept`; returns what the remote lacks, or has damaged, which is said."""
        found = self.pull(digests, kept, say)
        for digest in found.damaged:
            say(f"{self.bucket.url} object {digest[:12]}… is damaged, and not taken")
        return [*found.missing, *found.damaged]

    def pull(
        self, digests: Iterable[str], kept: objects.Store, say: Say, how: TransferOptions = PLAIN
    ) -> TransferResult:
        """Bring what is missing or damaged in `kept`."""

        def job(digest: str, count: Counter) -> Status:
            if kept.is_whole(digest):
                return Status.PRESENT
            return self._counted(digest, count) if how.dry_run else self._brought(digest, kept, count)

        self.bucket.check_access()
        return transfer.run(digests, job, say, how.jobs)

    def _counted(self, digest: str, count: Counter) -> Status:
        size = self.bucket.size(key(digest))
        count(size or 0)
        return Status.MISSING if size is None else Status.MOVED

    def _brought(self, digest: str, kept: objects.Store, count: Counter) -> Status:
        chunks = self.bucket.read(key(digest))
        if chunks is None:
            return Status.MISSING
        try:
            kept.receive(digest, counted(chunks, count), self.bucket.url, mend=AGAIN)
        except objects.DamagedObject:
            return Status.DAMAGED
        return Status.MOVED

    def push(
        self, digests: Iterable[str], kept: objects.Store, say: Say, how: TransferOptions = PLAIN
    ) -> TransferResult:
        """Send what the remote lacks. Lacking is then what is in neither; what is damaged here is never sent."""

        def job(digest: str, count: Counter) -> Status:
            path = kept.path(digest)
            here, there = path.stat().st_size if path.is_file() else None, self.bucket.size(key(digest))
            if here is None or (here == there and not how.again):
                return Status.MISSING if there is None else Status.PRESENT
            if how.dry_run:
                count(here)
                return Status.MOVED
            return self._sent(digest, kept, count, here)

        self.bucket.check_access()
        return transfer.run(digests, job, say, how.jobs)

    def _sent(self, digest: str, kept: objects.Store, count: Counter, size: int) -> Status:
        chunks = counted(kept.chunks(digest), count)
        try:
            # Other bytes are noticed with the last chunk; the server has no object before that.
            self.bucket.write(key(digest), chunks if size > bucket.PART else b"".join(chunks))
        except objects.DamagedObject:
            return Status.DAMAGED
        # For a server that doesn't look at the sha256 that it was sent.
        if (found := self.bucket.size(key(digest))) != size:
            raise RemoteError(f"{self.bucket.url} object {digest[:12]}… has {found} bytes there; expected {size}")
        return Status.MOVED


def key(digest: str) -> str:
    """Where an object is below the prefix: as in a local store."""
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


def counted(chunks: Iterable[bytes], count: Counter) -> Iterator[bytes]:
    """The chunks, counted as they pass."""
    for chunk in chunks:
        count(len(chunk))
        yield chunk


def of(where: sections.Store) -> Remote | None:
    """The remote that settings name; None where they name none."""
    return Remote(bucket.of(where)) if where.url else None


def require(here: Workspace, env: str) -> Remote:
    """The remote of an environment. Raises UsageError where it has none."""
    found = of(settings.load(here, env).store)
    if found is None:
        raise UsageError(
            f"environment {env} shares no store: store.url is not set",
            mend=f"write `store: {{url: s3://bucket/prefix}}` in environments/{env}.yml, "
            "or export SAMEBOOK_STORE__URL=s3://bucket/prefix",
        )
    return found
