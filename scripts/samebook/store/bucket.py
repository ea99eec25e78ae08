"""Buckets: of S3, with objects below a prefix, and in `clouds` those of Google and Azure. No other module calls them.

The server gets the SHA-256 of each object and verifies it; an object exists as a whole or not at all. Its errors
have samebook's own messages, because a message of S3 may hold the key.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from samebook.core import secret
from samebook.core.errors import SamebookError, UsageError
from samebook.environment.sections import Store
from samebook.store import objects

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Credential

# Larger objects are sent in parts of this many bytes; S3 takes up to 10,000 parts.
PART = 8 * 2**20
# Retries outlast a server that is busy or restarts, and give up on a missing one within seconds.
RETRY: "RetryConfig" = {
    "max_retries": 4,
    "backoff": {"init_backoff": timedelta(milliseconds=250), "max_backoff": timedelta(seconds=2), "base": 2},
    "retry_timeout": timedelta(seconds=10),
}
CONNECT = timedelta(seconds=3)
# A reader gives up on a silent server within seconds.
WAITS: "ClientConfig" = {
    "connect_timeout": CONNECT,
    "read_timeout": timedelta(seconds=10),
    "timeout": timedelta(hours=6),
}
NO_BUCKETS = ("NoSuchBucket", "ContainerNotFound")
# The addresses where the library asks a machine of AWS, Google or Azure for the key of its role.
ROLES = ("/latest/api/token", "metadata.google.internal", "169.254.169.254")
# The causes of the library's messages; the first whose text occurs in a message is its cause.
CAUSES = {
    "ConnectionRefused": "the connection is refused",
    "dns error": "no such host",
    "InvalidCertificate": "its certificate is not trusted",
    "TimedOut": "no answer in time",
    "": "nothing answers there as such a server does",
}
MENDS = {
    "no bucket": "edit environments/<env>.yml: store.url, a bucket that is there",
    "no access": "edit environments/<env>.yml: store.access_key and store.secret_key, which may list, read and write",
    "bad answer": "again: it goes on from there",
    "no answer": "make settings shows store.endpoint",
}


class RemoteError(SamebookError):
    """The error for a bucket that cannot be reached, denies access, or answers with an error."""


@dataclass(frozen=True)
class Bucket:
    """A bucket. `reader` gives up on a silent server within seconds, `writer` has time for a slow line."""

    url: str
    endpoint: str
    prefix: str
    reader: "ObjectStore"
    writer: "ObjectStore"
    # By its kind, what mends an error; and what could hold a key.
    mends: Mapping[str, str] = field(default_factory=lambda: MENDS)
    keys: str = "settings"

    def check_access(self) -> None:
        """Raise RemoteError where the bucket is missing or denies access: once, before many requests do."""
        self.read("samebook")

    def size(self, key: str) -> int | None:
        """The size of an object in bytes; None where it is missing."""
        with self._remote_errors():
            try:
                return self.reader.head(self.prefix + key)["size"]
            except FileNotFoundError:
                return None

    def read(self, key: str) -> Iterator[bytes] | None:
        """The bytes of an object, in chunks; None where it is missing."""
        with self._remote_errors():
            try:
                return self._chunks(self.reader.get(self.prefix + key))
            except FileNotFoundError as error:
                if any(code in str(error) for code in NO_BUCKETS):
                    raise
                return None

    def keys_below(self, folder: str) -> list[str]:
        """The keys of the objects in a folder, `results/`."""
        with self._remote_errors():
            pages = self.reader.list(self.prefix + folder)
            return [item["path"].removeprefix(self.prefix) for page in pages for item in page]

    def _chunks(self, response: "GetResult") -> Iterator[bytes]:
        with self._remote_errors():
            yield from response.stream(min_chunk_size=objects.CHUNK)

    def write(self, key: str, content: bytes | Iterator[bytes]) -> None:
        """Write an object: bytes in one request, an iterator in parts. An error of the iterator leaves no object."""
        with self._remote_errors():
            if isinstance(content, bytes):
                self.writer.put(self.prefix + key, content, use_multipart=False)
            else:
                self.writer.put(self.prefix + key, content, chunk_size=PART, max_concurrency=2)

    @contextmanager
    def _remote_errors(self) -> Iterator[None]:
        """Inside the block, errors of the library become RemoteError."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            if getattr(error, "errno", None) is not None:  # an error about a file of this machine
                raise
            raise self._failure(str(error)) from None

    def _failure(self, message: str) -> RemoteError:
        """The error for a message of the library, which may hold the key: only its status and its code are taken."""
        status, code = re.search(r"status code: (\d{3})", message), re.search(r"<Code>(\w+)</Code>", message)
        answer = " ".join(match[1] for match in (status, code) if match)
        if any(code in answer for code in NO_BUCKETS):
            return RemoteError(f"{self.url}: there is no such bucket at {self.endpoint}", mend=self.mends["no bucket"])
        if any(role in message for role in ROLES):
            problem = f"{self.url}: {self.keys} name no key, and this machine has none"
            return RemoteError(problem, mend=self.mends["no access"])
        if answer.startswith(("401", "403")):
            return RemoteError(f"{self.url}: {self.endpoint} denies access ({answer})", mend=self.mends["no access"])
        if answer:
            return RemoteError(f"{self.url}: {self.endpoint} answers {answer}", mend=self.mends["bad answer"])
        cause = next(cause for text, cause in CAUSES.items() if text in message)
        return RemoteError(f"{self.url} can't be reached at {self.endpoint}: {cause}", mend=self.mends["no answer"])


def connect(section: Store) -> Bucket:
    """The bucket of a section of settings. Raises UsageError for a URL, an endpoint or keys that cannot be used."""
    from obstore.store import S3Store

    url = urlsplit(section.url)
    parts = [part for part in url.path.split("/") if part]
    if {".", ".."} & set(parts):
        raise UsageError(
            f"store.url: found {section.url}; expected s3://bucket/prefix, without `..`",
            mend="edit environments/<env>.yml",
        )
    if urlsplit(section.endpoint).username:
        raise UsageError(
            "store.endpoint holds a name or password; expected secrets, by name: access_key, secret_key",
            mend="edit environments/<env>.yml",
        )
    options: dict[str, Any] = {"region": section.region, "retry_config": RETRY, "checksum_algorithm": "sha256"}
    options |= _credentials(section)
    if section.endpoint:  # this name overrides AWS_ENDPOINT_URL_S3 and the like
        options["aws_endpoint_url_s3"] = section.endpoint.rstrip("/")
    http: ClientConfig = {"allow_http": section.endpoint.startswith("http://")}
    reading, writing = http | WAITS, http | {"connect_timeout": CONNECT, "timeout": timedelta(minutes=5)}
    reader, writer = (S3Store(url.netloc, **options, client_options=client) for client in (reading, writing))
    return Bucket(section.url, section.endpoint or "AWS", "".join(f"{part}/" for part in parts), reader, writer)


def opened(url: str, *, allow_http: bool) -> "ObjectStore":
    """The library's own store of a URL, by the variables of its client. Raises ValueError with the library's words, in
    which a key may stand.
    """
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    http: ClientConfig = {"allow_http": allow_http, **WAITS}
    try:
        return from_url(url, client_options=http, retry_config=RETRY)
    except BaseError as error:
        raise ValueError(str(error)) from None


def _credentials(section: Store) -> dict[str, Any]:
    """The options for the key that settings name.

    Without a key, AWS's own variables and roles count; at another S3, requests are not signed.
    """
    if bool(section.access_key) != bool(section.secret_key):
        raise UsageError(
            "settings name one of store.access_key and store.secret_key; expected both, or none",
            mend="edit environments/<env>.yml",
        )
    if section.access_key is None or section.secret_key is None:
        return {"skip_signature": True} if section.endpoint and "AWS_ACCESS_KEY_ID" not in os.environ else {}
    credential: S3Credential = {
        "access_key_id": secret.text(section.access_key),
        "secret_access_key": secret.text(section.secret_key),
        "token": None,
        "expires_at": None,
    }
    # As plain options they would be combined with an AWS_SESSION_TOKEN of another key.
    return {"credential_provider": lambda: credential}
