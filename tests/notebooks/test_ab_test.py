"""ab_test.ipynb: its functions, and an experiment from two promoted models to its verdict."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from test_warm_chain import check_same
from testbook.client import TestbookNotebookClient
from tiny import Tiny

import flights
import samebook

type Start = Callable[[str, list[str]], TestbookNotebookClient]

TAGS = ["parameters", "imports", "belonging", "by-variant", "astray", "doubts", "decide", "by-day"]
FRAME = """
frame = pd.DataFrame({
    "id": [f"2013-07-0{day}-UA-{n}-EWR-IAH-0515" for day in (1, 2) for n in range(200)],
    "late": [0, 1] * 200, "experiment": "deeper",
})
frame["day"], frame["entity"] = frame["id"].str[:10], frame["id"].str[11:]
frame["variant"] = samebook.assign(frame["entity"], salt="s", share=0.5)
frame["probability"], frame["other_probability"] = 0.25, 0.75
ours = frame["variant"] == "challenger"
frame["bundle"], frame["other_bundle"] = ours.map({True: "b", False: "a"}), ours.map({True: "a", False: "b"})
"""


@pytest.fixture(scope="module")
def ab_test(notebook: Start) -> TestbookNotebookClient:
    client = notebook("ab_test", TAGS)
    client.inject(FRAME)
    return client


def raised(client: TestbookNotebookClient, call: str) -> str:
    """What a call in the notebook refuses with."""
    client.inject(
        f"try:\n    said = str({call})\nexcept samebook.UsageError as error:\n    said = f'refused: {{error}}'"
    )
    return client.value("said")


def test_variants_apart(ab_test: TestbookNotebookClient) -> None:
    """What both variants say comes apart, whichever of them decided."""
    ab_test.inject("scores = by_variant(frame, 'probability')")
    assert ab_test.value("scores[ours].head(1).to_dict('list')") == {"champion": [0.75], "challenger": [0.25]}
    assert ab_test.value("scores[~ours].head(1).to_dict('list')") == {"champion": [0.25], "challenger": [0.75]}


def test_changed_bundle_refused(ab_test: TestbookNotebookClient) -> None:
    """A variant whose bundle changed on the way is refused, with the day; one that was never scored has none."""
    assert ab_test.value("one_bundle(frame)") == {"champion": "a", "challenger": "b"}
    assert ab_test.value("one_bundle(frame[~ours].assign(other_bundle=''))") == {"champion": "a", "challenger": ""}
    ab_test.inject("changed = frame.assign(bundle=frame['bundle'].where((frame['day'] < '2013-07-02') | ours, 'c'))")
    said = raised(ab_test, "one_bundle(changed)")
    assert said.startswith("refused: the champion changed: a from 2013-07-01, c from 2013-07-02")


def test_other_experiment_refused(ab_test: TestbookNotebookClient) -> None:
    """Predictions of another experiment, or of none, are refused with their days."""
    assert raised(ab_test, "belonging(frame, 'deeper')") == "None"
    ab_test.inject("mixed = frame.assign(experiment=['deeper'] * 200 + ['other'] * 100 + [''] * 100)")
    said = raised(ab_test, "belonging(mixed, 'deeper')")
    assert said.startswith("refused: predictions of another experiment than deeper: 2013-07-02 of none; ")
    assert "2013-07-02 of other" in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("frame", []),
        ("frame[~ours | (frame.index < 80)]", ["expected a share of 0.5"]),
        ("frame.assign(variant='champion')", ["expected a share of 0.5", "not where salt and share put them"]),
        (
            "frame.assign(variant=frame['variant'].where(frame.index > 9, 'challenger'))",
            ["are in both groups", "not where salt and share put them"],
        ),
    ],
)
def test_astray_found(change: str, expected: list[str], ab_test: TestbookNotebookClient) -> None:
    """Lost rows, an assignment that isn't the settings', an entity in both groups: each is named."""
    ab_test.inject(f"chance, wrong = astray({change}, 's', 0.5)")
    wrong = ab_test.value("wrong")
    assert len(wrong) == len(expected)
    assert all(part in reason for part, reason in zip(expected, wrong, strict=True))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("", []),
        ("gone.loc[gone['day'] == '2013-07-02', 'late'] = None", ["no outcomes yet of 2013-07-02", "50.0%", "1 days"]),
        ("gone.loc[gone.index % 5 == 0, 'late'] = None", ["20.0% of the flights have no outcome, more than 10%"]),
        ("gone.loc[gone.index % 20 == 0, 'late'] = None", []),
        ("last = date(2013, 7, 1)", ["the experiment runs to 2013-07-02"]),
    ],
)
def test_doubts_named(change: str, expected: list[str], ab_test: TestbookNotebookClient) -> None:
    """Days without outcomes, many flights without, too few days, an early look: each stands against a decision."""
    ab_test.inject(f"gone, last = frame.astype({{'late': 'Int64'}}), date(2013, 7, 2)\n{change}")
    found = ab_test.value("doubts(gone, last, date(2013, 7, 2), 2, 0.1)")
    assert len(found) == len(expected)
    assert all(part in reason for part, reason in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ("0.011, 0.02, 0.01, [], []", "promote"),
        ("0.01, 0.02, 0.01, [], []", "inconclusive"),
        ("-0.01, 0.02, 0.0, [], []", "inconclusive"),
        ("-0.02, 0.01, 0.01, [], []", "keep"),
        ("0.0, 0.0, 0.0, [], []", "keep"),
        ("0.011, 0.02, 0.01, [], ['early']", "inconclusive"),
        ("-0.02, -0.01, 0.0, [], ['early']", "inconclusive"),
        ("None, None, 0.0, ['lost'], ['early']", "invalid"),
        ("None, None, 0.0, [], []", "inconclusive"),
        ("float('nan'), float('nan'), 0.0, [], []", "inconclusive"),
    ],
)
def test_verdict(interval: str, verdict: str, ab_test: TestbookNotebookClient) -> None:
    """Promoted is what is surely better than the minimum effect, kept what surely isn't, nothing in between."""
    assert ab_test.value(f"decide({interval})") == verdict


# --- From two promoted models to a verdict ----------------------------------------------------------------------

SETTINGS = """
datasets: {{flights: {{made_by: ingest}}, outcomes: {{made_by: ingest}}}}
ab_test: {{experiment: deeper, salt: s, challenger: {challenger}, share: 0.5, start: 2013-07-01, end: {end}{more}}}
"""
SMALL = {"as_of": "2013-06-30", "train_days": "10", "holdout_days": "3", "n_estimators": "20"}


def call(workspace: Path, *arguments: str, code: int = 0) -> str:
    """What `samebook ARGUMENTS` says, that ends so."""
    done = Tiny(workspace).samebook(*arguments, OMP_NUM_THREADS="2")
    assert done.code == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def run(workspace: Path, notebook: str, code: int = 0, **values: object) -> str:
    return call(
        workspace,
        "run",
        notebook,
        *(part for item in values.items() for part in ("-p", "{}={}".format(*item))),
        code=code,
    )


def git(workspace: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run(["git", *identity, *arguments], cwd=workspace, capture_output=True, check=True)


def configure(
    workspace: Path, challenger: str = "delay@ab-test-deeper", end: str = "2013-07-03", more: str = ""
) -> None:
    path = workspace / "environments" / "dev.yml"
    path.write_text(SETTINGS.format(challenger=challenger, end=end, more=more))


def predict(workspace: Path, *days: int, **values: object) -> None:
    for day in days:
        run(workspace, "predict", day=f"2013-07-0{day}", **values)


def predictions(workspace: Path, day: int) -> pd.DataFrame:
    return pd.read_parquet(workspace / f"data/predictions/day=2013-07-0{day}/part-0.parquet")


def newest(workspace: Path, notebook: str) -> Path:
    receipts = workspace.glob(f"runs/*-{notebook}-*/receipt.json")
    return max(receipts, key=lambda path: path.stat().st_mtime_ns).parent


def verdict(workspace: Path) -> dict[str, Any]:
    return json.loads((newest(workspace, "ab_test") / "outputs" / "verdict.json").read_text())


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory, sample_warehouse: Path) -> Path:
    """A champion on main, a deeper challenger on its branch, and three days that both have scored."""
    workspace = tmp_path_factory.mktemp("experiment") / "workspace"
    root = Path(__file__).parents[2]
    for folder in ("environments", "notebooks"):
        shutil.copytree(root / folder, workspace / folder)
    (workspace / "data").mkdir()
    shutil.copyfile(sample_warehouse, workspace / "data" / "warehouse.duckdb")
    (workspace / ".gitignore").write_text("/runs/\n/store/\n/data/\n/.samebook/\n__pycache__/\n")
    (workspace / "environments" / "dev.yml").write_text(SETTINGS.partition("ab_test")[0].format())
    git(workspace, "init", "--quiet", "--initial-branch", "main")
    for key, value in {"user.name": "a", "user.email": "a@b.c"}.items():
        git(workspace, "config", key, value)
    git(workspace, "add", "--all")
    git(workspace, "commit", "--quiet", "--message", "work")
    for branch, depth in {"main": 2, "ab-test-deeper": 5}.items():
        git(workspace, "switch", "--quiet", *(["--create", branch] if branch != "main" else [branch]))
        run(workspace, "train", **SMALL, max_depth=depth)
        call(workspace, "promote", "train", "delay")
    git(workspace, "switch", "--quiet", "main")
    configure(workspace)
    predict(workspace, 1, 2, 3)
    return workspace


@pytest.fixture
def workspace(experiment: Path, tmp_path: Path) -> Path:
    """The experiment once more, to change."""
    return Path(shutil.copytree(experiment, tmp_path / "workspace", symlinks=True))


@pytest.mark.long
@pytest.mark.host
def test_rows_name_what_decided(experiment: Path) -> None:
    """Each row names variant, bundle, experiment and the run that trained the model; the other's score stands by."""
    rows = flights.PREDICTIONS.validate(predictions(experiment, 1))
    git_show = ("git", "show", "ab-test-deeper:models/delay.json")
    challenger = json.loads(subprocess.run(git_show, cwd=experiment, capture_output=True, check=True).stdout)
    champion = json.loads((experiment / "models" / "delay.json").read_text())
    for name, bundle, other in (("champion", champion, challenger), ("challenger", challenger, champion)):
        found = rows[rows["variant"] == name][
            ["model", "bundle", "run", "experiment", "other_bundle"]
        ].drop_duplicates()
        model = bundle["artifacts"]["outputs/model.ubj"]["sha256"]
        assert found.to_numpy().tolist() == [
            [model, bundle["digest"], bundle["receipt"]["run"], "deeper", other["digest"]]
        ]
    assert rows["variant"].tolist() == samebook.assign(rows["id"], salt="s", share=0.5)
    assert (rows["probability"] != rows["other_probability"]).any()


@pytest.mark.host
def test_verdict_from_three_days(experiment: Path) -> None:
    """Three days are too few to decide; the interval is there all the same, and the same bytes come again."""
    run(experiment, "ab_test")
    first = (newest(experiment, "ab_test") / "outputs" / "verdict.json").read_bytes()
    found = json.loads(first)
    assert found["verdict"] == "inconclusive"
    assert found["reasons"] == ["outcomes of 3 days, fewer than 7"]
    assert found["low"] <= found["gain"] <= found["high"]
    assert found["compared"] == "the same flights, by day"
    run(experiment, "ab_test")
    assert (newest(experiment, "ab_test") / "outputs" / "verdict.json").read_bytes() == first


@pytest.mark.long
@pytest.mark.host
def test_same_warm_or_cold(experiment: Path) -> None:
    """The verdict's run has the same subjects in a warm kernel as in a cold one."""
    check_same(experiment, "ab_test")


@pytest.mark.host
def test_groups_compared(experiment: Path) -> None:
    """Asked for groups, each is judged by the scores that decided for it."""
    run(experiment, "ab_test", paired="false", minimum_days=2)
    found = verdict(experiment)
    assert found["compared"] == "two groups, by id"
    assert found["reasons"] == []
    assert found["verdict"] in ("promote", "keep", "inconclusive")


@pytest.mark.host
def test_reproduced_under_other_settings(workspace: Path) -> None:
    """A prediction comes again to the same bytes after the experiment was changed, its challenger gone."""
    before = newest(workspace, "predict")
    configure(workspace, challenger="delay@gone", more=", shadow: true")
    call(workspace, "run", "--receipt", str(before / "receipt.json"))
    part = "outputs/predictions/day=2013-07-03/part-0.parquet"
    assert newest(workspace, "predict") != before
    assert (newest(workspace, "predict") / part).read_bytes() == (before / part).read_bytes()


@pytest.mark.host
def test_same_model_twice(workspace: Path) -> None:
    """A/A: the champion against itself gains exactly nothing on the same flights, and is kept."""
    configure(workspace, challenger="delay", end="2013-07-02")
    predict(workspace, 1, 2)
    run(workspace, "ab_test", minimum_days=2)
    assert "A/A: both variants are the same bundle" in (newest(workspace, "ab_test") / "notebook.html").read_text()
    found = verdict(workspace)
    assert (found["verdict"], found["gain"], found["low"], found["high"]) == ("keep", 0.0, 0.0, 0.0)


@pytest.mark.host
def test_shadow_decides_nothing(workspace: Path) -> None:
    """In shadow the challenger scores every flight and decides for none; the two are compared all the same."""
    configure(workspace, end="2013-07-01", more=", shadow: true")
    predict(workspace, 1)
    rows = predictions(workspace, 1)
    assert set(rows["variant"]) == {"champion"}
    assert rows["other_probability"].notna().all()
    run(workspace, "ab_test")
    assert verdict(workspace)["sample_ratio_p"] == 1.0
    assert verdict(workspace)["gain"] is not None


@pytest.mark.host
def test_champion_alone_outside(workspace: Path) -> None:
    """Before and after its days the experiment's champion scores alone; a model that is named scores alone too."""
    configure(workspace, end="2013-07-01")
    predict(workspace, 2)
    rows = predictions(workspace, 2)
    assert (set(rows["variant"]), set(rows["experiment"])) == ({"champion"}, {""})
    assert set(rows["bundle"]) == {json.loads((workspace / "models" / "delay.json").read_text())["digest"]}
    assert rows["other_probability"].isna().all()
    predict(workspace, 3, model="train")
    assert set(predictions(workspace, 3)["bundle"]) == {""}
    said = run(workspace, "predict", code=2, day="2013-07-01", model="train")
    assert (
        "model=train: on 2013-07-01 experiment deeper compares delay@ab-test-deeper with delay; leave model out" in said
    )


@pytest.mark.host
def test_wrong_assignment_is_invalid(workspace: Path) -> None:
    """Under another share than was asked for the verdict is invalid, and no result is looked at."""
    text = (workspace / "environments" / "dev.yml").read_text()
    (workspace / "environments" / "dev.yml").write_text(text.replace("share: 0.5", "share: 0.2"))
    run(workspace, "ab_test", minimum_days=2)
    found = verdict(workspace)
    assert (found["verdict"], found["gain"]) == ("invalid", None)
    assert "expected a share of 0.2" in found["reasons"][0]


@pytest.mark.host
def test_outcomes_not_known_yet(workspace: Path) -> None:
    """A day without outcomes makes it inconclusive, and again so when its outcomes have come in since."""
    shutil.move(workspace / "data/outcomes/day=2013-07-02", workspace / "kept")
    with duckdb.connect(str(workspace / "data/warehouse.duckdb")) as connection:
        connection.execute("UPDATE flights SET arr_delay = NULL WHERE month = 7 AND day = 2")
    run(workspace, "ab_test", minimum_days=2, max_missing=0.5)
    first = newest(workspace, "ab_test")
    assert verdict(workspace)["reasons"] == ["no outcomes yet of 2013-07-02"]
    assert verdict(workspace)["verdict"] == "inconclusive"
    shutil.move(workspace / "kept", workspace / "data/outcomes/day=2013-07-02")
    call(workspace, "run", "--receipt", str(first / "receipt.json"))
    assert verdict(workspace)["reasons"] == ["no outcomes yet of 2013-07-02"]


@pytest.mark.host
@pytest.mark.parametrize(
    ("change", "values", "expected"),
    [
        ({"more": ", entity: plane"}, {}, "ab_test.entity: flights has no column 'plane'; did you mean plane_"),
        ({"end": "2013-07-04"}, {}, "dataset predictions: no partition for 2013-07-04"),
        ({"end": "2013-07-02"}, {"end": "2013-07-03"}, "expected days from 2013-07-01 to 2013-07-02"),
        ({}, {"start": "2013-07-03", "end": "2013-07-02"}, "found 2013-07-03 to 2013-07-02; expected days from"),
    ],
)
def test_refused(change: dict[str, str], values: dict[str, str], expected: str, workspace: Path) -> None:
    """An entity that isn't there, days without predictions, or outside of the experiment, are refused."""
    configure(workspace, **change)
    assert expected in run(workspace, "ab_test", code=2, **values)


@pytest.mark.host
def test_entity_missing_at_scoring(workspace: Path) -> None:
    """predict refuses an entity that isn't there, and publishes nothing; a column with gaps is fine."""
    configure(workspace, end="2013-07-04", more=", entity: plane")
    assert "flights has no column 'plane'" in run(workspace, "predict", code=2, day="2013-07-04")
    assert not (workspace / "data/predictions/day=2013-07-04").exists()
    configure(workspace, end="2013-07-04", more=", entity: tailnum")
    predict(workspace, 4)
    scheduled = pd.read_parquet(workspace / "data/flights/day=2013-07-04/part-0.parquet")
    variants = predictions(workspace, 4)["variant"].groupby(scheduled["tailnum"]).nunique()
    assert (variants == 1).all()


@pytest.mark.host
def test_mixed_experiments_refused(workspace: Path) -> None:
    """Days of another experiment are refused and named; without any experiment it says where to name one."""
    text = (workspace / "environments" / "dev.yml").read_text()
    (workspace / "environments" / "dev.yml").write_text(text.replace("experiment: deeper", "experiment: other"))
    predict(workspace, 2)
    (workspace / "environments" / "dev.yml").write_text(text)
    said = run(workspace, "ab_test", code=2)
    assert "predictions of another experiment than deeper: 2013-07-02 of other; run predict for these again" in said
    (workspace / "environments" / "dev.yml").write_text("")
    assert "no experiment: expected ab_test in environments/<env>.yml" in run(workspace, "ab_test", code=2)
