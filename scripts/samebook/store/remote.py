"""The remote store: the objects of the local one, at <prefix>/aa/bb/<sha256> in an S3 bucket that machines share.

Every object is hashed in both directions: before it enters the local store, and while it is sent.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from samebook.core.errors import UsageError
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.environment import sections, settings
from samebook.store import bucket, objects, transfer
from samebook.store.bucket import Bucket, RemoteError
from samebook.store.transfer import Counter, Status, TransferOptions, TransferResult

DEFAULTS = TransferOptions()
AGAIN = "make push AGAIN=1, on a machine that has the object undamaged"


@dataclass(frozen=True)
class Remote:
    """A store in a bucket."""

    bucket: Bucket

    def get(self, digest: str) -> bytes | None:
        """The verified bytes of an object; None where it is missing. Raises DamagedObject or RemoteError."""
        chunks = self.bucket.read(key(digest))
        if chunks is None:
            return None
        return b"".join(objects.verified_chunks(digest, chunks, self.bucket.url, mend=AGAIN))

    def fetch(self, digests: Iterable[str], store: objects.Store, say: Say) -> list[str]:
        """Pull the objects that `store` lacks; returns the digests of those that the bucket lacks or has damaged."""
        result = self.pull(digests, store, say)
        for digest in result.damaged:
            say(f"{self.bucket.url} object {digest[:12]}… is damaged, and not taken")
        return [*result.missing, *result.damaged]

    def pull(
        self, digests: Iterable[str], store: objects.Store, say: Say, options: TransferOptions = DEFAULTS
    ) -> TransferResult:
        """Copy the objects that are missing or damaged in `store` from the bucket. Raises RemoteError."""

        def job(digest: str, counter: Counter) -> Status:
            if store.is_whole(digest):
                return Status.PRESENT
            return self._measure(digest, counter) if options.dry_run else self._download(digest, store, counter)

        self.bucket.check_access()
        return transfer.run(digests, job, say, options.jobs)

    def _measure(self, digest: str, counter: Counter) -> Status:
        size = self.bucket.size(key(digest))
        counter(size or 0)
        return Status.MISSING if size is None else Status.MOVED

    def _download(self, digest: str, store: objects.Store, counter: Counter) -> Status:
        chunks = self.bucket.read(key(digest))
        if chunks is None:
            return Status.MISSING
        try:
            store.receive(digest, _counted_chunks(chunks, counter), self.bucket.url, mend=AGAIN)
        except objects.DamagedObject:
            return Status.DAMAGED
        return Status.MOVED

    def push(
        self, digests: Iterable[str], store: objects.Store, say: Say, options: TransferOptions = DEFAULTS
    ) -> TransferResult:
        """Copy the objects that the bucket lacks from `store`. Raises RemoteError.

        Missing are the objects that neither side has. An object that is damaged in `store` is never sent.
        """

        def job(digest: str, counter: Counter) -> Status:
            path = store.path(digest)
            local_size, remote_size = path.stat().st_size if path.is_file() else None, self.bucket.size(key(digest))
            if local_size is None or (local_size == remote_size and not options.again):
                return Status.MISSING if remote_size is None else Status.PRESENT
            if options.dry_run:
                counter(local_size)
                return Status.MOVED
            return self._upload(digest, store, counter, local_size)

        self.bucket.check_access()
        return transfer.run(digests, job, say, options.jobs)

    def _upload(self, digest: str, store: objects.Store, counter: Counter, size: int) -> Status:
        chunks = _counted_chunks(store.chunks(digest), counter)
        try:
            # Damage shows with the last chunk, and the server makes the object only after that.
            self.bucket.write(key(digest), chunks if size > bucket.PART else b"".join(chunks))
        except objects.DamagedObject:
            return Status.DAMAGED
        # Some servers do not compare the object with the SHA-256 that was sent with it.
        if (remote_size := self.bucket.size(key(digest))) != size:
            raise RemoteError(
                f"{self.bucket.url} object {digest[:12]}… has {remote_size} bytes; expected {size}",
                mend="make push AGAIN=1",
            )
        return Status.MOVED


def key(digest: str) -> str:
    """The key of an object below the bucket's prefix; it is the path in a local store."""
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


def _counted_chunks(chunks: Iterable[bytes], counter: Counter) -> Iterator[bytes]:
    for chunk in chunks:
        counter(len(chunk))
        yield chunk


def connect(section: sections.Store) -> Remote | None:
    """The remote store of a section of settings; None where the section has no URL."""
    return Remote(bucket.connect(section)) if section.url else None


def require(workspace: Workspace, env: str) -> Remote:
    """The remote store of an environment. Raises UsageError where the settings have none."""
    remote = connect(settings.load(workspace, env).store)
    if remote is None:
        raise UsageError(
            f"environment {env} shares no store: store.url is not set",
            mend=f"write `store: {{url: s3://bucket/prefix}}` in environments/{env}.yml",
        )
    return remote
