"""The tree of runs and inputs behind a result."""

import json
import re
import shutil
from pathlib import Path

import pytest
from tiny import Tiny, git

from samebook.records import diagram
from samebook.records.diagram import Box

pytestmark = pytest.mark.host

MAKE = """
import datetime, pandas, samebook
for n in range((end - start).days + 1):
    day = start + datetime.timedelta(days=n)
    samebook.write_partition("rows", day, pandas.DataFrame({"n": [n]}))
"""
DATES = "from datetime import date\nstart: date = date(2013, 1, 1)\nend: date = date(2013, 1, 1)"
READ = """
import pathlib, samebook
from datetime import date
rows = samebook.read_dataset("rows", date(2013, 1, 30), date(2013, 2, 3))
rows.to_csv(samebook.output_path("table.csv"))
loose = pathlib.Path("../data/loose.txt").read_text()
"""
SHOW = "import samebook; print(samebook.find_artifact('read', 'table.csv').read_text())"


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository in which `show` was run on what `read` made of two runs of `make`, after an uncommitted change."""
    tiny = Tiny.create(tmp_path_factory.mktemp("lineage") / "workspace", "datasets: {rows: {made_by: make}}\n")
    tiny.notebook("make", parameters=DATES, make=MAKE)
    tiny.notebook("read", read=READ)
    tiny.notebook("show", show=SHOW)
    (tiny.root / "data").mkdir()
    (tiny.root / "data" / "loose.txt").write_text("loose")
    (tiny.root / ".gitignore").write_text("/runs/\n/store/\n/data/\n")
    git(tiny, "init", "--quiet")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "work")
    assert tiny.samebook("run", "make", "-p", "start=2013-01-30", "-p", "end=2013-01-31").code == 0
    assert tiny.samebook("run", "read").code == 0
    (tiny.root / "notebooks" / "new.txt").write_text("not committed")
    assert tiny.samebook("run", "show").code == 0
    return tiny


@pytest.fixture
def copied(worked: Tiny, tmp_path: Path) -> Tiny:
    """The same, to break."""
    return Tiny(Path(shutil.copytree(worked.root, tmp_path / "workspace")))


def run_of(tiny: Tiny, notebook: str, number: int = -1) -> Path:
    return [run for run in tiny.runs if f"-{notebook}-" in run.name][number]


def edit(run: Path, old: str, new: str) -> None:
    path = run / "receipt.json"
    path.chmod(0o644)
    path.write_text(path.read_text().replace(old, new))


def test_tree_reaches_the_makers(worked: Tiny) -> None:
    """Each input stands below the run that read it, with the run that made it below, days without a gap in one line."""
    message = worked.samebook("lineage", "show").stdout
    titles = [line.strip("│├└─ ") for line in message.splitlines() if "── " in line]
    assert titles == [
        "read/table.csv",
        run_of(worked, "read").name,
        *("rows/day=2013-01-30 … 2013-01-31 (2 days)", run_of(worked, "make", 0).name),
        *("rows/day=2013-02-01 … 2013-02-03 (3 days)", run_of(worked, "make", 1).name),
        "data/loose.txt",
    ]


def test_run_names_its_origin(worked: Tiny) -> None:
    """A run is shown with its parameters, commit, lock and environment, in short."""
    message = worked.samebook("lineage", run_of(worked, "make").name).stdout
    assert "end=2013-02-03, start=2013-02-01" in message
    assert f"commit {git(worked, 'rev-parse', 'HEAD')[:12]}\n" in message
    assert " · environment " in message


def test_flaws_are_marked(worked: Tiny) -> None:
    """Uncommitted changes and files read around the API stand out, and only where they are."""
    shown, read = (worked.samebook("lineage", name).stdout for name in ("show", "read"))
    assert shown.count("! made on uncommitted changes") == 1
    assert "! made on uncommitted changes" not in read
    assert "! undeclared: read around the API" in read


def test_json_holds_all(worked: Tiny) -> None:
    """The JSON has the whole tree, with each input's sha256."""
    tree = json.loads(worked.samebook("lineage", "show", "--json").stdout)
    (table,) = tree["inputs"]
    partitions = [name for entry in table["made_by"]["inputs"] for name in entry["digests"]]
    assert [len(digest) for digest in table["digests"].values()] == [64]
    assert len(partitions) == 6


NODE = re.compile(r'(n\d+)\["(.+)"\]:::(run|input|undeclared)')
ARROW = re.compile(r"(n\d+) --> (n\d+)")


def drawn(flowchart: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The labels of a flowchart by node, as they are shown, and its arrows. There is no other line."""
    head, *lines = [line for line in flowchart.splitlines() if not line.startswith("classDef ")]
    nodes = [match for line in lines if (match := NODE.fullmatch(line))]
    arrows = [match for line in lines if (match := ARROW.fullmatch(line))]
    assert (head, len(nodes) + len(arrows)) == ("flowchart LR", len(lines))
    labels = {match[1]: re.sub(r"#(\d+);", lambda code: chr(int(code[1])), match[2]) for match in nodes}
    return labels, [(labels[arrow[1]], labels[arrow[2]]) for arrow in arrows]


def test_drawing_is_the_tree(worked: Tiny, tmp_path: Path) -> None:
    """The flowchart shows every box of the tree, an arrow from each to what came of it, and is the same each time."""
    path = tmp_path / "lineage.mmd"
    assert worked.samebook("lineage", "show", "--mermaid", str(path)).code == 0
    labels, arrows = drawn(path.read_text())
    assert (len(labels), len(arrows)) == (8, 7)
    titles = [[label.split("<br/>")[0] for label in arrow] for arrow in arrows]
    read, show = run_of(worked, "read").name, run_of(worked, "show").name
    assert titles[:2] == [["read/table.csv", show], [read, "read/table.csv"]]
    assert [arrow[0] for arrow in titles if arrow[1] == read] == [
        "rows/day=2013-01-30 … 2013-01-31 (2 days)",
        "rows/day=2013-02-01 … 2013-02-03 (3 days)",
        "data/loose.txt",
    ]
    assert worked.samebook("lineage", "show", "--mermaid").stdout == path.read_text()


def test_run_is_drawn_once() -> None:
    """A run behind two inputs is one node of the flowchart; inputs of one name below two runs are two."""
    above = Box("run", "made", ("as above",))
    shared = Box("run", "made", ("x=1",), sources=(Box("input", "raw"),))
    first = Box("input", "a", sources=(shared,))
    second = Box("input", "b", sources=(Box("run", "next", sources=(Box("input", "raw", sources=(above,)),)),))
    labels, arrows = drawn(diagram.mermaid(Box("run", "root", sources=(first, second))))
    assert list(labels.values()) == ["root", "a", "made<br/>x=1", "raw", "b", "next", "raw"]
    assert ("made<br/>x=1", "raw") in arrows


@pytest.mark.parametrize(
    "text",
    [
        'say "]:::run',
        "a[b](c){d}|e|",
        "two\nlines\r\u2028",
        "<script>alert(1)</script>",
        "<b>&lt;#35;",
        "`*_code_*` __init__ ~~x~~",
        "%%{init: {}}%%",
        "style x:#12;",
        "n0 --> n1; click n0 href",
        "#quot;",
    ],
)
def test_labels_are_escaped(text: str) -> None:
    """A label of any text stays one label of one node: none of its signs reaches Mermaid, Markdown or HTML."""
    flowchart = diagram.mermaid(Box("run", text, (text,), (text,)))
    labels, _ = drawn(flowchart)
    assert labels == {"n0": f"{text}<br/>{text}<br/>! {text}"}
    (line,) = [line for line in flowchart.splitlines() if line.startswith("n0")]
    assert not set(line.removeprefix('n0["').removesuffix('"]:::run').replace("<br/>", "")) & set("\"'[](){}<>|&`*:%")
    assert "_code_" not in line


def test_text_of_a_receipt_is_one_line() -> None:
    """A name with a line break, which may look like a verdict, begins no line of its own."""
    assert diagram.text(Box("run", "a\nIDENTICAL", ("b\rc",))).splitlines() == ["a\\nIDENTICAL", "    b\\rc"]


def test_missing_maker_is_told(copied: Tiny) -> None:
    """A run whose folder is gone is named, and said to be gone."""
    gone = run_of(copied, "make", 0)
    shutil.rmtree(gone)
    message = copied.samebook("lineage", "read").stdout
    assert f"{gone.name}\n" in message
    assert "! its receipt is not here" in message


def test_swapped_input_is_marked(copied: Tiny) -> None:
    """An input that is not among the results of the run that is said to have made it is marked."""
    maker = run_of(copied, "make", 0)
    first = next(
        subject for subject in json.loads((maker / "receipt.json").read_text())["subject"] if "rows/" in subject["name"]
    )
    edit(maker, first["digest"]["sha256"], 64 * "0")
    assert copied.samebook("lineage", "read").stdout.count("! not what that run made") == 1


def test_damaged_receipt_is_refused(copied: Tiny) -> None:
    """A receipt on the way that is cut short is an error that names its file."""
    path = run_of(copied, "make", 0) / "receipt.json"
    path.write_text(path.read_text()[:500])
    ended = copied.samebook("lineage", "show")
    assert ended.code == 2
    assert f"{path} is not a whole receipt" in ended.stderr


def test_circle_is_refused(copied: Tiny) -> None:
    """A receipt that was edited so that a run comes of its own result is refused, not followed for ever."""
    read, show = run_of(copied, "read"), run_of(copied, "show")
    path = read / "receipt.json"
    statement = json.loads(path.read_text())
    (makers,) = (item for item in statement["predicate"]["runDetails"]["byproducts"] if item["name"] == "makers")
    makers |= {"name": "made by", "annotations": {show.name: ["rows/day=2013-01-30"]}}
    path.chmod(0o644)
    path.write_text(json.dumps(statement))
    ended = copied.samebook("lineage", "show")
    assert ended.code == 2
    assert "it was edited by hand" in ended.stderr


def test_unknown_run_is_refused(worked: Tiny) -> None:
    """A run that isn't there is refused with the nearest name."""
    ended = worked.samebook("lineage", "shwo")
    assert ended.code == 2
    assert "did you mean show?" in ended.stderr
