"""monitor.ipynb: its functions, and two days from a promoted model to a verdict."""

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from testbook.client import TestbookNotebookClient
from tiny import SAMPLE, Tiny

from samebook.data import dataset, sample

type Start = Callable[[str, list[str]], TestbookNotebookClient]

ROOT = Path(__file__).parents[2]
FRAMES = """
flown = [(carrier, n, hour) for n in (1, 2) for carrier in ("UA", "AA") for hour in ("05", "17")]
ids = [f"2013-07-01-{carrier}-{n}-EWR-IAH-{hour}15" for carrier, n, hour in flown]
scored = pd.DataFrame({"day": "2013-07-01", "id": ids, "probability": 0.3, "model": ["ours"] * 6 + ["theirs"] * 2})
ended = pd.DataFrame({"id": ids, "late": pd.array([True, False, None, True] * 2, dtype="boolean")})
holdout = pd.DataFrame({"id": ids[:2], "baseline": [0.1, 0.4]})
overall = {name: {"value": 0.7, "low": 0.6, "high": 0.75} for name in ("auc", "log_loss", "calibration_error")}
"""


@pytest.fixture(scope="module")
def monitor(notebook: Start) -> TestbookNotebookClient:
    client = notebook("monitor", ["parameters", "imports", "baseline", "judge", "quality", "history"])
    client.inject(FRAMES)
    return client


def test_baseline_by_carrier_and_hour(monitor: TestbookNotebookClient) -> None:
    """The baseline says what it said in the holdout of the same carrier and hour, else what it said on average."""
    monitor.inject("told = baseline(holdout, group(pd.Series(ids[:4])))")
    assert monitor.value("told.tolist()") == [0.1, 0.4, 0.25, 0.25]


def test_judged_flights(monitor: TestbookNotebookClient) -> None:
    """Judged are the flights that this model has scored and that have arrived; of nothing there is nothing."""
    monitor.inject("rows = judged(scored, ended, 'ours')\nnone = judged(pd.DataFrame(), ended, 'ours')")
    assert monitor.value("rows['late'].tolist()") == [1, 0, 1, 1, 0]
    assert monitor.value("len(none)") == 0


@pytest.mark.parametrize(
    ("promised", "gain", "expected"),
    [
        ("{}", "{}", []),
        ("{'auc': 0.74, 'calibration_error': 0.6}", "{'auc': {'gain': 0.1, 'low': -0.1, 'high': 0.2}}", []),
        ("{'auc': 0.76, 'calibration_error': 0.6}", "{}", [("auc lost", "warn")]),
        ("{'auc': 0.81, 'calibration_error': 0.6}", "{}", [("auc lost", "alarm")]),
        ("{'auc': 0.7, 'calibration_error': 0.5}", "{}", [("calibration_error lost", "alarm")]),
        ("{}", "{'log_loss': {'gain': -0.1, 'low': -0.2, 'high': -0.01}}", [("log_loss behind baseline", "alarm")]),
    ],
)
def test_quality(promised: str, gain: str, expected: list[Any], monitor: TestbookNotebookClient) -> None:
    """The metrics are told; found is where even the interval's better end falls behind promise or baseline."""
    monitor.inject(f"told = quality(overall, {promised}, {gain}, '28 days', 7)")
    assert monitor.value("[each.name for each in told[:3]]") == ["auc", "log_loss", "calibration_error"]
    found = monitor.value("[(each.name, each.verdict) for each in told if each.verdict != 'ok']")
    assert [tuple(each) for each in found] == expected


def test_few_days_warn(monitor: TestbookNotebookClient) -> None:
    """What is known of six days is too little for an alarm."""
    worst = "{'auc': 0.99, 'calibration_error': 0.1}, {'auc': {'gain': -0.2, 'low': -0.3, 'high': -0.1}}"
    monitor.inject(f"told = quality(overall, {worst}, '28 days', 6)")
    assert monitor.value("sorted({each.verdict for each in told})") == ["ok", "warn"]


def test_history_counts(monitor: TestbookNotebookClient) -> None:
    """A day's warnings and alarms are counted; what is only told is not, and the first day has no past."""
    monitor.inject(
        "now = pd.DataFrame({'day': ['b'] * 3, 'kind': ['data', 'data', 'metric'], 'verdict': ['warn'] * 3})"
    )
    monitor.inject("past = pd.DataFrame({'day': ['a'], 'kind': ['score'], 'verdict': ['alarm']})")
    assert monitor.value("history(pd.DataFrame(), now).to_dict('index')") == {"b": {"warn": 2, "alarm": 0}}
    both = {"a": {"warn": 0, "alarm": 1}, "b": {"warn": 2, "alarm": 0}}
    assert monitor.value("history(past, now).to_dict('index')") == both


# --- From a promoted model to a verdict -------------------------------------------------------------------------

SMALL = {"as_of": "2013-06-30", "train_days": "10", "holdout_days": "3", "n_estimators": "20", "max_depth": "3"}


def call(workspace: Path, *arguments: str) -> str:
    """What `samebook ARGUMENTS` prints, that ends well."""
    done = Tiny(workspace).samebook(*arguments, OMP_NUM_THREADS="2")
    assert done.code == 0, done.stdout + done.stderr
    return done.stdout


def run(workspace: Path, notebook: str, **values: object) -> Path:
    given = (part for name, value in values.items() for part in ("-p", f"{name}={value}"))
    return workspace / call(workspace, "run", notebook, *given).split()[0]


def verdict(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "outputs" / "drift.json").read_text())


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, promoted, and two days that it has scored."""
    workspace = tmp_path_factory.mktemp("monitor") / "workspace"
    for folder in ("environments", "notebooks"):
        shutil.copytree(ROOT / folder, workspace / folder)
    (workspace / ".gitignore").write_text("/runs/\n/store/\n/data/\n/.samebook/\n__pycache__/\n")
    (workspace / "environments" / "dev.yml").write_text(
        f"warehouse: {{sample: {SAMPLE}}}\n"
        "datasets: {flights: {made_by: ingest}, outcomes: {made_by: ingest}, predictions: {}}\n"
        "drift: {model: delay, features: flights, scores: predictions, score: probability, labels: outcomes}\n"
    )
    sample.load_duckdb(workspace / "data" / "warehouse.duckdb", SAMPLE)
    for arguments in (["init", "--initial-branch", "main"], ["add", "--all"], ["commit", "--message", "work"]):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *identity, *arguments], cwd=workspace, capture_output=True, check=True)
    for key in ("user.name", "user.email"):
        subprocess.run(["git", "config", key, "a@b.c"], cwd=workspace, check=True)
    run(workspace, "train", **SMALL)
    call(workspace, "promote", "train", "delay")
    for day in ("2013-07-01", "2013-07-02"):
        run(workspace, "predict", day=day, model="delay")
    return workspace


@pytest.mark.long
@pytest.mark.host
def test_agrees_with_the_verb(watched: Path) -> None:
    """Notebook and verb find the same; the notebook adds quality, and its history has the day before."""
    run(watched, "monitor", day="2013-07-01", days=3)
    done = run(watched, "monitor", day="2013-07-02", days=3)
    found, told = verdict(done), json.loads(call(watched, "drift", "--day", "2013-07-02", "--days", "3", "--json"))
    assert [each for each in found["findings"] if each["kind"] not in ("quality", "metric")] == told["findings"]
    quality = {each["name"]: each["value"] for each in found["findings"] if each["kind"] == "metric"}
    assert 0.5 < quality["auc"] < 0.9
    kept = pd.read_parquet(watched / "data/monitoring/day=2013-07-02/part-0.parquet")
    assert len(kept) == len(found["findings"])
    assert "monitoring/day=2013-07-01" in (done / "receipt.json").read_text()


@pytest.mark.host
def test_same_verdict_again(watched: Path) -> None:
    """The same day gives the same bytes again, each output and the metrics."""
    first, second = (run(watched, "monitor", day="2013-07-02", days=2) for _ in range(2))
    names = [path.relative_to(first) for path in sorted((first / "outputs").rglob("*")) if path.is_file()]
    assert {"drift.json", "part-0.parquet"} == {path.name for path in names}
    for name in (*names, "metrics.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.host
def test_day_without_scores(watched: Path) -> None:
    """A day that nobody has scored, and a model of a run that nobody has promoted, have their verdict all the same."""
    found = verdict(run(watched, "monitor", day="2013-07-04", days=1, model="train"))
    wrong = {each["name"]: each["verdict"] for each in found["findings"] if each["kind"] == "data"}
    assert wrong["unscored"] == "alarm"
    assert not [each for each in found["findings"] if each["kind"] in ("score", "quality", "metric")]


DAY = date(2013, 7, 1)
PEAK = """
from pathlib import Path
samebook.output_path("peak").write_text(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.long
@pytest.mark.host
def test_memory_of_a_year(watched: Path, tmp_path: Path) -> None:
    """A year of days takes at most half as much memory again as a month of them: four weeks of rows are held."""
    workspace = shutil.copytree(watched, tmp_path / "workspace")
    for name in ("flights", "predictions", "outcomes"):
        newest = workspace / "data" / dataset.partition(name, DAY)
        rows = pq.ParquetFile(newest).read()
        for number in range(1, 366):
            day = DAY - timedelta(days=number)
            ids = pc.utf8_replace_slice(rows["id"], 0, 10, str(day))
            path = workspace / "data" / dataset.partition(name, day)
            path.parent.mkdir(exist_ok=True)
            pq.write_table(rows.set_column(rows.column_names.index("id"), "id", ids), path)
    path = workspace / "notebooks" / "monitor.ipynb"
    node = nbformat.read(path, as_version=4)
    node.cells.append(nbformat.v4.new_code_cell(PEAK, metadata={"tags": ["peak"]}))
    nbformat.write(node, path)
    done = {days: run(workspace, "monitor", day=DAY, days=days, draws=100) for days in (30, 366)}
    peaks = {days: int((folder / "outputs" / "peak").read_text()) // 1024 for days, folder in done.items()}
    flights = {days: json.loads((folder / "metrics.json").read_text())["flights"] for days, folder in done.items()}
    assert flights[366] == 366 / 30 * flights[30] > 200_000
    assert peaks[366] < 1.5 * peaks[30], peaks
