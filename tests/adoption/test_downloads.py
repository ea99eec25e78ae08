"""What a notebook downloads at run time becomes inputs, and its code reads these; what can't be is told."""

from pathlib import Path

import pytest

from samebook.adoption import downloads
from samebook.adoption.data_files import Beside
from samebook.adoption.downloads import Downloads
from samebook.environment.input_entries import Entry

IMPORTS = "import pandas as pd, requests, seaborn as sns\nfrom urllib.request import urlopen, urlretrieve"
ENTRIES = {"known.csv": Entry.model_validate({"from": "https://a.b/known.csv"})}


def planned(folder: Path, *texts: str, data: tuple[Path, ...] = ()) -> Downloads:
    return downloads.plan([IMPORTS, *texts], Beside(folder, folder, data), folder / "notebooks", ENTRIES)


@pytest.mark.parametrize(
    ("code", "mended"),
    [
        ('read_csv("https://a.b/x%20y.csv.gz?raw=true", sep=";")', 'read_csv({x_y.csv.gz}, sep=";")'),
        ('pd.read_json(path_or_buf="https://a.b/c.json")', "pd.read_json(path_or_buf={c.json})"),
        ('urlretrieve("https://a.b/c.zip", "d.zip")', 'urlretrieve({c.zip}.as_uri(), "d.zip")'),
        ('U = "https://a.b/c.csv"\nread_csv(U); read_csv(U)', "U = {c.csv}\nread_csv(U); read_csv(U)"),
        ('x = requests.get("https://a.b/c").text[1:]', "x = {c}.read_text()[1:]"),
        ('x = requests.get("https://a.b/").content', "x = {a.b}.read_bytes()"),
        ('sns.load_dataset("tips")', 'sns.load_dataset("tips", data_home={tips.csv}.parent)'),
        ('read_csv("https://a.b/known.csv")', "read_csv({known.csv})"),
        ('read_csv("s3://a/b.csv"); read_csv("https://c.d/b.csv")', "read_csv({b.csv}); read_csv({b-2.csv})"),
    ],
)
def test_code_reads_inputs(tmp_path: Path, code: str, mended: str) -> None:
    """Each call that downloads a file reads an input in its place, in the form that it takes."""
    plan = planned(tmp_path, code)
    text = mended.replace("{", 'samebook.input_path("').replace("}", '")')
    assert plan.texts == [IMPORTS, f"import samebook\n{text}"]
    assert plan.notes == ()


def test_entries_are_new(tmp_path: Path) -> None:
    """An address is one input, however often it is read, and none where environments/inputs.yml has it already."""
    first, second = 'read_csv("https://a.b/c.csv")', 'read_csv("https://a.b/c.csv"); read_csv("https://a.b/known.csv")'
    plan = planned(tmp_path, first, second)
    assert [(new.cell, new.url, new.name) for new in plan.downloads] == [(2, "https://a.b/c.csv", "c.csv")]


def test_shell_lines(tmp_path: Path) -> None:
    """A line of wget or curl becomes a copy of an input under its name; one that only prints stays."""
    plan = planned(tmp_path, "!wget -q https://a.b/c.csv\n!curl https://a.b/d\n!curl -sL https://a.b/e -o e.csv")
    copies = "shutil.copy(samebook.input_path(\"c.csv\"), 'c.csv')\n!curl https://a.b/d\n"
    copies += "shutil.copy(samebook.input_path(\"e\"), 'e.csv')"
    assert plan.texts[1] == f"import samebook\nimport shutil\n{copies}"


def test_json_needs_its_module(tmp_path: Path) -> None:
    """The JSON of an answer is that of the input's bytes."""
    plan = planned(tmp_path, 'x = requests.get("https://a.b/c").json()["a"]')
    text = 'x = json.loads(samebook.input_path("c").read_bytes())["a"]'
    assert plan.texts[1] == f"import samebook\nimport json\n{text}"


@pytest.mark.parametrize(
    "code",
    [
        'r = requests.get("https://a.b/c")',
        'x = requests.get("https://a.b/c", params={"q": 1}).text',
        'U = "https://a.b/c"\nread_csv(U)\nprint(U)',
        'read_csv("ftp://a.b/c.csv")',
        'read_csv("https://a.b/c.csv?access_token=1")',
        'read_csv("https://ann:pw@a.b/c.csv")',
    ],
)
def test_what_cannot_be_an_input_is_told(tmp_path: Path, code: str) -> None:
    """An address that holds a key, that nobody serves, or whose answer is used in other ways is told with its cell."""
    plan = planned(tmp_path, code)
    assert (plan.texts[1], plan.downloads) == (code, ())
    assert [note.cell for note in plan.notes] == [2]


def test_given_file_takes_the_place(tmp_path: Path) -> None:
    """A file of the address's name that is given as DATA is read in its place, and nothing is fetched."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "c.csv").write_text("a")
    plan = planned(tmp_path, 'read_csv("https://a.b/c.csv")', data=(tmp_path / "in" / "c.csv",))
    assert plan.texts[1] == 'import samebook\nread_csv(samebook.input_path("data/c.csv"))'
    assert [copy.target for copy in plan.copies] == ["notebooks/data/c.csv"]
    assert plan.downloads == ()


def test_plain_words_stay(tmp_path: Path) -> None:
    """An address that is printed, opened as a file or written to is none of a download's."""
    code = 'print("https://a.b/c.csv"); U = "https://a.b/d.csv"; open("https://a.b/e"); df.to_csv("s3://a/b.csv")'
    plan = planned(tmp_path, code)
    assert (plan.texts[1], plan.notes) == (code, ())


def test_function_that_downloads(tmp_path: Path) -> None:
    """A notebook's own function downloads inputs too; a file of that name beside the notebook comes as it is."""
    (tmp_path / "b.csv").write_text("b")
    define = "def get(url, name=''):\n    if not exists(basename(url)):\n        urlretrieve(url, basename(url))"
    plan = planned(tmp_path, define, 'get("https://a.b/c.csv")', 'get("https://a.b/b.csv")', 'got("https://a.b/d.csv")')
    assert plan.texts[2] == 'import samebook\nget(samebook.input_path("c.csv").as_uri())'
    assert plan.texts[3:] == ['get("https://a.b/b.csv")', 'got("https://a.b/d.csv")']
    assert [copy.target for copy in plan.copies] == ["notebooks/b.csv"]


def test_file_of_the_repository(tmp_path: Path) -> None:
    """A file that lies in the repository as an address says takes its place, and the plan says so; a name alone won't.

    Where one address of a name is the repository's, another one of that name, which the code tries first, is too.
    """
    (tmp_path / ".git").mkdir()
    for name, content in (("data/x.csv", "1"), ("old/x.csv", "2"), ("train.csv", "1"), ("train/b.csv", "1")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    code = 'read_csv("https://c.d/x.csv")\nread_csv("https://a.b/o/r/master/data/x.csv")'
    plan = planned(tmp_path, code, 'read_csv("https://a.b/train.csv")\nread_csv("https://a.b/c/b.csv")')
    assert {copy.source for copy in plan.copies} == {tmp_path / "data" / "x.csv"}
    assert [download.name for download in plan.downloads] == ["train-2.csv", "b.csv"]
    assert [note.text.split(": ")[-1] for note in plan.notes] == ["the repository's own x.csv takes its place"] * 2
