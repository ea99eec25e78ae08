"""The report's data: what is shown of a run, what is not, and what is made again."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import reported
from reported import HOSTILE
from tiny import Tiny

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.monitoring.acknowledged import Acknowledgement, Withdrawal
from samebook.monitoring.finding import Finding, Said
from samebook.records.receipt import Json
from samebook.report import drift_data, site
from samebook.report.site import Build

pytestmark = pytest.mark.fast

FIRST, SECOND, THIRD = (f"2026010{day}T000000Z-train-00000{day}" for day in (1, 2, 3))


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """A workspace without runs."""
    return Tiny.create(tmp_path / "workspace")


def build(tiny: Tiny) -> Build:
    return site.build(Workspace(tiny.root), tiny.root / "runs" / site.FOLDER)


def counts(build: Build) -> tuple[int, int, int, int]:
    return build.made, build.kept, build.gone, build.damaged


def test_a_run_is_shown(tiny: Tiny) -> None:
    """A finished run's parameters, metrics, results, environment, cells and plot are in the site."""
    reported.run(tiny, FIRST, {"auc": 0.75}, parameters={"depth": 3}, outputs={"model.json": {"a": 1}})
    folder = build(tiny).page.parent
    row = reported.rows(folder)[FIRST]
    assert (row["status"], row["metrics"], row["parameters"]) == ("done", {"auc": 0.75}, {"depth": 3})
    detail = reported.data(folder, f"runs/{row['file']}")
    assert [[name, state] for name, _, state in detail["subjects"]] == [
        *(["metrics.json", ""], ["notebook.canonical.json", ""], ["outputs/model.json", ""])
    ]
    ((plot, file),) = detail["plots"]
    assert (plot, (folder / file).read_bytes()) == ("work", reported.png(0))
    assert reported.data(folder, f"cells/{detail['cells']}")[0][:3] == ["work", "code", ["x = 1"]]
    assert reported.data(folder, f"environments/{row['environment']}")["packages"]["numpy"] == "2.5.5"


def test_only_what_changed_is_made_again(tiny: Tiny) -> None:
    """A second build makes nothing; a changed run alone is made again; one that is gone goes with its files."""
    for number, run in enumerate((FIRST, SECOND, THIRD)):
        reported.run(tiny, run, {"auc": number}, shade=number)
    assert counts(build(tiny)) == (3, 0, 0, 0)
    folder = tiny.root / "runs" / site.FOLDER
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("data/**/*.js")}
    assert counts(build(tiny)) == (0, 3, 0, 0)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("data/**/*.js")} == times
    (tiny.root / "runs" / THIRD).rename(tiny.root / "elsewhere")
    reported.receipt(tiny.root / "runs" / SECOND, parameters={"depth": 9})
    assert counts(build(tiny)) == (1, 1, 1, 0)
    assert reported.rows(folder)[SECOND]["parameters"] == {"depth": 9}
    assert len(list(folder.glob("data/runs/*.js"))) == len(list(folder.glob("images/*"))) == 2


def test_order_of_builds_is_no_matter(tiny: Tiny) -> None:
    """A site that grew run by run has the bytes of one that was made at once."""
    for number, run in enumerate((FIRST, SECOND, THIRD)):
        reported.run(tiny, run, {"auc": number})
        build(tiny)
    grown = tiny.root / "runs" / site.FOLDER
    at_once = site.build(Workspace(tiny.root), tiny.root / "runs" / ".again").page.parent
    files = [
        {path.relative_to(one): path.read_bytes() for path in one.rglob("*") if path.is_file()}
        for one in (grown, at_once)
    ]
    assert files[0].keys() == files[1].keys()
    assert {path for path, content in files[0].items() if content != files[1][path]} <= {Path(site.STATE)}


def replaced(run: Path, name: str, text: str) -> None:
    """Give a file other content, with a receipt that says so."""
    (run / name).write_text(text)
    reported.receipt(run, outputs={"model.json": 1})


def without_results(statement: Json) -> None:
    statement["subject"] = []
    del statement["predicate"]["runDetails"]


def metadata(statement: Json) -> Json:
    return statement["predicate"]["runDetails"]["metadata"]


def as_folder(run: Path) -> None:
    (run / "receipt.json").unlink()
    (run / "receipt.json").mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "half a receipt": lambda run: (run / "receipt.json").write_bytes((run / "receipt.json").read_bytes()[:300]),
    "no JSON": lambda run: (run / "receipt.json").write_bytes(b"\xff\x00"),
    "a list": lambda run: (run / "receipt.json").write_text("[]"),
    "too deep": lambda run: (run / "receipt.json").write_text("[" * 100_000),
    "a plan": lambda run: reported.rewritten(run, without_results),
    "another run's": lambda run: reported.rewritten(run, lambda it: metadata(it).update(invocationId=SECOND)),
    "a number for a builder": lambda run: reported.rewritten(
        run, lambda it: it["predicate"]["runDetails"].update(builder=5)
    ),
    "a time without a zone": lambda run: reported.rewritten(
        run, lambda it: metadata(it).update(startedOn="2026-01-01")
    ),
    "other metrics": lambda run: (run / "metrics.json").write_text('{"auc": 0.99}'),
    "metrics that are no numbers": lambda run: replaced(run, "metrics.json", '{"auc": {"a": 1}}'),
    "metrics in a list": lambda run: replaced(run, "metrics.json", "[1]"),
    "no metrics": lambda run: (run / "metrics.json").unlink(),
    "another result": lambda run: (run / "outputs" / "model.json").write_text("other"),
    "cells of no notebook": lambda run: replaced(run, "notebook.canonical.json", '[{"type": 1}]'),
    "a folder": as_folder,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_is_never_whole(tiny: Tiny, damage: str) -> None:
    """A run with a damaged receipt, or with other files than it says, is shown as such, without any result of it."""
    reported.run(tiny, FIRST, {"auc": 0.5}, outputs={"model.json": {"a": 1}})
    reported.run(tiny, THIRD, {"auc": 0.25})
    DAMAGES[damage](tiny.root / "runs" / FIRST)
    folder = build(tiny).page.parent
    row = reported.rows(folder)[FIRST]
    assert row["status"] in ("damaged", "failed")
    assert (row["status"] == "failed") == (damage == "a folder")
    assert (row["metrics"], row["parameters"], row["seconds"]) == ({}, {}, None)
    assert "subjects" not in reported.data(folder, f"runs/{row['file']}")
    assert row["error"] or row["status"] == "failed"
    assert reported.rows(folder)[THIRD]["metrics"] == {"auc": 0.25}


def test_altered_later_is_seen(tiny: Tiny) -> None:
    """A file that is altered after a build makes its run damaged in the next, though the receipt is the same."""
    run = reported.run(tiny, FIRST, {"auc": 0.5})
    assert build(tiny).damaged == 0
    (run / "metrics.json").write_bytes(json_bytes({"auc": 0.9}))
    assert counts(build(tiny)) == (1, 0, 0, 1)


def test_no_text_is_markup(tiny: Tiny) -> None:
    """No data file has a character that begins markup, whatever runs, parameters, metrics and errors are called."""
    reported.run(
        tiny,
        "20260101T000000Z-<script>alert(1)<!---000001",
        {HOSTILE: 1},
        parameters={HOSTILE: HOSTILE},
        source=HOSTILE,
        notebook="a",
    )
    reported.failed(tiny, "20260102T000000Z-&'\"</title>-000002", f"{HOSTILE}\u2028")
    reported.failed(tiny, os.fsdecode(b"20260103T000000Z-\xff-000003"), "x")
    folder = build(tiny).page.parent
    for path in folder.rglob("data/**/*.js"):
        assert re.fullmatch(r"[0-9a-z]+\.js", path.name)
        assert re.fullmatch(rb"samebook\.add\([ -;=?-~]*\);\n", path.read_bytes()), path
    assert HOSTILE in reported.rows(folder)["20260101T000000Z-<script>alert(1)<!---000001"]["metrics"]


FINDING = {"kind": "feature", "name": "x", "span": "day", "value": 1.0, "warn": 0.1, "alarm": 0.2, "verdict": "alarm"}


@pytest.mark.parametrize(
    "change",
    [
        *({"value": 10**400}, {"value": "nan"}, {"value": "inf"}, {"verdict": "constructor"}, {"warn": "x"}),
        *({"name": ["x"]}, {"kind": "metric", "value": "1e999"}),
        *({"told": "constructor"}, {"state": "worse"}, {"state": ["new"]}, {"since": 5}),
    ],
)
def test_drift_of_a_stranger_stops_no_report(tiny: Tiny, change: Json) -> None:
    """A finding with numbers or words that monitoring never writes is left out, and the other runs are shown."""
    report = {"model": "__proto__", "day": "2026-01-01", "verdict": "alarm", "findings": [FINDING | change]}
    reported.run(tiny, FIRST, outputs={"drift.json": report})
    report |= {"day": "2026-01-02", "findings": [FINDING | {"value": 1e308, "warn": 1e-300}]}
    reported.run(tiny, SECOND, outputs={"drift.json": report})
    folder = build(tiny).page.parent
    assert reported.rows(folder).keys() == {FIRST, SECOND}
    # As a key of its own: written plainly, it would be the prototype of the object.
    script = (folder / "data" / "drift.js").read_text()
    assert '{["__proto__"]:[{"model":"__proto__","day":"2026-01-02",' in script
    assert "2026-01-01" not in script


@pytest.mark.parametrize("told", ["constructor", ["ok"], 0])
def test_word_of_a_stranger_is_none_of_a_day(tiny: Tiny, told: object) -> None:
    """A report whose day says something that monitoring never says is left out."""
    report = {"model": "delay", "day": "2026-01-01", "verdict": "alarm", "findings": [FINDING]}
    reported.run(tiny, FIRST, outputs={"drift.json": report | {"told": told}})
    reported.run(tiny, SECOND, outputs={"drift.json": report | {"told": "alarm"}})
    ((day,),) = reported.data(build(tiny).page.parent, "drift").values()
    assert (day["run"], day["others"]) == (SECOND, [])


def finding(day: Json, name: str) -> Json:
    """A finding of a day of the site, by name."""
    rows = [dict(zip((*drift_data.COLUMNS, "acknowledged"), row, strict=True)) for row in day["findings"]]
    return next(row for row in rows if row["name"] == name)


def test_report_of_an_earlier_samebook(tiny: Tiny) -> None:
    """A report without what is said has its verdict, and its counts are of verdicts."""
    report = {"model": "delay", "day": "2026-01-01", "verdict": "alarm", "findings": [FINDING]}
    reported.run(tiny, FIRST, outputs={"drift.json": report})
    ((day,),) = reported.data(build(tiny).page.parent, "drift").values()
    assert (day["verdict"], day["told"], day["line"]) == ("alarm", "", "")
    assert day["counts"] == {"warn": 0, "alarm": 1, "known": 0, "acknowledged": 0}
    row = finding(day, "x")
    assert (row["told"], row["state"], row["since"], row["acknowledged"]) == ("", "", "", [])


def test_what_is_said_comes_first(tiny: Tiny) -> None:
    """What is said of a day, and then what alarms, stands before what is larger: it is never among what is left out."""
    known = [FINDING | {"name": f"old{n}", "value": 9.0, "state": "known", "told": "ok"} for n in range(59)]
    known = [each | {"verdict": "warn"} for each in known]
    worst = FINDING | {"name": "worst", "value": 0.12, "state": "known", "told": "ok"}
    new = FINDING | {"name": "new", "value": 0.15, "verdict": "warn", "state": "new", "told": "warn"}
    report = {"model": "delay", "day": "2026-01-01", "verdict": "alarm", "told": "warn", "line": "delay: warn: new"}
    reported.run(tiny, FIRST, outputs={"drift.json": report | {"findings": [*known, worst, new]}})
    ((day,),) = reported.data(build(tiny).page.parent, "drift").values()
    assert (day["told"], day["line"], day["hidden"]) == ("warn", "delay: warn: new", 21)
    assert day["counts"] == {"warn": 1, "alarm": 0, "known": 60, "acknowledged": 0}
    assert [row[drift_data.COLUMNS.index("name")] for row in day["findings"]][:3] == ["new", "worst", "old0"]


def acknowledge(tiny: Tiny, model: str, day: str = "2026-01-01", **facts: str) -> bytes:
    """Acknowledge the finding x of a day, found by the first run."""
    found = Finding("feature", "x", "day", 1.0, 0.1, 0.2)
    given = {"who": "Ann", "when": "2026-01-01T09:00:00Z", "why": "a holiday", "run": FIRST, **facts}
    line = Acknowledgement.of(found, Said(day, "alarm", 1.0), **given).line()
    (tiny.root / "models").mkdir(exist_ok=True)
    with (tiny.root / "models" / f"{model}.acknowledged.jsonl").open("ab") as file:
        file.write(line)
    return line


def acknowledged_days(tiny: Tiny, model: str = "delay") -> list[list[str]]:
    """Who has acknowledged x on each of three days, of which the second is known, the last one acknowledged."""
    for run, day, state in ((FIRST, 1, "new"), (SECOND, 2, "known"), (THIRD, 3, "acknowledged")):
        found = FINDING | {"state": state, "told": "ok", "since": "2026-01-01"}
        report = {"model": model, "day": f"2026-01-0{day}", "verdict": "ok", "told": "ok", "findings": [found]}
        if not (tiny.root / "runs" / run).exists():
            reported.run(tiny, run, outputs={"drift.json": report})
    ((*days,),) = reported.data(build(tiny).page.parent, "drift").values()
    return [finding(day, "x")["acknowledged"] for day in days]


def test_acknowledgement_has_a_name_and_a_reason(tiny: Tiny) -> None:
    """Who has acknowledged a finding, when and why is at the finding as the run had found it, and at each that is quiet
    for it; the newest one until then counts, a withdrawn one doesn't, and a build that has all runs from before knows.
    """
    line = acknowledge(tiny, "delay")
    ann = ["Ann", "2026-01-01T09:00:00Z", "a holiday"]
    assert acknowledged_days(tiny) == [ann, [], ann]
    acknowledge(tiny, "delay", who="Bo", run="another")
    assert acknowledged_days(tiny) == [ann, [], ["Bo", *ann[1:]]]
    acknowledge(tiny, "delay", day="2026-01-04", who="Cy", run="a later one")
    assert acknowledged_days(tiny) == [ann, [], ["Bo", *ann[1:]]]
    end = Withdrawal("Ann", "2026-01-04T09:00:00Z", "no holiday", (sha256(line.strip()),))
    with (tiny.root / "models" / "delay.acknowledged.jsonl").open("ab") as file:
        file.write(end.line())
    assert acknowledged_days(tiny) == [[], [], ["Bo", *ann[1:]]]


def test_window_is_acknowledged_with_its_day(tiny: Tiny) -> None:
    """A window that follows its acknowledged day has that day's name and reason."""
    acknowledge(tiny, "delay")
    window = FINDING | {"span": "28 days", "state": "acknowledged", "told": "ok", "since": "2026-01-01"}
    report = {"model": "delay", "day": "2026-01-02", "verdict": "ok", "told": "ok", "findings": [window]}
    reported.run(tiny, SECOND, outputs={"drift.json": report})
    ((day,),) = reported.data(build(tiny).page.parent, "drift").values()
    assert finding(day, "x")["acknowledged"] == ["Ann", "2026-01-01T09:00:00Z", "a holiday"]


@pytest.mark.parametrize("broken", [False, True], ids=["path", "half a line"])
def test_acknowledgements_stop_no_report(tiny: Tiny, *, broken: bool) -> None:
    """A file with half a line names nobody, nor does one beside models/, to which a stranger's model leads."""
    line = acknowledge(tiny, "delay" if broken else "../elsewhere")
    if broken:
        (tiny.root / "models" / "delay.acknowledged.jsonl").write_bytes(line + line[:30])
    assert acknowledged_days(tiny, "delay" if broken else "../elsewhere") == [[], [], []]


def test_later_run_hides_no_alarm(tiny: Tiny) -> None:
    """Of a day that was monitored twice the newest run counts, and the verdict of the other one stays beside it."""
    report = {"model": "delay", "day": "2026-01-01", "verdict": "alarm", "findings": [FINDING]}
    reported.run(tiny, FIRST, outputs={"drift.json": report})
    reported.run(tiny, SECOND, outputs={"drift.json": report | {"verdict": "ok", "findings": []}})
    ((day,),) = reported.data(build(tiny).page.parent, "drift").values()
    assert (day["verdict"], day["run"], day["others"]) == ("ok", SECOND, [[FIRST, "alarm"]])


def test_deep_value_stops_no_report(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with a parameter that is nested too deeply to be searched for secrets is damaged, the others are not."""
    tiny.notebook("train", parameters='from samebook import Secret\ntoken: Secret = Secret("TOKEN")')
    monkeypatch.setenv("TOKEN", "hunter2hunter2")
    path = reported.run(tiny, FIRST, parameters={"a": "deep"}) / "receipt.json"
    path.write_text(path.read_text().replace('"deep"', "[" * 3000 + "]" * 3000))
    reported.run(tiny, SECOND)
    assert counts(build(tiny)) == (2, 0, 0, 1)


def test_secrets_are_redacted(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of a notebook or of the settings is nowhere in the site, and one that came later makes it anew."""
    tiny.notebook("train", parameters='from samebook import Secret\ntoken: Secret = Secret("TOKEN")')
    reported.run(tiny, FIRST, {"auc": 1}, parameters={"url": "https://x/hunter2hunter2"}, source="a = 'hunter2hunter2'")
    reported.failed(tiny, SECOND, "refused: hunter2hunter2")
    folder = build(tiny).page.parent
    assert any(b"hunter2" in path.read_bytes() for path in folder.rglob("*.js"))
    monkeypatch.setenv("TOKEN", "hunter2hunter2")
    assert build(tiny).made == 2
    assert [path for path in folder.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()] == []
    assert "[redacted TOKEN]" in reported.rows(folder)[SECOND]["error"]


def test_other_folders_are_left_alone(tiny: Tiny) -> None:
    """A folder with other files, or a link, is refused, and nothing in it changes."""
    own = tiny.root / "docs" / "data"
    own.mkdir(parents=True)
    (own / "mine.js").write_text("mine")
    (tiny.root / "docs" / "notes.txt").write_text("mine")
    (tiny.root / "link").symlink_to(own)
    pictures = tiny.root / "assets" / "images"
    pictures.mkdir(parents=True)
    (pictures / "mine.png").write_text("mine")
    received = build(tiny).page.parent
    shutil.rmtree(received / "data")
    (received / "data").symlink_to(own)
    for into in (tiny.root / "docs", tiny.root / "link", pictures.parent, received):
        with pytest.raises(UsageError, match="expected"):
            site.build(Workspace(tiny.root), into)
    assert [path.read_text() for path in (own / "mine.js", pictures / "mine.png")] == ["mine", "mine"]


def test_state_is_not_trusted(tiny: Tiny) -> None:
    """A damaged state, and one that lacks files or names others, make the site anew."""
    reported.run(tiny, FIRST, {"auc": 1})
    folder = build(tiny).page.parent
    whole = json.loads((folder / site.STATE).read_bytes())
    for state in (b"{", b"[]", b'{"version": 1}', json.dumps({**whole, "runs": {FIRST: 3}}).encode()):
        (folder / site.STATE).write_bytes(state)
        assert counts(build(tiny))[:2] == (1, 0)
    next(folder.glob("data/runs/*.js")).unlink()
    assert counts(build(tiny))[:2] == (1, 0)


def test_stranger_s_links_are_not_followed(tiny: Tiny, tmp_path: Path) -> None:
    """A received run's links and pipes show nothing of this machine, and nobody waits for them."""
    (tmp_path / "private").write_text("private words")
    run = reported.failed(tiny, FIRST, "")
    (run / "error.txt").unlink()
    (run / "error.txt").symlink_to(tmp_path / "private")
    other = reported.failed(tiny, SECOND, "")
    os.mkfifo(other / "receipt.json")
    loop = reported.run(tiny, THIRD, {"auc": 1})
    (loop / "outputs" / "loop").symlink_to(loop)
    folder = build(tiny).page.parent
    assert not any(b"private" in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert reported.rows(folder)[THIRD]["status"] == "done"
