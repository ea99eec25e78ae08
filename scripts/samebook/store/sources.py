"""Sources of input files: web servers, buckets of S3, Google and Azure, and files. Each gives chunks of bytes."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from samebook.core.errors import SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.environment import sections
from samebook.environment.input_entries import FILE, WEB, Entry
from samebook.store import bucket, clouds
from samebook.store.objects import CHUNK

# Seconds without a byte.
SILENCE = 30
AGAIN = "make fetch, once it answers"


def chunks(workspace: Workspace, entry: Entry, section: sections.Store) -> Iterator[bytes]:
    """The bytes of an entry from its source. Raises SamebookError where it has none, or ends before its end."""
    if path := entry.file(workspace):
        return _file(path)
    return _web(entry) if urlsplit(entry.origin).scheme in WEB else _bucket(entry, section)


def _web(entry: Entry) -> Iterator[bytes]:
    url = quote(entry.origin, safe="%/:?&=#+,;@[]!$'()*~")
    opener = urllib.request.build_opener()
    opener.addheaders = [("User-Agent", "samebook"), ("Accept-Encoding", "identity")]
    try:
        with opener.open(url, timeout=SILENCE) as response:
            length, received = response.headers["Content-Length"], 0
            while chunk := response.read(CHUNK):
                received += len(chunk)
                yield chunk
            if length is not None and received != int(length):
                raise SamebookError(f"{entry.shown} ended after {received} of {length} bytes", mend="make fetch")
    except urllib.error.HTTPError as error:
        mend = f"edit {FILE}" if error.code in (401, 403, 404, 410) else AGAIN
        raise SamebookError(f"{entry.shown} answers {error.code} {error.reason}", mend=mend) from None
    except urllib.error.URLError as error:
        raise SamebookError(f"{entry.shown} can't be reached: {error.reason}", mend=AGAIN) from None
    except (OSError, http.client.HTTPException) as error:
        raise SamebookError(f"{entry.shown} broke off: {error}", mend=AGAIN) from None


def _bucket(entry: Entry, section: sections.Store) -> Iterator[bytes]:
    parts = urlsplit(entry.origin)
    url = f"{parts.scheme}://{parts.netloc}"
    is_s3 = parts.scheme == "s3"
    source = bucket.connect(section.model_copy(update={"url": url})) if is_s3 else clouds.connect(url)
    content = source.read(unquote(parts.path.lstrip("/")))
    if content is None:
        raise SamebookError(f"{entry.shown}: there is no such object", mend=f"edit {FILE}")
    return content


def _file(path: Path) -> Iterator[bytes]:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "none"
        raise UsageError(f"from: {path}: found {found}; expected a file", mend=f"edit {FILE}")
    with path.open("rb") as stream:
        yield from iter(lambda: stream.read(CHUNK), b"")
