"""The verb: what a day is found to be against a promoted model's reference, and what it refuses."""

import datetime
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import promoting
import pytest
from tiny import Tiny, git

from samebook.core.errors import UsageError
from samebook.data import dataset
from samebook.monitoring.finding import Finding
from samebook.monitoring.reference import usable_reference
from samebook.monitoring.report import Report
from samebook.verbs.drift import DriftRequest, drift, table

# A model is promoted, which takes git: the image has none.
pytestmark = pytest.mark.host

DAY = datetime.date(2013, 7, 1)
# Any weather may be a day's; that there is none, or none that was ever seen, is found apart.
HIDDEN = {"weather": "warn", "weather missing or unseen": "alarm"}
SETTINGS = """
promotion: {gate: null}
datasets: {flights: {made_by: ingest}, predictions: {}, outcomes: {made_by: ingest}}
drift: {model: delay, features: flights, scores: predictions, score: probability, labels: outcomes}
"""


def world(day: str, rows: int = 500) -> pd.DataFrame:
    """Flights of a day: three features that are as on any other, and one that each day has for itself."""
    generator = np.random.default_rng(int(day.replace("-", "")))
    return pd.DataFrame(
        {
            "number": generator.normal(size=rows),
            "word": generator.choice(["a", "b", "c"], size=rows, p=[0.5, 0.4, 0.1]),
            "constant": 7.0,
            "weather": np.repeat(generator.normal(size=1), rows),
            "day": day,
        }
    )


WORLD = f"\nimport numpy as np\nimport pandas as pd\n\n{inspect.getsource(world)}"
LEARN = """
known = pd.concat([world(f"2013-0{month}-{day:02}") for month in (4, 5) for day in range(1, 31)])
score = pd.Series(np.random.default_rng(0).uniform(size=len(known)))
samebook.log_reference(known.drop(columns="day"), score, known["day"].reset_index(drop=True), known["day"]);
"""


BATCHES = """
import json
from datetime import date
import samebook
for days in (1, 2, 3):
    read = {
        name: samebook.read_batches(name, date(2013, 6, 29), date(2013, 7, 1), days=days, partial=True)
        for name in ("flights", "predictions", "outcomes")
    }
    dated = {name: (rows.assign(day="2013-07-01") for rows in batches) for name, batches in read.items()}
    report = samebook.drift_of("delay", dated, date(2013, 7, 1), 3)
    samebook.output_path(f"{days}.json").write_text(json.dumps(report.as_json()))
"""


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with a model that learnt from sixty days, promoted."""
    tiny = promoting.create(tmp_path_factory.mktemp("drift") / "workspace")
    (tiny.root / "environments" / "dev.yml").write_text(SETTINGS)
    tiny.notebook("train", parameters=promoting.LEVEL, work=promoting.TRAIN + WORLD + LEARN)
    git(tiny, "commit", "--quiet", "--all", "-m", "a reference")
    for arguments in (("run", "train"), ("promote", "train", "delay")):
        ended = tiny.samebook(*arguments)
        assert ended.code == 0, ended.stderr
    return tiny


@pytest.fixture
def watched(promoted: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tiny]:
    """A copy of it with a quiet day, and its scores."""
    tiny = promoting.copy(promoted, tmp_path / "workspace")
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    write(tiny, "flights", DAY, quiet())
    write(tiny, "predictions", DAY, scores(tiny))
    yield tiny
    assert not tiny.unfinished


def quiet(day: datetime.date = DAY) -> pd.DataFrame:
    return world(str(day)).drop(columns="day")


def scores(tiny: Tiny, day: datetime.date = DAY) -> pd.DataFrame:
    digest = promoting.promoted_bundle(tiny)["artifacts"]["outputs/model.txt"]["sha256"]
    probability = np.random.default_rng(day.toordinal()).uniform(size=500)
    return pd.DataFrame({"probability": probability, "model": digest})


def write(tiny: Tiny, name: str, day: datetime.date, frame: pd.DataFrame) -> None:
    dataset.write(frame, tiny.root / "data" / dataset.partition(name, day))


def beyond(report: Report) -> dict[str, str]:
    """What isn't ok, and how bad it is."""
    return {finding.name: finding.verdict for finding in report.findings if finding.verdict != "ok"}


def test_quiet_day(watched: Tiny) -> None:
    """A day like those that the model has learnt from is ok, in whatever weather; the verb says so and ends with 0."""
    report = drift(DriftRequest("delay", DAY))
    assert beyond(report) == {}
    names = [finding.name for finding in report.findings if finding.kind == "feature"]
    assert names == ["constant", "number", "weather", "word"]
    ended = watched.samebook("drift", "--day", str(DAY), "--json")
    assert ended.code == 0, ended.stderr
    assert json.loads(ended.stdout) == report.as_json()
    assert report.verdict == "ok"


@pytest.mark.parametrize(
    ("change", "verdicts"),
    [
        (lambda frame: frame.assign(word=frame["word"].replace("a", "z")), {"word": "alarm"}),
        (lambda frame: frame.assign(number=None), {"number": "alarm"}),
        (lambda frame: frame.assign(number=frame["number"] / 60), {"number": "alarm"}),
        (lambda frame: frame.assign(constant=6.0), {"constant": "alarm"}),
        (lambda frame: frame.assign(word=None), {"word": "alarm"}),
        (lambda frame: frame.assign(weather=np.nan), HIDDEN),
        (lambda frame: frame.assign(weather=30.0), HIDDEN),
        (
            lambda frame: frame.head(0),
            {"rows": "alarm", "missing days": "alarm", "age of flights": "warn"},
        ),
        (lambda frame: frame.head(100), {"rows": "alarm"}),
        (lambda frame: pd.concat([frame, frame]), {"rows": "alarm", "unscored": "warn"}),
    ],
)
def test_changed_day(change, verdicts: dict[str, str], watched: Tiny) -> None:
    """A renamed category, an empty column, one in hours, another constant, too few rows or none: it alone is found."""
    write(watched, "flights", DAY, change(quiet()))
    assert beyond(drift(DriftRequest("delay", DAY))) == verdicts


def test_changed_score(watched: Tiny) -> None:
    """Scores that are all high are an alarm; those of another model are not this one's, and said to be so."""
    high = scores(watched).assign(probability=0.99)
    write(watched, "predictions", DAY, high)
    assert beyond(drift(DriftRequest("delay", DAY))) == {"probability": "alarm"}
    write(watched, "predictions", DAY, high.assign(model="0" * 64))
    report = drift(DriftRequest("delay", DAY))
    assert not [finding for finding in report.findings if finding.kind == "score"]
    assert "500 of 500 rows have a score, 0 by this model" in table(report)


def test_window(watched: Tiny) -> None:
    """Over days, what is missing, unscored or old is told; a feature that has moved slowly warns and never alarms."""
    days = [DAY - datetime.timedelta(days=n) for n in range(1, 10) if n != 5]
    for day in days:
        write(watched, "flights", day, quiet(day).assign(number=lambda frame: frame["number"] + 1))
    (watched.root / "data" / dataset.partition("predictions", DAY)).unlink()
    report = drift(DriftRequest("delay", DAY, days=10))
    verdicts = {"number": "warn", "missing days": "warn", "unscored": "alarm", "age of predictions": "alarm"}
    assert beyond(report) == verdicts | {"age of outcomes": "alarm"}
    assert [finding.span for finding in report.findings if finding.name == "number"] == ["day", "10 days"]


@pytest.mark.parametrize(("fail_on", "code"), [("none", 0), ("warn", 6), ("alarm", 6)])
def test_exit_code(fail_on: str, code: int, watched: Tiny) -> None:
    """The settings say whether an alarm ends with exit code 6; the table stands there anyhow."""
    write(watched, "flights", DAY, quiet().assign(number=9.0))
    ended = watched.samebook("drift", "--day", str(DAY), SAMEBOOK_DRIFT__FAIL_ON=fail_on)
    assert ended.code == code, ended.stderr
    assert ended.stdout.splitlines()[1].startswith("!! number, day")
    said = "delay 2013-07-01: alarm: number (unseen 0% to 100%), since today; whether it hurts is not known; look at "
    assert ended.stdout.splitlines()[-1].startswith(said)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="word"), "flights 2013-07-01 has no column word"),
        (lambda frame: frame.assign(number="far"), "feature number: expected numbers"),
    ],
)
def test_unusable_day(change, message: str, watched: Tiny) -> None:
    """A feature that is not in the partition, or is text in place of numbers, ends with exit code 2 and its name."""
    write(watched, "flights", DAY, change(quiet()))
    ended = watched.samebook("drift", "--day", str(DAY))
    assert message in promoting.stderr_of(ended, 2)


@pytest.mark.usefixtures("watched")
def test_nothing_to_look_at() -> None:
    """Without a promoted model, or a partition, the error names what was looked for and what makes it."""
    with pytest.raises(UsageError, match="no model 'other' is promoted here"):
        drift(DriftRequest("other", DAY))
    with pytest.raises(UsageError, match="no partition of flights from 2014-01-01 to 2014-01-02") as refused:
        drift(DriftRequest("delay", datetime.date(2014, 1, 2), days=2))
    assert refused.value.mend == 'make run NOTEBOOK=ingest PARAMS="start=2014-01-01 end=2014-01-02"'


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "no model is named; expected --model, or drift.model in the settings"),
        ("drift: {model: delay}", "drift.features is not set; expected the name of a dataset"),
        ("datasets: {rows: {}}\ndrift: {model: delay, features: rows}", "drift.scores is not set"),
    ],
)
def test_settings_name_what_is_watched(settings: str, message: str, watched: Tiny) -> None:
    """No model and no dataset is known unless the settings name it: exit code 2, and what to set."""
    (watched.root / "environments" / "dev.yml").write_text(settings)
    assert message in promoting.stderr_of(watched.samebook("drift", "--day", str(DAY)), 2)


def test_datasets_by_any_name(watched: Tiny) -> None:
    """A quiet day of datasets with other names is as quiet; without labels nothing is found of their age."""
    names = "datasets: {rows: {}, said: {}}\ndrift: {features: rows, scores: said, score: p}"
    (watched.root / "environments" / "dev.yml").write_text(names)
    write(watched, "rows", DAY, quiet())
    write(watched, "said", DAY, scores(watched).rename(columns={"probability": "p"}))
    report = drift(DriftRequest("delay", DAY))
    assert beyond(report) == {}
    assert [finding.name for finding in report.findings if finding.kind == "score"] == ["p"]
    assert [finding.name for finding in report.findings if finding.name.startswith("age")] == [
        "age of rows",
        "age of said",
    ]


def test_frames_by_the_settings_names(watched: Tiny) -> None:
    """A notebook whose frames have other names than the datasets in the settings is told which is not there."""
    frames = "dict.fromkeys(['flight', 'predictions', 'outcomes'])"
    call = f"samebook.drift_of('delay', {frames}, datetime.date(2013, 7, 1), 1)"
    watched.notebook("look", work=f"import datetime\nimport samebook\n{call}")
    assert "no frame 'flights'; did you mean flight?" in promoting.stderr_of(watched.samebook("run", "look"), 2)


def test_batches_are_measured_as_frames(watched: Tiny) -> None:
    """The batches of a notebook, where days are missing too, give the report of the verb."""
    names = "datasets: {flights: {}, predictions: {}, outcomes: {}}\n"
    drift_settings = "drift: {features: flights, scores: predictions, score: probability, labels: outcomes}"
    (watched.root / "environments" / "dev.yml").write_text(names + drift_settings)
    watched.notebook("look", work=BATCHES)
    ended = watched.samebook("run", "look")
    assert ended.code == 0, ended.stderr
    report = drift(DriftRequest("delay", DAY, 3)).as_json()
    for days in (1, 2, 3):
        assert json.loads((watched.last / "outputs" / f"{days}.json").read_text()) == report


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (None, "model delay has no reference"),
        ({"rows": 3}, "found version 1, expected 2"),
        ({"rows": 3, "version": 3}, "found version 3, expected 2"),
        ({"rows": 0, "version": 2}, "found no rows"),
    ],
)
def test_unusable_reference(reference: dict[str, int] | None, message: str) -> None:
    """A reference that isn't there, is empty, or is of another version is refused."""
    with pytest.raises(UsageError, match=message):
        usable_reference(reference, "delay")


def test_verdict_is_the_worst() -> None:
    """A report is as bad as the worst of its findings; one without limits is only told."""
    fine, bad = Finding("metric", "auc", "day", 0.8, None, None), Finding("data", "rows", "day", 0.5, 0.3, 0.7)
    report = Report("delay", "2013-07-01", 1, (fine,))
    assert report.verdict == "ok"
    assert report.plus(bad).verdict == "warn"
    assert list(report.plus(bad).frame()["verdict"]) == ["ok", "warn"]


PEAK = """
import datetime, resource, sys
from samebook.verbs.drift import DriftRequest, drift
report = drift(DriftRequest("delay", datetime.date.fromisoformat(sys.argv[1]), int(sys.argv[2])))
rows = next(finding.detail for finding in report.findings if finding.span != "day" and finding.name == "number")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, rows)
"""


def test_memory_does_not_grow_with_the_window(watched: Tiny) -> None:
    """Three years of days take about the memory of one month: of their rows one day is held at a time."""
    first, length = world(str(DAY), 2000).drop(columns="day"), 3 * 365
    write(watched, "flights", DAY, first)
    for name in ("flights", "predictions"):
        newest = watched.root / "data" / dataset.partition(name, DAY)
        for number in range(1, length):
            path = watched.root / "data" / dataset.partition(name, DAY - datetime.timedelta(days=number))
            path.parent.mkdir()
            path.hardlink_to(newest)
    peaks = {}
    for days in (30, length):
        command = [sys.executable, "-c", PEAK, str(DAY), str(days)]
        done = subprocess.run(command, env=watched.environ(), capture_output=True, text=True, check=True)
        peak, _, detail = done.stdout.partition(" ")
        peaks[days] = int(peak)
        assert detail.startswith(f"PSI of {2000 * days} rows")
    assert peaks[length] < peaks[30] + 50, peaks


LOOK = """
import json
from datetime import date, timedelta
import samebook
names, day = ("flights", "predictions", "outcomes"), date(2013, 7, 1)
read = {name: samebook.read_batches(name, day, day, partial=True) for name in names}
frames = {name: (part.assign(day="2013-07-01") for part in batches) for name, batches in read.items()}
past = samebook.read_dataset("monitoring", day - timedelta(days=7), day - timedelta(days=1), partial=True)
report = samebook.news_of(samebook.drift_of("delay", frames, day, 1), past)
samebook.output_path("drift.json").write_text(json.dumps(report.as_json()))
samebook.write_partition("monitoring", day, report.frame())
samebook.log_metric("told", ["ok", "warn", "alarm"].index(report.told))
"""


@pytest.fixture
def looked(watched: Tiny) -> Tiny:
    """A run of monitoring, from a commit, on a day on which a value of a word is another one."""
    write(watched, "flights", DAY, quiet().assign(word=lambda frame: frame["word"].replace("a", "z")))
    names = "datasets: {flights: {}, predictions: {}, outcomes: {}}\n"
    names += "drift: {model: delay, features: flights, scores: predictions, score: probability, labels: outcomes}\n"
    (watched.root / "environments" / "dev.yml").write_text(names)
    watched.notebook("look", work=LOOK)
    git(watched, "add", "--all")
    git(watched, "commit", "--quiet", "-m", "looks at a day")
    assert watched.samebook("run", "look").code == 0
    return watched


def test_acknowledged_by_a_commit(looked: Tiny) -> None:
    """Who, when, what and why are one line in one commit; the next run reads it as an input, and says nothing."""
    ended = looked.samebook("ack", "look", "word", "--why", "the airline has a new code")
    assert ended.code == 0, ended.stderr
    (line,) = (looked.root / "models" / "delay.acknowledged.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["name"], record["why"], record["run"]) == ("word", "the airline has a new code", looked.last.name)
    assert "@" in record["who"]
    assert record["said"]["counts"]
    assert (
        git(looked, "show", "--stat", "--format=%s").splitlines()[0]
        == "Acknowledge word of 2013-07-01, monitored for delay"
    )
    assert looked.samebook("run", "look").code == 0
    report = json.loads((looked.last / "outputs" / "drift.json").read_text())
    assert (report["told"], report["verdict"], report["line"]) == (
        "ok",
        "ok",
        "delay 2013-07-01: ok; acknowledged: word",
    )
    assert '"acknowledged delay"' in (looked.last / "receipt.json").read_text()
    assert looked.samebook("drift", "--day", str(DAY), SAMEBOOK_DRIFT__FAIL_ON="alarm").code == 0
    write(looked, "flights", DAY, quiet().assign(word=None))
    ended = looked.samebook("drift", "--day", str(DAY), SAMEBOOK_DRIFT__FAIL_ON="alarm")
    assert ended.code == 6
    assert "alarm: word (missing 0% to 100%)" in ended.stdout


def test_acknowledged_twice_and_by_hand(looked: Tiny) -> None:
    """A second acknowledgement is one more line; one of a file that was edited and not committed is refused."""
    for why in ("once", "twice"):
        assert looked.samebook("ack", "look", "word", "--why", why).code == 0
    path = looked.root / "models" / "delay.acknowledged.jsonl"
    assert [json.loads(line)["why"] for line in path.read_text().splitlines()] == ["once", "twice"]
    ended = looked.samebook("ack", "look", "word", "--why", "it was a fault", "--withdraw")
    assert "word is acknowledged no more" in ended.stdout
    assert "alarm: word" in looked.samebook("drift", "--day", str(DAY)).stdout
    again = looked.samebook("ack", "look", "word", "--why", "it was a fault", "--withdraw")
    assert "nobody has acknowledged word" in promoting.stderr_of(again, 2)
    path.write_text(path.read_text() + "{}\n")
    assert "has changes that are not committed" in promoting.stderr_of(
        looked.samebook("ack", "look", "word", "--why", "x"), 2
    )
    assert "line 4: expected an acknowledgement" in promoting.stderr_of(looked.samebook("drift", "--day", str(DAY)), 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("look", "wrd", "--why", "x"), "warns of no 'wrd'; did you mean word?"),
        (("look", "number", "--why", "x"), "warns of no 'number'"),
        (("look", "word", "--why", " "), "no reason is given"),
        (("look", "word", "--why", "x", "--window"), "warns of no 'word'"),
        (("train", "word", "--why", "x"), "has no drift.json"),
        (("nothing", "word", "--why", "x"), "nothing"),
    ],
)
def test_what_nobody_found_is_not_acknowledged(arguments: tuple[str, ...], message: str, looked: Tiny) -> None:
    """A finding that the report has not, no reason, and a run that monitors nothing: no line is written."""
    assert message in promoting.stderr_of(looked.samebook("ack", *arguments), 2)
    assert not (looked.root / "models" / "delay.acknowledged.jsonl").exists()


def test_changed_report_is_not_acknowledged(looked: Tiny) -> None:
    """A report that is not what its receipt says is refused: nobody acknowledges more than was found."""
    path = looked.last / "outputs" / "drift.json"
    path.chmod(0o644)
    path.write_text(path.read_text().replace('"word"', '"number"'))
    assert "is not what its receipt says" in promoting.stderr_of(
        looked.samebook("ack", "look", "number", "--why", "x"), 2
    )
