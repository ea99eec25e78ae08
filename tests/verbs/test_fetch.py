"""`samebook fetch`: each input file comes whole, with the sha256 that it should have, or not at all."""

import functools
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import override

import pytest
from s3 import KEY, S3, TEXT
from tiny import Tiny

from samebook.core.digest import sha256
from samebook.core.errors import SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.environment import input_entries
from samebook.store import objects
from samebook.verbs.fetch import FetchOptions, fetch

CONTENT = b"name\r\nAnn\r\n" * 1000
DIGEST, OTHER = sha256(CONTENT), "0" * 64


class Handler(BaseHTTPRequestHandler):
    """A web server with one file, `customers ü.csv`; it breaks off in the middle of `broken.csv`."""

    def do_GET(self) -> None:
        is_there = self.path in ("/customers%20%C3%BC.csv?download=1", "/broken.csv")
        self.send_response(200 if is_there else 404)
        self.send_header("Content-Length", str(len(CONTENT) if is_there else 0))
        self.end_headers()
        self.wfile.write(CONTENT[:100] if self.path == "/broken.csv" else CONTENT * is_there)

    @override
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """The address of a web server on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=functools.partial(server.serve_forever, 0.01), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def here(tmp_path: Path) -> Workspace:
    return Workspace(Tiny.create(tmp_path / "workspace").root)


ALL = FetchOptions()


def lines(here: Workspace, options: FetchOptions = ALL) -> list[str]:
    """What `samebook fetch` prints."""
    return list(fetch(here, "dev", options, lambda _: None))


def entry(here: Workspace, origin: str, digest: str = DIGEST, size: int = len(CONTENT)) -> None:
    text = f"größe 1.csv: {{from: '{origin}', sha256: '{digest}', size: {size}}}\n"
    input_entries.path(here).write_text(text)


def test_web_file_is_fetched_once(here: Workspace, web: str) -> None:
    """A file of a web server is in the store after a fetch, and stays there; DRY=1 only says so."""
    entry(here, f"{web}/customers ü.csv?download=1")
    shown = f"from {web}/customers ü.csv"
    assert lines(here, FetchOptions(dry_run=True)) == [f"größe 1.csv: would fetch it {shown}, 10.7 KiB"]
    assert not (here.root / "store").exists()
    assert lines(here) == [f"größe 1.csv: 10.7 KiB {shown}"]
    assert objects.local_store(here).get(DIGEST) == CONTENT
    assert lines(here) == ["größe 1.csv: is in the store"]


@pytest.mark.parametrize(
    ("path", "digest", "size", "message"),
    [
        ("/customers ü.csv?download=1", OTHER, len(CONTENT), f"found sha256 {DIGEST}, expected {OTHER}"),
        ("/customers ü.csv?download=1", DIGEST, 10, "found more than 10 bytes, expected 10"),
        ("/customers ü.csv?download=1", DIGEST, 99999, "found 11000 bytes, expected 99999"),
        ("/broken.csv", DIGEST, len(CONTENT), "/broken.csv ended after 100 of 11000 bytes"),
        ("/none.csv?a=1", DIGEST, len(CONTENT), "/none.csv answers 404 Not Found"),
    ],
)
def test_wrong_transfer_leaves_nothing(
    here: Workspace, web: str, path: str, digest: str, size: int, message: str
) -> None:
    """Other bytes, more or fewer of them, or no file: an error says so, and the store is as it was."""
    entry(here, web + path, digest, size)
    with pytest.raises(SamebookError) as caught:
        lines(here)
    assert message in str(caught.value)
    assert [file for file in (here.root / "store").rglob("*") if file.is_file()] == []


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ("http://127.0.0.1:9/a.csv", "http://127.0.0.1:9/a.csv can't be reached"),
        ("notebooks", "notebooks: found a folder; expected a file"),
        ("none.csv", "none.csv: found none; expected a file"),
        ("az://container/a.csv", "AZURE_STORAGE_ACCOUNT_NAME is not set"),
    ],
)
def test_source_that_is_none_is_told(here: Workspace, origin: str, message: str) -> None:
    """A server that doesn't answer, a folder, no file and a bucket without an account are errors with a way out."""
    entry(here, origin)
    with pytest.raises(SamebookError) as caught:
        lines(here)
    assert message in str(caught.value)
    assert caught.value.mend


def test_sha256_is_never_taken_by_itself(here: Workspace) -> None:
    """The sha256 of an entry without one is printed, and written with PIN=1; another one only for a named entry."""
    path = input_entries.path(here)
    (here.root / "a.txt").write_text("1")
    path.write_text("# ours\na.csv:\n  from: a.txt  # x\n")
    with pytest.raises(UsageError, match=r"has no sha256 for a\.csv") as caught:
        lines(here)
    assert caught.value.mend == "make fetch NAME=a.csv PIN=1"
    assert sha256(b"1") in lines(here, FetchOptions(pin=True))[0]
    assert path.read_text() == f"# ours\na.csv:\n  sha256: {sha256(b'1')}\n  from: a.txt  # x\n"
    (here.root / "a.txt").write_text("2")
    assert lines(here, FetchOptions(pin=True)) == ["a.csv: is in the store"]
    lines(here, FetchOptions("a.csv", pin=True))
    assert input_entries.read(here)["a.csv"].sha256 == sha256(b"2")


def test_file_in_data_is_checked(here: Workspace) -> None:
    """A file that was brought by hand is checked where it is."""
    input_entries.path(here).write_text(f"a.csv: {{sha256: {DIGEST}}}\n")
    with pytest.raises(UsageError, match=r"a.csv is not in data/, and .* does not say where it is from"):
        lines(here)
    here.data.mkdir()
    (here.data / "a.csv").write_bytes(CONTENT)
    assert lines(here) == ["a.csv: is here, data/a.csv"]
    (here.data / "a.csv").write_bytes(b"other")
    with pytest.raises(SamebookError, match=rf"a.csv at data/a.csv: found sha256 .*, expected {DIGEST}"):
        lines(here)
    with pytest.raises(UsageError, match=r"has no 'b.csv'; did you mean a.csv\?"):
        lines(here, FetchOptions("b.csv"))


def test_bucket_is_read(here: Workspace, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object of S3 is read by the keys that the settings name for the shared store."""
    monkeypatch.setenv("S3_KEY", KEY)
    monkeypatch.setenv("S3_TEXT", TEXT)
    (here.environments / "dev.yml").write_text(s3.settings())
    s3.bucket().put(f"{s3.prefix}/größe 1.csv", CONTENT)
    entry(here, f"{s3.url}/größe 1.csv")
    assert lines(here) == [f"größe 1.csv: 10.7 KiB from {s3.url}/größe 1.csv"]
    entry(here, f"{s3.url}/none.csv", OTHER)
    with pytest.raises(SamebookError, match=r"none.csv: there is no such object"):
        lines(here)
