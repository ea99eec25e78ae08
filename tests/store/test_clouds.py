"""Input files from Google and Azure, over the protocols of both: read, recorded, kept, and no key of them anywhere."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import clouds
import pytest
from clouds import BUCKET, KEY, Cloud
from tiny import Tiny

from samebook.core.digest import sha256
from samebook.core.errors import SamebookError
from samebook.core.workspace import Workspace
from samebook.environment import input_entries
from samebook.records import receipt
from samebook.verbs.fetch import FetchOptions, fetch

CONTENT = b"name\r\nAnn\r\n" * 100_000
NAME = "2013/größe 1 & 2.csv"
AZ = f"az://{BUCKET}"
READER = """import json, os, samebook
print(len(samebook.read_file('sales.csv')))
held = {name: value for name, value in os.environ.items() if name.endswith(('KEY', 'TOKEN'))}
print(held)
print(held.get('AZURE_STORAGE_SAS_TOKEN', '').partition('sig=')[2])
print(json.loads(held.get('GOOGLE_SERVICE_ACCOUNT_KEY', '{}')).get('private_key'))
samebook.output_path('size.txt').write_text(str(len(samebook.read_file('sales.csv'))))"""

PRIVATE = clouds.SERVICE_ACCOUNT["private_key"]
# Pieces of each cloud's keys, as they are and as they are quoted.
PIECES = {"az": [KEY[:40], clouds.signature().partition("sig=")[2][:20]], "gs": PRIVATE.splitlines()[1:-1]}


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    if not shutil.which("npm"):
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse("npm is not installed, which brings Azurite")
    with clouds.azurite(tmp_path_factory.mktemp("azurite")) as server:
        server.put(NAME, CONTENT)
        yield server


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with clouds.google(tmp_path_factory.mktemp("google")) as server:
        server.put(NAME, CONTENT)
        yield server


@pytest.fixture(params=["azure", "google"])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Each of both, with its variables set."""
    server: Cloud = request.getfixturevalue(request.param)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def here(tmp_path: Path) -> Workspace:
    return Workspace(Tiny.create(tmp_path / "workspace").root)


def entry(here: Workspace, origin: str, digest: str = sha256(CONTENT)) -> None:
    input_entries.path(here).write_text(json.dumps({"sales.csv": {"from": origin, "sha256": digest}}))


def lines(here: Workspace, options: FetchOptions = FetchOptions()) -> list[str]:  # noqa: B008
    return list(fetch(here, "dev", options, lambda _: None))


def test_object_is_fetched(here: Workspace, cloud: Cloud) -> None:
    """An object comes whole, by a name with any letters; without a sha256 it is pinned, and other bytes are refused."""
    entry(here, cloud.url(NAME), "")
    assert lines(here, FetchOptions("sales.csv", pin=True))[0].startswith(f"sales.csv: 1.0 MiB from {cloud.url(NAME)}")
    assert input_entries.read(here)["sales.csv"].sha256 == sha256(CONTENT)
    assert lines(here) == ["sales.csv: is in the store"]
    entry(here, cloud.url(NAME), "0" * 64)
    with pytest.raises(SamebookError, match=f"found sha256 {sha256(CONTENT)}, expected 0000"):
        lines(here)
    entry(here, cloud.url("none.csv"), "0" * 64)
    with pytest.raises(SamebookError, match=r"none\.csv: there is no such object"):
        lines(here)


def test_run_reads_records_and_repeats(tmp_path: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run fetches the file at its first read by the client's variables, and one that repeats it reads the kept bytes
    without the server; the receipt has hash and place, and no key is left anywhere.
    """
    tiny = Tiny.create(tmp_path / "workspace")
    tiny.notebook("read", work=READER)
    entry(Workspace(tiny.root), cloud.url(NAME))
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", clouds.signature())
    ended = tiny.samebook("run", "read", "--verbose")
    assert ended.code == 0, ended.stderr
    statement = receipt.read(tiny.last / "receipt.json")
    assert receipt.inputs(statement) == {"input sales.csv": sha256(CONTENT)}
    assert receipt.byproduct(statement, receipt.ORIGINS) == {"input sales.csv": cloud.url(NAME)}
    assert "[redacted " in (tiny.last / "notebook.ipynb").read_text()
    files = [path.read_bytes() for path in tiny.root.rglob("*") if path.is_file()]
    assert [piece for piece in PIECES[cloud.scheme] if any(piece.encode() in content for content in files)] == []
    assert [piece for piece in PIECES[cloud.scheme] if piece in ended.stdout + ended.stderr] == []
    nowhere = {name: "http://127.0.0.1:9" for name in cloud.variables if name.endswith(("URL", "ENDPOINT"))}
    again = tiny.samebook("run", "--receipt", f"runs/{tiny.last.name}/receipt.json", **nowhere)
    assert again.code == 0, again.stderr
    assert len({str(receipt.subject_digests(receipt.read(run / "receipt.json"))) for run in tiny.runs}) == 1


def test_signature_is_taken_and_never_shown(here: Workspace, azure: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared access signature reads in place of the key; a wrong one is refused, and no error holds any of it."""
    token = clouds.signature("r")
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ENDPOINT"):
        monkeypatch.setenv(name, azure.variables[name])
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", token)
    entry(here, azure.url(NAME))
    assert lines(here) == [f"sales.csv: 1.0 MiB from {azure.url(NAME)}"]
    entry(here, azure.url(NAME), "0" * 64)
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", f"{token[:-9]}canary")
    with pytest.raises(SamebookError, match=r"127\.0\.0\.1 denies access \(403 AuthorizationFailure\)") as caught:
        lines(here)
    assert (token[-40:-9] in str(caught.value), caught.value.mend) == (False, "export AZURE_STORAGE_ACCOUNT_KEY=…")
    entry(here, f"{azure.url(NAME)}?{token}", "0" * 64)
    with pytest.raises(SamebookError, match="a key stands in the URL") as caught:
        lines(here)
    assert token[-40:-9] not in str(caught.value)


@pytest.mark.parametrize(
    ("bucket", "name", "value", "expected"),
    [
        ("az://other", "AZURE_X", "", ("there is no such bucket at 127.0.0.1", "edit environments/inputs.yml: from")),
        (AZ, "AZURE_STORAGE_ACCOUNT_KEY", f"AAAA{KEY}", ("denies access", "export AZURE_STORAGE_ACCOUNT_KEY=…")),
        (AZ, "AZURE_STORAGE_ACCOUNT_KEY", "canary!", ("AZURE_STORAGE_ACCOUNT_KEY is not a key", "export AZURE_")),
        (AZ, "AZURE_STORAGE_ACCOUNT_NAME", "", ("AZURE_STORAGE_ACCOUNT_NAME is not set", "export AZURE_")),
        (AZ, "AZURE_STORAGE_ENDPOINT", "nowhere", ("AZURE_STORAGE_ENDPOINT is not a URL", "export AZURE_")),
        (AZ, "AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:9/a", ("can't be reached at 127.0.0.1", "echo $AZURE_")),
        ("gs://data", "GOOGLE_APPLICATION_CREDENTIALS", "/none", ("names no file that can be read", "export GOOGLE_")),
        ("gs://data", "GOOGLE_SERVICE_ACCOUNT_KEY", "{canary", ("has no account", "export GOOGLE_")),
        ("gs://", "GOOGLE_X", "", ("has no such URL", "edit environments/inputs.yml")),
    ],
)
def test_wrong_access_is_told(
    azure: Cloud,
    here: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    bucket: str,
    name: str,
    value: str,
    expected: tuple[str, str],
) -> None:
    """A missing bucket, a wrong key and a wrong variable are errors that name it, with a way out, and without a key."""
    for variable, text in {**azure.variables, name: value}.items():
        if text:
            monkeypatch.setenv(variable, text)
    entry(here, f"{bucket}/{NAME}")
    with pytest.raises(SamebookError) as caught:
        lines(here)
    assert expected[0] in str(caught.value)
    assert (caught.value.mend or "").startswith(expected[1])
    assert not any(key in str(caught.value) for key in (KEY, "canary"))
