"""The one door to S3: objects in a bucket, below a prefix.

The server gets the sha256 of all that is sent, to verify it; an object is there whole, or not at all. What goes
wrong is told in words of ours: an S3's own may name the key.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from samebook.core import secret
from samebook.core.errors import SamebookError, UsageError
from samebook.environment.sections import Store
from samebook.store import objects

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import S3Credential, S3Store

# What is larger is sent in parts of this size; S3 takes up to 10,000 of them.
PART = 8 * 2**20
# Enough for a server that is busy or starts anew; one that isn't there is told within seconds.
RETRY = {
    "max_retries": 4,
    "backoff": {"init_backoff": timedelta(milliseconds=250), "max_backoff": timedelta(seconds=2), "base": 2},
    "retry_timeout": timedelta(seconds=10),
}
NO_BUCKET = "NoSuchBucket"
# Where a machine of AWS is asked for the key of its role.
ROLE = "/latest/api/token"
# What the library's words come down to, the first that fits.
CAUSES = {
    "ConnectionRefused": "the connection is refused",
    "dns error": "no such host",
    "InvalidCertificate": "its certificate is not trusted",
    "TimedOut": "no answer in time",
    "": "no S3 answers there",
}
MENDS = {
    "bucket": "make it there, or name another: store.url in environments/<env>.yml",
    "key": "name the secrets with a key that may list, read and write there: store.access_key, store.secret_key",
    "again": "try again, and it goes on from there; is store.region in environments/<env>.yml right?",
    "up": "is it up? is store.endpoint in environments/<env>.yml right, seen from here or from the container?",
}


class RemoteError(SamebookError):
    """The S3 is not there, denies, or answers what no S3 should."""


@dataclass(frozen=True)
class Bucket:
    """A bucket; `reader` notices a server that falls silent within seconds, `writer` has time for a slow line."""

    url: str
    endpoint: str
    prefix: str
    reader: "S3Store"
    writer: "S3Store"

    def check_access(self) -> None:
        """Raises RemoteError where the bucket is not there or denies the key: once, before many requests do."""
        self.read("samebook")

    def size(self, key: str) -> int | None:
        """How large an object is; None where there is none."""
        with self._told():
            try:
                return self.reader.head(self.prefix + key)["size"]
            except FileNotFoundError:
                return None

    def read(self, key: str) -> Iterator[bytes] | None:
        """An object's bytes, as they come; None where there is none."""
        with self._told():
            try:
                return self._chunks(self.reader.get(self.prefix + key))
            except FileNotFoundError as error:
                if NO_BUCKET in str(error):
                    raise
                return None

    def _chunks(self, found: "GetResult") -> Iterator[bytes]:
        with self._told():
            yield from found.stream(min_chunk_size=objects.CHUNK)

    def write(self, key: str, content: bytes | Iterator[bytes]) -> None:
        """Send an object: bytes in one request, an iterator's in parts. What that raises leaves no object."""
        with self._told():
            if isinstance(content, bytes):
                self.writer.put(self.prefix + key, content, use_multipart=False)
            else:
                self.writer.put(self.prefix + key, content, chunk_size=PART, max_concurrency=2)

    @contextmanager
    def _told(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            if getattr(error, "errno", None) is not None:  # a file of this machine's
                raise
            raise self._failure(str(error)) from None

    def _failure(self, told: str) -> RemoteError:
        """An error of ours for the library's words, of which it takes a status and a code, and nothing else."""
        status, code = re.search(r"status code: (\d{3})", told), re.search(r"<Code>(\w+)</Code>", told)
        answer = " ".join(found[1] for found in (status, code) if found)
        if NO_BUCKET in answer:
            return RemoteError(f"{self.url}: there is no such bucket at {self.endpoint}", mend=MENDS["bucket"])
        if answer.startswith(("401", "403")):
            return RemoteError(f"{self.url}: {self.endpoint} denies access ({answer})", mend=MENDS["key"])
        if answer:
            return RemoteError(f"{self.url}: {self.endpoint} answers {answer}", mend=MENDS["again"])
        if ROLE in told:
            return RemoteError(f"{self.url}: settings name no key, and this machine has none", mend=MENDS["key"])
        cause = next(words for part, words in CAUSES.items() if part in told)
        return RemoteError(f"{self.url} can't be reached at {self.endpoint}: {cause}", mend=MENDS["up"])


def of(where: Store) -> Bucket:
    """The bucket that settings name. Raises UsageError for what can't be one."""
    from obstore.store import S3Store

    url = urlsplit(where.url)
    parts = [part for part in url.path.split("/") if part]
    if {".", ".."} & set(parts):
        raise UsageError(f"store.url: found {where.url}; expected s3://bucket/prefix, without `..`")
    if urlsplit(where.endpoint).username:
        raise UsageError("store.endpoint holds a name or password; expected secrets, by name: access_key, secret_key")
    options: dict[str, Any] = {"region": where.region, "retry_config": RETRY, "checksum_algorithm": "sha256"}
    options |= _credentials(where)
    if where.endpoint:  # under this name it wins over AWS_ENDPOINT_URL_S3 and the like
        options["aws_endpoint_url_s3"] = where.endpoint.rstrip("/")
    http = {"allow_http": where.endpoint.startswith("http://"), "connect_timeout": timedelta(seconds=3)}
    reading = {**http, "read_timeout": timedelta(seconds=10), "timeout": timedelta(hours=6)}
    writing = {**http, "timeout": timedelta(minutes=5)}
    reader, writer = (S3Store(url.netloc, **options, client_options=client) for client in (reading, writing))
    return Bucket(where.url, where.endpoint or "AWS", "".join(f"{part}/" for part in parts), reader, writer)


def _credentials(where: Store) -> dict[str, Any]:
    """The key that settings name; without one AWS's own ways (variables, roles), or at another S3 no signature."""
    if bool(where.access_key) != bool(where.secret_key):
        raise UsageError("settings name one of store.access_key and store.secret_key; expected both, or none")
    if where.access_key is None or where.secret_key is None:
        return {"skip_signature": True} if where.endpoint and "AWS_ACCESS_KEY_ID" not in os.environ else {}
    found: S3Credential = {
        "access_key_id": secret.text(where.access_key),
        "secret_access_key": secret.text(where.secret_key),
        "token": None,
        "expires_at": None,
    }
    # Given as options they would be joined by an AWS_SESSION_TOKEN that belongs to another key.
    return {"credential_provider": lambda: found}
