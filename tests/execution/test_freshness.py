"""A finished run counts as done already only where all that it has read is as it was, and nothing was unseen."""

import datetime
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from tiny import Tiny, git

from samebook.core.workspace import Workspace
from samebook.data import dataset
from samebook.environment import machine
from samebook.execution import freshness, preparation
from samebook.execution.preparation import RunRequest

pytestmark = pytest.mark.host

DAY = datetime.date(2013, 1, 1)
VALUED = "n: int = 0\nrate: float = 0\non: bool = False\nname: str = ''"
WORK = """
import datetime, json, pathlib
import pandas as pd
import samebook
json.loads(pathlib.Path("config.json").read_text())
table = pd.read_csv("table.csv"), pd.read_csv("ignored.csv"), pd.read_parquet("../inbox")
samebook.find_artifact("kept/table.csv", "table.csv"), samebook.find_artifact("others/table.csv", "table.csv")
samebook.find_artifact("old/make", "made.txt")
day = datetime.date(2013, 1, 1)
rows = sum(len(frame) for frame in samebook.read_batches("rows", day, day))
samebook.log_metric("rows", rows)
"""


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with one run of a notebook, which reads committed, ignored and outside files, and a dataset.

    Two of its files have one name, and one was made by a notebook in a folder.
    """
    tiny = Tiny.create(tmp_path_factory.mktemp("freshness") / "workspace")
    tiny.notebook("work", work=WORK)
    (tiny.root / "notebooks" / "old").mkdir()
    tiny.notebook("old/make", work="import samebook\nsamebook.output_path('made.txt').write_text('1')")
    assert tiny.samebook("run", "old/make").code == 0
    for name in ("inbox", "kept", "others"):
        (tiny.root / name).mkdir()
        (tiny.root / name / "table.csv").write_text(name)
    (tiny.root / "inbox" / "table.csv").unlink()
    for name in ("config.json", "table.csv", "ignored.csv"):
        (tiny.root / "notebooks" / name).write_text("1\n2\n")
    (tiny.root / "notebooks" / "config.json").write_text("{}")
    frame = pd.DataFrame({"n": [1, 2]})
    frame.to_parquet(tiny.root / "inbox" / "part.parquet")
    part = tiny.root / "data" / dataset.partition("rows", DAY)
    part.parent.mkdir(parents=True)
    dataset.write(frame, part)
    (tiny.root / ".gitignore").write_text("/runs/\n/store/\n/data/\n/inbox/\n/kept/\n/others/\nignored.csv\n")
    git(tiny, "init", "--quiet")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "work")
    ended = tiny.samebook("run", "work")
    assert ended.code == 0, ended.stderr
    line = "read without being declared: inbox/part.parquet, notebooks/ignored.csv; commit it"
    assert line in ended.stderr
    assert "unseen" not in ended.stderr
    return tiny


def is_fresh(tiny: Tiny, *ignored: str) -> bool:
    """Whether the run counts as done already, with these settings `ignore_unseen`."""
    prepared = preparation.prepare(Workspace(tiny.root), RunRequest("work", {}))
    settings = prepared.settings.model_copy(update={"ignore_unseen": ignored})
    return freshness.fresh_run(replace(prepared, settings=settings)) == tiny.last


def test_unchanged_run_is_fresh(worked: Tiny) -> None:
    """A run whose files are as they were counts, undeclared ones too, and a dataset that was read in batches."""
    assert is_fresh(worked)
    statement = json.loads((worked.last / "receipt.json").read_text())
    annotations = {item["name"]: item.get("annotations", {}) for item in _dependencies(statement)}
    assert {name for name, notes in annotations.items() if notes.get("undeclared")} == {
        "inbox/part.parquet",
        "notebooks/ignored.csv",
    }
    byproducts = {item["name"]: item for item in statement["predicate"]["runDetails"]["byproducts"]}
    assert byproducts["read"]["annotations"].keys() == {"inbox/", "notebooks/config.json", "notebooks/table.csv"}


@pytest.mark.parametrize(
    "name",
    ["notebooks/config.json", "notebooks/table.csv", "notebooks/ignored.csv", "kept/table.csv", "others/table.csv"],
)
def test_changed_file_is_not(name: str, worked: Tiny) -> None:
    """A changed file makes the run one of other inputs, committed or not; changed back, it is as before."""
    path = worked.root / name
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    assert not is_fresh(worked)
    path.write_bytes(before)
    assert is_fresh(worked)


def test_receipts_are_read_once(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are found by all their parameters, whatever these hold, and a receipt is read once; half a line, as of a
    full disk, loses no run.
    """
    tiny.notebook("work", parameters=f"{VALUED}\nmany: list[int] = []\nnone: int | None = None", work="1")
    values = {"n": "1", "rate": "1.0", "on": "true", "name": 'größe "1"', "many": "[1, 2]"}
    here, read = Workspace(tiny.root), []
    monkeypatch.setattr(freshness.receipt, "read", lambda path: read.append(path) or json.loads(path.read_bytes()))

    def found(**other: str) -> list[str]:
        prepared = preparation.prepare(here, RunRequest("work", {**values, **other}))
        return [run.name[:8] for run in freshness._runs_of_call(prepared)]

    def add(day: int, **other: str) -> Path:
        run = f"201301{day:02}T000000Z-work-aaaaaa"
        (here.runs / run / "outputs").mkdir(parents=True)
        (here.runs / run / "outputs" / "a.txt").write_text("a")
        tiny.receipt(run)
        path = here.runs / run / "receipt.json"
        statement = json.loads(path.read_bytes())
        prepared = preparation.prepare(here, RunRequest("work", {**values, **other}))
        statement["predicate"]["buildDefinition"]["externalParameters"] = freshness._external(prepared)
        path.write_text(json.dumps(statement))
        return path.parent

    add(1), add(2, n="2"), add(3)
    (here.runs / "20130104T000000Z-work-aaaaaa").mkdir()  # this one has failed
    assert (found(), found(n="2"), len(read)) == (["20130103", "20130101"], ["20130102"], 3)
    for name, value in {"rate": "2.0", "on": "false", "name": "1", "many": "[1]", "none": "0"}.items():
        assert found(**{name: value}) == []
    assert len(read) == 3
    path = here.runs / freshness.CALLS
    path.write_text(path.read_text()[:-3])
    later = add(5)
    assert (found(), len(read)) == (["20130105", "20130103", "20130101"], 5)
    later.rename(here.runs.parent / later.name)
    path.write_text(path.read_text().replace(later.name, f"../{later.name}"))  # leads out of runs/
    assert found() == ["20130103", "20130101"]
    path.unlink()
    other = here.runs.parent / "other"
    other.write_text("mine")
    path.symlink_to(other)  # as in a folder of runs that somebody has sent
    assert found() == ["20130103", "20130101"]
    assert other.read_text() == "mine"
    path.unlink()
    path.mkdir()  # nobody can write there
    assert found() == ["20130103", "20130101"]


def test_added_file_is_not(worked: Tiny) -> None:
    """A file that is added to a folder of which the run has read all is another input."""
    path = worked.root / "inbox" / "more.parquet"
    path.write_bytes(b"")
    assert not is_fresh(worked)
    path.unlink()
    assert is_fresh(worked)


def test_unseen_read_is_not(worked: Tiny) -> None:
    """A run with a read that nobody saw never counts, unless the settings say so of its beginning."""
    path = worked.last / "receipt.json"
    content = path.read_bytes()
    statement = json.loads(content)
    unseen = {"name": "unseen", "annotations": {"network 10.0.0.1:80": "unseen", "child process git": "unseen"}}
    statement["predicate"]["runDetails"]["byproducts"].append(unseen)
    _write(path, json.dumps(statement).encode())
    assert not is_fresh(worked)
    assert not is_fresh(worked, "network")
    assert is_fresh(worked, "network", "child process git")
    _write(path, content)


@pytest.mark.parametrize("value", [True, 1.0, [1], "1"])
def test_equal_value_of_another_type_is_not(value: object, worked: Tiny) -> None:
    """To Python, 1 and True are equal, and 1 and 1.0; to a notebook they are other values."""
    path = worked.last / "receipt.json"
    content = path.read_bytes()
    statement = json.loads(content)
    statement["predicate"]["buildDefinition"]["externalParameters"]["parameters"] = {"size": 1}
    _write(path, json.dumps(statement).encode())
    prepared = preparation.prepare(Workspace(worked.root), RunRequest("work", {}))
    assert freshness.fresh_run(replace(prepared, values={"size": 1})) == worked.last
    assert freshness.fresh_run(replace(prepared, values={"size": value})) is None
    _write(path, content)


def test_other_threads_are_not(worked: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numerics are fast, the caller's number of BLAS threads makes another run; above the cores there is none."""
    path = worked.last / "receipt.json"
    content = path.read_bytes()
    statement = json.loads(content)
    internal = statement["predicate"]["buildDefinition"]["internalParameters"]
    _write(path, json.dumps(statement).encode())
    prepared = preparation.prepare(Workspace(worked.root), RunRequest("work", {}))
    fast = replace(prepared, settings=prepared.settings.model_copy(update={"numerics": "fast", "threads": 4}))
    monkeypatch.setattr(machine, "cores", lambda: 4)
    for taken, told, is_as_before in ((1, "1", True), (1, "4", False), (4, "64", True), (4, "2", False)):
        internal.update(numerics="fast", threads={"openmp": 4, "blas": taken})
        _write(path, json.dumps(statement).encode())
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", told)
        assert (freshness.fresh_run(fast) is not None) == is_as_before
    _write(path, content)


def _dependencies(statement: dict) -> list[dict]:
    return statement["predicate"]["buildDefinition"]["resolvedDependencies"]


def _write(path: Path, content: bytes) -> None:
    """Write a receipt again, as nothing but a test does; what is remembered of it goes."""
    (path.parents[1] / freshness.CALLS).unlink(missing_ok=True)
    path.chmod(0o644)
    path.write_bytes(content)
