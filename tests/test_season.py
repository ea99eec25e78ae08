"""A season of five days: planted faults are noticed the same day, and the right model scores each day once."""

from pathlib import Path
from typing import Any

import pytest
import season_report
from season import Replay, result, season
from season_plan import HOURS, NEW, Plan

pytestmark = [pytest.mark.host, pytest.mark.long]


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    return season(Plan.of(5), tmp_path_factory.mktemp("season"))


@pytest.fixture(scope="module")
def report(replay: Replay) -> dict[str, Any]:
    return result(replay)


@pytest.mark.parametrize("days", [5, 6, 14, 21, 30, 84, 120, 183])
def test_plan_has_it_all(days: int) -> None:
    """However long a season is, each fault has a day of its own, and time to be noticed and made good."""
    plan = Plan.of(days)
    assert 0 <= plan.broken < plan.renamed < plan.hours[0]
    assert plan.spoiled in plan.retrained[1:]
    assert plan.least < days


def test_each_day_is_scored_once(report: dict[str, Any]) -> None:
    """No day is lost or double, and each has the scores of the bundle of its time; so has one that arrived again."""
    assert report["wrong"] == []


def test_each_fault_is_noticed_the_same_day(report: dict[str, Any]) -> None:
    """The schema break, the new code, the bad model and the other unit are noticed on the day of their arrival."""
    assert len(report["faults"]) == 4
    assert [fault["noticed"] for fault in report["faults"]] == [fault["planted"] for fault in report["faults"]]


def test_schema_break_is_made_good(replay: Replay) -> None:
    """The file that lacks a column is refused with its reason; whole, it is scored a day late."""
    first, second = replay.days[:2]
    assert (first["scored"], first["quarantined"]) == ([], ["2013-07-01"])
    assert second["scored"] == ["2013-07-01", "2013-07-02"]
    (reason,) = (replay.data / "quarantine").glob("*.report.txt")
    assert "columns missing: ['distance']" in reason.read_text()


def test_drift_is_named(report: dict[str, Any]) -> None:
    """Alarms name the feature that has drifted, once, on its first day; it is found on its days and on no other; made
    good, the unit alarms no more.
    """
    first = season_report.first_seen(report["days"])
    named, found = ({day: set(seen[key]) for day, seen in first.items()} for key in ("alarms", "found"))
    assert [day for day, names in named.items() if "carrier" in names] == sorted(named)[1:2]
    assert [day for day, names in found.items() if "carrier" in names] == sorted(named)[1:]
    assert [day for day, names in named.items() if HOURS in names] == ["2013-07-04"]
    assert HOURS not in report["days"][4]["seen"]["2013-07-04"]["found"]


def test_bad_model_is_refused(replay: Replay) -> None:
    """A retraining is promoted by the policy, and the spoiled one is refused: the champion stays."""
    good, bad = replay.retrainings
    assert (good["code"], good["promoted"]) == (0, True)
    assert (bad["code"], bad["promoted"], bad["spoiled"]) == (6, False, True)
    assert replay.scored["2013-07-04"][-1] == replay.scored["2013-07-05"][-1] == replay.champion()


def test_table_and_picture(report: dict[str, Any], tmp_path: Path) -> None:
    """The table has a line for each fault, and the picture is drawn."""
    table = season_report.table(report)
    assert f"carrier UA is {NEW}" in table
    assert "none is missing, none double" in table
    season_report.draw(report, tmp_path / "season.png")
    assert (tmp_path / "season.png").stat().st_size > 20_000


def test_a_lost_day_is_told(replay: Replay) -> None:
    """The checks find a strange file beside the predictions, and a file left in the inbox."""
    folder = replay.data / "predictions" / "day=2013-07-03"
    (folder / "part-1.parquet").write_bytes(b"")
    wrong = season_report.failed_checks(replay)
    (folder / "part-1.parquet").unlink()
    assert len(wrong) == 1
    assert wrong[0].startswith("2013-07-03: files: found")
    (replay.data / "inbox" / "flights-2013-07-05.csv").touch()
    message = "files left in the inbox: found ['flights-2013-07-05.csv'], expected []"
    assert message in season_report.failed_checks(replay)
