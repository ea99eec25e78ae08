"""Input files by their names: where they are found, what is recorded, and what a reproduction reads."""

from pathlib import Path

import pytest
from tiny import Tiny, git

import samebook
from samebook.api import context
from samebook.core.digest import sha256
from samebook.core.errors import SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.data import files
from samebook.models import store_use
from samebook.records import receipt, run_folder

READER = """import pandas as pd, samebook
frame = pd.read_csv(samebook.input_path('customers.csv'))
samebook.output_path('rows.txt').write_text(str(len(frame)))
samebook.output_path('same.txt').write_bytes(samebook.read_file('größe 1.txt'))"""


@pytest.fixture
def notebooks(lab: Tiny, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the notebooks, in which a kernel stands."""
    monkeypatch.chdir(lab.root / "notebooks")
    return lab.root / "notebooks"


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A committed notebook, and its run with a file of git and a file of data/."""
    tiny = Tiny.create(tmp_path_factory.mktemp("reading") / "workspace")
    tiny.notebook("read", work=READER)
    (tiny.root / "data").mkdir()
    (tiny.root / "data" / "customers.csv").write_bytes(b"name\r\nAnn\r\n")
    (tiny.root / "notebooks" / "größe 1.txt").write_text("1")
    (tiny.root / ".gitignore").write_text("/runs/\n/store/\n/data/\n/.samebook/\n")
    git(tiny, "init", "--quiet")
    git(tiny, "add", ".")
    git(tiny, "commit", "--quiet", "--message=x")
    ended = tiny.samebook("run", "read")
    assert ended.code == 0, ended.stderr
    return tiny


@pytest.mark.parametrize("place", ["notebooks/sales 2013 ü.csv", "sales 2013 ü.csv", "data/sales 2013 ü.csv"])
def test_file_is_found_and_recorded(notebooks: Path, place: str) -> None:
    """A file stands beside the notebook, in the workspace or in data/; the path to read it by has its name."""
    path = notebooks.parent / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"a\r\n1\r\n")
    given = samebook.input_path("sales 2013 ü.csv")
    assert (given.name, samebook.read_file("sales 2013 ü.csv")) == ("sales 2013 ü.csv", b"a\r\n1\r\n")
    event = next(run_folder.events(context.run(), "input"))
    assert (event["name"], event["sha256"]) == ("input sales 2013 ü.csv", sha256(path))
    assert next(run_folder.events(context.run(), "origin"))["value"] == place
    path.write_bytes(b"other")
    assert given.read_bytes() == b"a\r\n1\r\n"


def test_path_of_a_script_is_taken(notebooks: Path) -> None:
    """A path as foreign notebooks have it, up and into data/, is one inside the workspace."""
    (notebooks.parent / "data").mkdir()
    (notebooks.parent / "data" / "a.csv").write_text("1")
    assert samebook.read_file("../data/a.csv") == samebook.read_file("data/a.csv") == samebook.read_file("a.csv")


@pytest.mark.parametrize(
    ("name", "message", "mend"),
    [
        ("custmers.csv", "did you mean customers.csv?", "data/"),
        ("../../customers.csv", "is outside the workspace", "cp ../../customers.csv data/"),
        ("/etc/hostname", "is outside the workspace", "samebook.input_path('hostname')"),
        ("parts", "is a folder; expected a file; expected one of: 1.csv", "samebook.input_path('parts/1.csv')"),
        ("", "is a folder", "samebook.input_path"),
        ("bad\0name", "no input", "data/"),
    ],
)
def test_bad_name_is_told(notebooks: Path, name: str, message: str, mend: str) -> None:
    """A name without a file, a folder, and a path out of the workspace are errors with a way out."""
    (notebooks / "customers.csv").touch()
    (notebooks / "parts").mkdir()
    (notebooks / "parts" / "1.csv").touch()
    with pytest.raises(UsageError) as caught:
        samebook.input_path(name)
    assert message in str(caught.value)
    assert mend in (caught.value.mend or "")


def test_reproduction_follows_no_link(notebooks: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A link out of the workspace is followed in one's own run; in a reproduction it may be a stranger's."""
    (tmp_path / "own.csv").write_text("1")
    (notebooks / "own.csv").symlink_to(tmp_path / "own.csv")
    assert samebook.read_file("own.csv") == b"1"
    (tmp_path / "pins.json").write_text('{"inputs": {}, "is_trial": true}')
    monkeypatch.setenv("SAMEBOOK_PINNED", str(tmp_path / "pins.json"))
    context.pinned.cache_clear()
    with pytest.raises(UsageError, match="reads no file outside the workspace"):
        samebook.input_path("own.csv")


def test_run_records_its_files(reading: Tiny) -> None:
    """The receipt has each file with its hash and its place, and nothing of it is undeclared."""
    statement = receipt.read(reading.runs[0] / "receipt.json")
    digest = sha256(b"name\r\nAnn\r\n")
    assert receipt.inputs(statement) == {"input customers.csv": digest, "input größe 1.txt": sha256(b"1")}
    origins = {"input customers.csv": "data/customers.csv", "input größe 1.txt": "notebooks/größe 1.txt"}
    assert receipt.byproduct(statement, receipt.ORIGINS) == origins
    assert receipt.undeclared(statement) == {}
    assert (reading.runs[0] / "outputs" / "rows.txt").read_text() == "1"


def test_changed_file_is_not_as_before(reading: Tiny) -> None:
    """A run stands for the next one while its files are as they were, and is reproduced when one is changed or gone."""
    path = reading.root / "data" / "customers.csv"
    first = f"runs/{reading.runs[0].name}"
    assert reading.samebook("run", "read", "--reuse").stdout.strip() == first
    path.unlink()
    ended = reading.samebook("run", "--receipt", f"{first}/receipt.json")
    assert ended.code == 0, ended.stderr
    statements = (receipt.read(run / "receipt.json") for run in (reading.runs[0], reading.last))
    assert len({str(receipt.subject_digests(statement)) for statement in statements}) == 1
    path.write_text("name\nAnn\nBob\n")
    assert reading.samebook("run", "read", "--reuse").stdout.strip() != first


def test_entry_is_fetched_at_first_read(notebooks: Path) -> None:
    """What inputs.yml names comes with the first read, is recorded with where it is from, and is kept by gc."""
    root = notebooks.parent
    (root / "shared").mkdir()
    (root / "shared" / "a.csv").write_text("1")
    pinned = f"customers.csv: {{from: shared/a.csv, sha256: {sha256(b'1')}}}\nfree.csv: {{from: shared/a.csv}}\n"
    (root / "environments" / "inputs.yml").write_text(pinned)
    assert samebook.read_file("../data/customers.csv") == b"1"
    (root / "shared" / "a.csv").unlink()
    assert samebook.read_file("customers.csv") == b"1"
    notes = [event["text"] for event in run_folder.events(context.run(), "note")]
    assert notes == ["fetching customers.csv from shared/a.csv"]
    assert {event["value"] for event in run_folder.events(context.run(), "origin")} == {"shared/a.csv"}
    assert store_use.report(Workspace(root)).unreferenced == []
    with pytest.raises(UsageError, match=r"'free.csv' has no sha256") as caught:
        samebook.input_path("free.csv")
    assert caught.value.mend == "make fetch NAME=free.csv PIN=1"


def test_other_bytes_are_refused(notebooks: Path) -> None:
    """A file with an entry has the entry's sha256 or is not read, by whatever path a notebook names it."""
    root = notebooks.parent
    (root / "data").mkdir()
    (root / "data" / "a.csv").write_text("1")
    (root / "environments" / "inputs.yml").write_text(f"a.csv: {{sha256: '{'0' * 64}'}}\n")
    for name in ("a.csv", "data/a.csv", "../data/a.csv"):
        with pytest.raises(SamebookError, match=f"found sha256 {sha256(b'1')}, expected {'0' * 64}") as caught:
            samebook.input_path(name)
        assert caught.value.mend == "make fetch NAME=a.csv PIN=1, if the new bytes are the right ones"
    assert files.digest(Workspace(root), notebooks, "a.csv") == ""


def test_pin_decides_what_is_as_before(notebooks: Path) -> None:
    """A run counts as done while its file, or the sha256 of its entry, is what it was."""
    here = Workspace(notebooks.parent)
    assert files.digest(here, notebooks, "a.csv") == ""
    (here.environments / "inputs.yml").write_text(f"a.csv: {{from: 'https://h/a', sha256: '{sha256(b'1')}'}}\n")
    assert files.digest(here, notebooks, "a.csv") == sha256(b"1")
    (notebooks / "a.csv").write_text("2")
    assert files.digest(here, notebooks, "a.csv") == ""
    (here.environments / "inputs.yml").unlink()
    assert files.digest(here, notebooks, "a.csv") == sha256(b"2")
