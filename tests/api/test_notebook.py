"""What notebooks import: inside a run, and in Lab with no runner around it."""

import datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from tiny import Tiny

import samebook
from samebook.api import context
from samebook.core.digest import sha256
from samebook.core.errors import DataRejected, UsageError
from samebook.core.workspace import Workspace
from samebook.data import dataset
from samebook.records import data_manifest, receipt, run_folder
from samebook.store import objects

DAY = datetime.date(2013, 1, 1)
MAKER = """import pandas as pd, samebook
for number in range((end - start).days + 1):
    day = start + timedelta(days=number)
    samebook.write_partition('flights', day, pd.DataFrame({'day': [str(day)] * 2, 'delay': [number, 0.5]}))"""
DAYS = "from datetime import date, timedelta\nstart: date = date(2013, 1, 1)\nend: date = date(2013, 1, 1)"
READER = """import samebook
frame = samebook.read_dataset('flights', start, end)
samebook.log_metric('rows', len(frame))
samebook.output_path('days.txt').write_text(' '.join(frame['day']))"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A notebook that reads two days of a dataset, one of which has to be made first."""
    tiny = Tiny.create(tmp_path_factory.mktemp("chain") / "workspace", "datasets: {flights: {made_by: ingest}}")
    tiny.notebook("ingest", parameters=DAYS, work=MAKER)
    tiny.notebook("train", parameters=DAYS, work=READER)
    assert tiny.samebook("run", "ingest").code == 0
    ended = tiny.samebook("run", "train", "-p", "end=2013-01-02")
    assert ended.code == 0, ended.stderr
    assert "making flights 2013-01-02 to 2013-01-02: make run NOTEBOOK=ingest" in ended.stderr
    return tiny


def scratch(tiny: Tiny) -> Path:
    """The one scratch run."""
    (folder,) = (tiny.root / "runs" / ".scratch").iterdir()
    return folder


# --- In Lab, with no runner -----------------------------------------------------------------------------------


def test_lab_writes_scratch_run(lab: Tiny) -> None:
    """With no runner the same calls write to a scratch run, which isn't listed among the runs."""
    (lab.root / "plot.png").write_bytes(b"png")
    samebook.log_metrics({"auc": 0.75, "rows": 3})
    samebook.log_param("rows", DAY)
    copy = samebook.log_artifact(lab.root / "plot.png", "plots/roc.png")
    assert copy == scratch(lab) / "outputs" / "plots" / "roc.png"
    assert copy.read_bytes() == b"png"
    assert lab.runs == []


def test_lab_partition_is_scratch(lab: Tiny) -> None:
    """A partition written in Lab stays in the scratch run: only a finished run publishes data."""
    path = samebook.write_partition("flights", DAY, pd.DataFrame({"delay": [1.0]}))
    assert path == scratch(lab) / "outputs" / "flights" / "day=2013-01-01" / "part-0.parquet"
    assert not (lab.root / "data").exists()


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_metric_must_be_finite(value: float) -> None:
    """A metric that is no finite number is refused by name: JSON has no word for it."""
    with pytest.raises(UsageError, match=r"metric auc: found .*; expected a finite number"):
        samebook.log_metric("auc", value)


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("name", ["../receipt.json", "/etc/passwd", "", ".", "a/../../b"])
def test_output_stays_inside(name: str) -> None:
    """An output can't be written outside the run's outputs."""
    with pytest.raises(UsageError, match="expected a name inside the run's outputs"):
        samebook.output_path(name)


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("name", ["../receipt.json", "/etc/passwd", "", "."])
def test_scratch_stays_inside(name: str) -> None:
    """A scratch file can't be written outside the run's scratch folder."""
    with pytest.raises(UsageError, match="expected a name inside the run's scratch folder"):
        samebook.scratch_path(name)


def test_scratch_goes_with_the_run(tiny: Tiny) -> None:
    """A scratch file is there while the run goes on; the finished run and its receipt have none."""
    write = "import samebook\npath = samebook.scratch_path('bins/page-0')\npath.write_text('page')"
    tiny.notebook("cache", write=write, read="assert path.read_text() == 'page'")
    assert tiny.samebook("run", "cache").code == 0
    assert not [path for path in tiny.last.rglob("*") if path.name.startswith("page")]
    assert "page-0" not in (tiny.last / "receipt.json").read_text()


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("name", ["Flights", "../flights", "", "a b", "1st"])
def test_dataset_name_refused(name: str) -> None:
    """A dataset's name is a plain word: it becomes a folder."""
    with pytest.raises(UsageError, match="expected a name of lower-case letters"):
        samebook.write_partition(name, DAY, pd.DataFrame({"x": [1]}))


@pytest.mark.usefixtures("lab")
def test_missing_things_named() -> None:
    """What isn't there is named: an artifact, a query, a dataset that nothing makes, days in the wrong order."""
    with pytest.raises(UsageError, match=r"artifact plot\.png: no such file"):
        samebook.log_artifact("plot.png")
    with pytest.raises(UsageError, match=r"no query 'flights.sql': expected notebooks/queries/flights.sql"):
        samebook.query("flights.sql")
    with pytest.raises(UsageError, match="no partition for 2013-01-01, and no notebook is said to make it"):
        samebook.read_dataset("flights", DAY, DAY)
    with pytest.raises(UsageError, match="found start 2013-01-02 after end 2013-01-01"):
        samebook.read_dataset("flights", datetime.date(2013, 1, 2), DAY)
    with pytest.raises(UsageError, match=r"no model.ubj from 'train': expected a promoted model, a file"):
        samebook.find_artifact("train", "model.ubj")


def test_partial_leaves_out(lab: Tiny) -> None:
    """With `partial`, days that are nowhere are left out, even all of them; the others are there."""
    second = DAY + datetime.timedelta(days=1)
    assert samebook.read_dataset("flights", DAY, second, partial=True).empty
    path = lab.root / "data" / "flights" / f"day={second}" / "part-0.parquet"
    dataset.write(pd.DataFrame({"delay": [7]}), path)
    assert samebook.read_dataset("flights", DAY, second, partial=True)["delay"].tolist() == [7]


def test_broken_partition_named(lab: Tiny) -> None:
    """A partition that isn't whole is rejected by name."""
    path = lab.root / "data" / "flights" / "day=2013-01-01" / "part-0.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1 half of it")
    with pytest.raises(DataRejected, match=r"flights.*2013-01-01.* is not a whole Parquet file"):
        samebook.read_dataset("flights", DAY, DAY)


def test_query_binds_values(lab: Tiny) -> None:
    """A query's parameters are bound as values, never pasted into its text."""
    (lab.root / "data").mkdir()
    with duckdb.connect(str(lab.root / "data" / "warehouse.duckdb")) as connection:
        connection.execute("CREATE TABLE flights AS SELECT * FROM (VALUES ('UA', 1), ('B6', 2)) t(carrier, delay)")
    queries = lab.root / "notebooks" / "queries"
    queries.mkdir()
    (queries / "one.sql").write_text("SELECT delay FROM flights WHERE carrier = $carrier ORDER BY delay")
    assert samebook.query("one.sql", carrier="B6")["delay"].tolist() == [2]
    assert samebook.query("one.sql", carrier="' OR 1=1 --").empty
    with pytest.raises(UsageError, match=r"one.sql: no parameter 'carier'; did you mean carrier\?"):
        samebook.query("one.sql", carier="B6")


# --- In a run -------------------------------------------------------------------------------------------------


def test_missing_days_made(chain: Tiny) -> None:
    """Days that aren't there are made by the notebook that makes them, in a run of its own, and only these."""
    made = [run for run in chain.runs if "-ingest-" in run.name]
    assert [sorted(path.name for path in (run / "outputs" / "flights").iterdir()) for run in made] == [
        ["day=2013-01-01"],
        ["day=2013-01-02"],
    ]
    (train,) = (run for run in chain.runs if "-train-" in run.name)
    assert (train / "outputs" / "days.txt").read_text() == "2013-01-01 2013-01-01 2013-01-02 2013-01-02"


def test_partitions_are_inputs(chain: Tiny) -> None:
    """Each partition that is read is in the receipt by its sha256, and kept in the store."""
    (train,) = (run for run in chain.runs if "-train-" in run.name)
    store = objects.local_store(Workspace(chain.root))
    read = receipt.inputs(data_manifest.expanded(store, receipt.read(train / "receipt.json")))
    found = {name: digest for name, digest in read.items() if name.startswith("flights/")}
    published = {
        f"flights/{path.parent.name}": samebook.sha256(path) for path in (chain.root / "data").rglob("*.parquet")
    }
    assert found == published
    assert len(found) == 2
    for digest in found.values():
        assert store.is_whole(digest)


def test_failed_maker_is_told(tiny: Tiny) -> None:
    """When the notebook that makes a dataset fails, its words and the exit code of rejected data are the reader's."""
    (tiny.root / "environments" / "dev.yml").write_text("datasets: {flights: {made_by: ingest}}")
    tiny.notebook("ingest", parameters=DAYS, work="import samebook\nraise samebook.DataRejected('column delay is bad')")
    tiny.notebook("train", parameters=DAYS, work=READER)
    ended = tiny.samebook("run", "train")
    assert ended.code == 4
    assert "ingest failed with exit code 4" in ended.stderr
    assert "column delay is bad" in ended.stderr


def test_artifact_found_by_notebook(lab: Tiny) -> None:
    """An artifact is found by a path, by a run's id, and by a notebook's name: then that of its newest finished run."""
    for name in ("20130101T000000Z-train-aaaaaa", "20130102T000000Z-train-bbbbbb", "20130103T000000Z-pre-train-cccccc"):
        (lab.root / "runs" / name / "outputs").mkdir(parents=True)
        (lab.root / "runs" / name / "outputs" / "model.ubj").write_text(name)
        lab.receipt(name)
    (lab.root / "runs" / "20130104T000000Z-train-dddddd" / "outputs").mkdir(parents=True)
    (lab.root / "runs" / "20130104T000000Z-train-dddddd" / "outputs" / "model.ubj").write_text("failed")
    newest = samebook.find_artifact("train", "model.ubj")
    assert newest.read_text() == "20130102T000000Z-train-bbbbbb"
    first = samebook.find_artifact("20130101T000000Z-train-aaaaaa", "model.ubj")
    assert first.read_text() == "20130101T000000Z-train-aaaaaa"
    assert samebook.find_artifact(str(newest.relative_to(lab.root)), "model.ubj") == newest


def test_model_of_any_kind_is_found(lab: Tiny) -> None:
    """The model file of a run has any ending; a run without the output that is asked for is named, with its outputs."""
    (lab.root / "runs" / "20130101T000000Z-train-aaaaaa" / "outputs").mkdir(parents=True)
    (lab.root / "runs" / "20130101T000000Z-train-aaaaaa" / "outputs" / "model.onnx").write_text("1")
    lab.receipt("20130101T000000Z-train-aaaaaa")
    assert samebook.find_model("train").name == "model.onnx"
    with pytest.raises(UsageError, match=r"run \S+-aaaaaa has no output 'a.csv'; its outputs: model.onnx") as caught:
        samebook.find_artifact("train", "a.csv")
    assert caught.value.mend == "samebook.output_path('a.csv') in notebooks/train.ipynb"


def test_artifact_beside_the_workspace(lab: Tiny) -> None:
    """A file beside the workspace has the path that was given as its label: a reproduction has another workspace."""
    (lab.root.parent / "beside.csv").write_text("1")
    assert samebook.find_artifact("../beside.csv", "beside.csv").read_text() == "1"
    assert [event["name"] for event in run_folder.events(context.run(), "input")] == ["../beside.csv"]


def test_changed_artifact_is_refused(lab: Tiny) -> None:
    """An output that was changed since its run isn't passed off as what that run made."""
    output = lab.root / "runs" / "20130101T000000Z-train-aaaaaa" / "outputs" / "model.ubj"
    output.parent.mkdir(parents=True)
    output.write_text("made")
    lab.receipt("20130101T000000Z-train-aaaaaa")
    output.write_text("forged")
    with pytest.raises(UsageError, match="is not what its receipt says"):
        samebook.find_artifact("train", "model.ubj")


def test_query_is_read(lab: Tiny) -> None:
    """The file of a query is recorded: in a folder that is a link, no hash of the code has it."""
    (lab.root / "data").mkdir()
    duckdb.connect(str(lab.root / "data" / "warehouse.duckdb")).close()
    (lab.root / "shared").mkdir()
    (lab.root / "shared" / "one.sql").write_text("SELECT 1 AS n")
    (lab.root / "notebooks" / "queries").symlink_to("../shared")
    assert samebook.query("one.sql")["n"].tolist() == [1]
    read = {event["name"]: event["sha256"] for event in run_folder.events(context.run(), "read")}
    assert read == {"notebooks/queries/one.sql": sha256(b"SELECT 1 AS n")}
