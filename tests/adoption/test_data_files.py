"""Data files are found by the literals that read them, copied where the code finds them, or told as missing."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from samebook.adoption import data_files, plan
from samebook.adoption.code import literals
from samebook.adoption.data_files import Beside
from samebook.core.errors import UsageError


def test_literals() -> None:
    """Strings that readers are given are files to read; those of writers, queries and plain text are not."""
    texts = [
        "import pandas as pd\npd.read_csv('a.csv', sep=';')\npd.read_excel(io='b.xlsx')\nPATH = 'c.json'",
        "open('out.txt', 'w')\ndf.to_csv('d.csv')\npd.read_sql('select 1', c)\nx = 'no file. Text'\nnp.load('e.npy')",
    ]
    found = [(literal.cell, literal.text) for literal in literals.find(texts)]
    assert found == [(1, "a.csv"), (1, "b.xlsx"), (1, "c.json"), (2, "e.npy")]


def test_copies_and_rewrites(tmp_path: Path) -> None:
    """A file below the notebook keeps its path; absolute, Windows' and upper ones are rewritten into data/."""
    folder, notebooks = tmp_path / "foreign", tmp_path / "notebooks"
    (folder / "in").mkdir(parents=True)
    for name in ("in/a ü.csv", "b.csv", "c.csv", "d.csv"):
        (folder / name).write_text(name)
    code = (
        "read_csv('in/a ü.csv'); read_csv('/kaggle/input/b.csv')\nread_csv(r'C:\\x\\c.csv', sep='ü'); open('../d.csv')"
    )
    planned = data_files.plan([code], Beside(folder, tmp_path, [folder / f"{name}.csv" for name in "bcd"]), notebooks)
    assert [copy.target for copy in planned.copies] == [
        *("notebooks/in/a ü.csv", "notebooks/data/b.csv", "notebooks/data/c.csv", "notebooks/data/d.csv"),
    ]
    assert planned.texts == [
        'read_csv(\'in/a ü.csv\'); read_csv("data/b.csv")\nread_csv("data/c.csv", sep=\'ü\'); open("data/d.csv")'
    ]


def test_missing(tmp_path: Path) -> None:
    """A missing file is told with its cell; an address is no file."""
    code = "read_csv('gone.csv'); read_csv('https://a.b/c.csv')"
    notes = data_files.plan(["", code], Beside(tmp_path, tmp_path), tmp_path).notes
    assert [(note.cell, note.text.split(",")[0]) for note in notes] == [(2, "reads gone.csv")]


def test_taken_name_and_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file of the same name is never overwritten, and one that is too large for git goes to data/."""
    monkeypatch.setattr(data_files, "LARGEST", 5)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "a.csv").write_text("other")
    (tmp_path / "a.csv").write_text("mine")
    (tmp_path / "b.csv").write_text("larger")
    planned = data_files.plan(["open('a.csv'); open('b.csv')"], Beside(tmp_path, tmp_path), tmp_path / "notebooks")
    assert [(copy.target, copy.is_large) for copy in planned.copies] == [
        ("notebooks/data/a.csv", False),
        ("data/b.csv", True),
    ]
    assert planned.texts == ['import samebook\nopen("data/a.csv"); open(samebook.input_path("b.csv"))']


def test_given_data(tmp_path: Path) -> None:
    """DATA may be a file, a link or a folder; what is missing is refused by name."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "a.csv").write_text("a")
    (tmp_path / "link.csv").symlink_to(tmp_path / "in" / "deep" / "a.csv")
    assert data_files.given([tmp_path / "in", tmp_path / "link.csv"]) == [
        tmp_path / "in" / "deep" / "a.csv",
        tmp_path / "link.csv",
    ]
    with pytest.raises(UsageError, match=r"gone\.csv can't be read: No such file"):
        data_files.given([tmp_path / "gone.csv"])


def test_stranger_names_no_file_outside(tmp_path: Path) -> None:
    """A notebook from another place can't have files copied that lie outside of what came with it."""
    (tmp_path / "clone").mkdir()
    (tmp_path / "key").write_text("secret")
    code = f"open('../key'); open('{tmp_path / 'key'}')"
    beside = Beside(tmp_path / "clone", tmp_path / "clone")
    assert data_files.plan([code], beside, tmp_path / "notebooks").copies == ()


def test_folders(tmp_path: Path) -> None:
    """A folder that the code lists comes whole, one that was only given lends what is read, and no other one comes."""
    for name in ("in/a.csv", "in/deep/b.csv", "given/c.csv", "given/d.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    data = data_files.given([tmp_path / "given"])
    code = "os.listdir('in'); os.listdir('..'); os.listdir('.'); Path('/etc'); open('x/c.csv')"
    planned = data_files.plan([code], Beside(tmp_path, tmp_path, data), tmp_path / "notebooks")
    targets = ["notebooks/in/a.csv", "notebooks/in/deep/b.csv", "notebooks/x/c.csv"]
    assert [copy.target for copy in planned.copies] == targets


@pytest.mark.parametrize(
    ("code", "folder", "is_unread"),
    [
        ("open('c.csv')", "given", False),
        ("open('given/c.csv')", "link", False),
        ("names = ['c.csv']", "given", True),
        ("open('e.csv')", "given", True),
        ("x = 1", "empty", True),
    ],
)
def test_unread_folder(tmp_path: Path, code: str, folder: str, is_unread: bool) -> None:
    """A folder among DATA of which nothing comes along is told by its name, with what would bring its files."""
    for name in ("given", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "given")
    (tmp_path / "given" / "c.csv").write_text("c")
    notebook = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(code)]), notebook)
    source = plan.Source(notebook, tmp_path, [tmp_path / folder])
    planned = plan.plan(source, "a", plan.Project(tmp_path / "here" / "notebooks", {}, {}), mend=False)
    words = (
        f"nothing of DATA {tmp_path / folder} comes along: the code reads no file of it by its name\n  fix: name the"
    )
    assert (words in plan.text(planned)) == is_unread


def test_large_files_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two large files of one name stay two, neither replaces what is in data/, and each is read by its own name."""
    monkeypatch.setattr(data_files, "LARGEST", 3)
    for name in ("train/a.csv", "test/a.csv", "here/data/a.csv", "here/notebooks/a-2.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    code = "open('train/a.csv'); open('test/a.csv'); os.listdir('train')"
    planned = data_files.plan([code], Beside(tmp_path, tmp_path), tmp_path / "here" / "notebooks")
    assert {copy.target: copy.source.parent.name for copy in planned.copies} == {
        "data/a-3.csv": "train",
        "data/a-4.csv": "test",
    }
    assert 'open(samebook.input_path("a-3.csv")); open(samebook.input_path("a-4.csv"))' in planned.texts[0]
    assert any("lists train, with files above" in note.text for note in planned.notes)


def test_strange_names() -> None:
    """A file that nobody can name, or of a user that nobody knows, is only told as missing."""
    beside = Beside(Path.cwd(), Path.cwd())
    texts = ["open('~nobody-here/x.csv')", r"open('a\0b.csv')"]
    assert [note.cell for note in data_files.plan(texts, beside, Path("notebooks")).notes] == [1, 2]


def test_folder_above(tmp_path: Path) -> None:
    """A file that the code names as from a folder above the notebook's, or joins to its folder, comes from there."""
    folder = tmp_path / "project" / "notebooks" / "deep"
    (tmp_path / "project" / "data").mkdir(parents=True)
    for name in ("a.csv", "b.csv"):
        (tmp_path / "project" / "data" / name).write_text(name)
    (tmp_path / "out.csv").write_text("not of the project")
    code = "read_csv('data/a.csv'); read_csv('out.csv')\npath = os.getcwd() + '\\\\data\\\\b.csv'"
    planned = data_files.plan([code], Beside(folder, tmp_path / "project"), tmp_path / "here" / "notebooks")
    assert [copy.target for copy in planned.copies] == ["notebooks/data/a.csv", "notebooks/data/b.csv"]
    assert planned.texts == ["read_csv('data/a.csv'); read_csv('out.csv')\npath = \"data/b.csv\""]


def test_links_stay(tmp_path: Path) -> None:
    """A link in a folder that the code lists does not bring a file from outside the project."""
    folder = tmp_path / "project" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "key").write_text("secret")
    (folder / "link.csv").symlink_to(tmp_path / "key")
    (folder / "a.csv").write_text("a")
    beside = Beside(folder.parent, folder.parent)
    planned = data_files.plan(["listdir('data')"], beside, tmp_path / "here" / "notebooks")
    assert [copy.target for copy in planned.copies] == ["notebooks/data/a.csv"]
