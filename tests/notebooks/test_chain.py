"""The notebooks end to end, on two weeks of flights: from the warehouse to scores, and the same bytes again."""

import json
import shutil
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import xgboost
from tiny import Result, Tiny

import flights

FIXED = {
    "objective": "binary:logistic", "tree_method": "hist",
    "min_child_weight": 20, "subsample": 0.8, "colsample_bytree": 0.6,
}  # fmt: skip
SMALL = ("as_of=2013-06-30", "train_days=10", "holdout_days=3", "n_estimators=20")


CHAIN = {"train": SMALL, "predict": ("day=2013-07-01",)}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Path:
    """A workspace with a run of train and one of predict."""
    folder = shutil.copytree(prepared, tmp_path_factory.mktemp("chain") / "workspace")
    run_chain(folder)
    return folder


@pytest.fixture
def trained(chain: Path, tmp_path: Path) -> Path:
    """A copy of that workspace, for a test to go on in."""
    return shutil.copytree(chain, tmp_path / "workspace")


def run_chain(workspace: Path, threads: int = 2) -> None:
    for notebook, parameters in CHAIN.items():
        done = run(workspace, notebook, *parameters, threads=threads)
        assert done.code == 0, done.stderr


def run(workspace: Path, notebook: str, *parameters: str, threads: int = 2) -> Result:
    given = [part for parameter in parameters for part in ("-p", parameter)]
    return Tiny(workspace).samebook("run", notebook, *given, OMP_NUM_THREADS=str(threads))


def results(workspace: Path, notebook: str) -> list[dict[str, str]]:
    """For each finished run of a notebook, oldest first: the sha256 of its outputs and metrics."""
    runs = [receipt.parent for receipt in sorted(workspace.glob(f"runs/*-{notebook}-*/receipt.json"))]
    return [hashes(folder, "outputs/**/*") | hashes(folder, "metrics.json") for folder in runs]


def hashes(folder: Path, pattern: str) -> dict[str, str]:
    found = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.mark.engine
def test_same_bytes(trained: Path) -> None:
    """Model, metrics, holdout and predictions have the same bytes again, with 1, 2 and 4 threads."""
    for threads in (1, 4):
        run_chain(trained, threads)
    scores = "outputs/predictions/day=2013-07-01/part-0.parquet"
    for notebook, expected in {"train": "outputs/model.ubj", "predict": scores}.items():
        first, *others = results(trained, notebook)
        assert {expected, "metrics.json"} <= set(first)
        assert others == [first, first]


def change(workspace: Path, notebook: str, before: str, after: str) -> None:
    """Replace a text of a notebook, which is there once."""
    path = workspace / "notebooks" / f"{notebook}.ipynb"
    assert path.read_text().count(before) == 1
    path.write_text(path.read_text().replace(before, after))


@pytest.mark.long
def test_batches_same_bytes(trained: Path) -> None:
    """Model, metrics and predictions have the same bytes in whatever batches, held in memory or on disk."""
    sizes = [("days=28", "rows=65_536"), ("days=3", "rows=100"), ("days=1", "rows=7")]
    for before, after in pairwise(sizes):
        change(trained, "train", before[0], after[0])
        change(trained, "predict", before[1], after[1])
        run_chain(trained)
        assert run(trained, "train", *SMALL, "memory=external").code == 0
    for notebook, runs in {"train": 5, "predict": 3}.items():
        first, *others = results(trained, notebook)
        assert others == [first] * (runs - 1)


@pytest.mark.parametrize("extra", [(), ("max_depth=9", "learning_rate=0.3", "seed=1")])
def test_model_as_at_once(trained: Path, extra: tuple[str, ...]) -> None:
    """The model has the bytes of one that a DMatrix of all flights teaches, and learns from every day but the last."""
    if extra:
        done = run(trained, "train", *SMALL, *extra)
        assert done.code == 0, done.stderr
    made = sorted(trained.glob("runs/*-train-*/outputs"))[-1]
    read = [dataset(trained, name) for name in ("flights", "outcomes")]
    known = read[0].merge(read[1][["id", "late"]], on="id").dropna(subset="late")
    past = known[known["departure"] < "2013-06-28"]
    matrix = xgboost.DMatrix(flights.features(past), past["late"].astype(int), enable_categorical=True)
    given = {name: float(value) for name, _, value in (each.partition("=") for each in extra)}
    settings = {"max_depth": 6, "learning_rate": 0.05, "seed": 2013} | given | FIXED
    settings |= {name: int(settings[name]) for name in ("max_depth", "seed")}
    assert xgboost.train(settings, matrix, 20).save_raw("ubj") == (made / "model.ubj").read_bytes()
    assert pd.read_parquet(made / "holdout.parquet")["id"].tolist() == known["id"][len(past) :].tolist()


def dataset(workspace: Path, name: str) -> pd.DataFrame:
    """All days of a dataset up to the last one that training knows."""
    paths = sorted(workspace.glob(f"data/{name}/day=2013-06-*/part-0.parquet"))
    return pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)


def test_partition_alone(workspace: Path) -> None:
    """A day's partitions have the same bytes ingested in a range, alone, and alone again."""
    days = [("2013-06-27", "2013-06-30"), ("2013-06-29", "2013-06-29"), ("2013-06-29", "2013-06-29")]
    for start, end in days:
        done = run(workspace, "ingest", f"start={start}", f"end={end}")
        assert done.code == 0, done.stderr
    names = [f"outputs/{name}/day=2013-06-29/part-0.parquet" for name in ("flights", "outcomes")]
    ranged, alone, again = ([found[name] for name in names] for found in results(workspace, "ingest"))
    assert ranged == alone == again


@pytest.mark.engine
def test_predictions(chain: Path) -> None:
    """Every flight of the day is scored once, by the model whose sha256 stands beside the score."""
    scored = flights.PREDICTIONS.validate(pd.read_parquet(chain / "data/predictions/day=2013-07-01/part-0.parquet"))
    scheduled = pd.read_parquet(chain / "data/flights/day=2013-07-01/part-0.parquet")
    assert scored["id"].equals(scheduled["id"])
    assert set(scored["model"]) == {results(chain, "train")[0]["outputs/model.ubj"]}
    alone = scored[["variant", "bundle", "experiment", "run", "other_bundle"]].drop_duplicates()
    assert alone.to_numpy().tolist() == [["champion", "", "", "", ""]]


def test_gate_agrees_with_train(trained: Path) -> None:
    """The gate finds the metrics that the candidate's own run has, with an interval around the gain."""
    done = run(trained, "gate")
    assert done.code == 0, done.stderr
    train, gate = (metrics(trained, notebook) for notebook in ("train", "gate"))
    for name in ("auc", "log_loss", "brier", "calibration_error"):
        assert gate[f"candidate_{name}"] == train[name]
        assert gate[f"baseline_{name}"] == train[f"baseline_{name}"]
    assert gate["auc_gain_low"] < train["auc_gain"] < gate["auc_gain_high"]


def metrics(workspace: Path, notebook: str) -> dict[str, float]:
    (path,) = workspace.glob(f"runs/*-{notebook}-*/metrics.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE flights SET distance = -5 WHERE flight = 1545", "distance"),
        ("UPDATE weather SET visib = 99", "visib"),
        ("INSERT INTO flights SELECT * FROM flights WHERE month = 6 AND day = 30", "id"),
    ],
)
def test_rejected(workspace: Path, change: str, expected: str) -> None:
    """Flights that break their schema end in exit code 4 and the column's name, and nothing is published."""
    with duckdb.connect(str(workspace / "data/warehouse.duckdb")) as connection:
        connection.execute(change)
    done = run(workspace, "ingest", "start=2013-06-29", "end=2013-06-30")
    assert done.code == 4, done.stderr
    assert f"column {expected}:" in done.stderr
    assert not (workspace / "data/flights").exists()


def test_day_without_outcomes(workspace: Path) -> None:
    """A day without a single arrival yet has its flights ready to score, and no outcomes to learn from."""
    day = "make_date(year, month, day) >= '2013-06-30'"
    with duckdb.connect(str(workspace / "data/warehouse.duckdb")) as connection:
        connection.execute(f"UPDATE flights SET dep_time = NULL, dep_delay = NULL, arr_delay = NULL WHERE {day}")
    done = run(workspace, "ingest", "start=2013-06-29", "end=2013-06-30")
    assert done.code == 0, done.stderr
    assert (workspace / "data/flights/day=2013-06-30").is_dir()
    assert [path.name for path in (workspace / "data/outcomes").iterdir()] == ["day=2013-06-29"]
