"""What is said: new faults, worse ones and other ones; and what an acknowledgement does not hide."""

import datetime
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from samebook.core.errors import UsageError
from samebook.environment.model_sections import Drift
from samebook.monitoring import acknowledged
from samebook.monitoring.acknowledged import Acknowledgement, Withdrawal
from samebook.monitoring.finding import ACKNOWLEDGED, ALARM, KNOWN, NEW, OK, WARN, Finding, Said, Standing
from samebook.monitoring.measure import measure
from samebook.monitoring.observations import Window, observe
from samebook.monitoring.reference import Reference, reference
from samebook.monitoring.report import Report
from samebook.monitoring.said import compared

pytestmark = pytest.mark.fast

SETTINGS = Drift(model="delay", features="rows", scores="scores")
FIRST = datetime.date(2013, 7, 1)
WHO = {"who": "Ann <a@b.c>", "when": "2013-07-01T08:00:00Z", "why": "the airline has a new code", "run": "r"}

type Change = Callable[[pd.DataFrame], pd.DataFrame]


def world(day: str, rows: int = 900) -> pd.DataFrame:
    """Rows of a day: a number and a word as on any other, of the words one of 4 %, and the weather of that day."""
    generator = np.random.default_rng(int(day.replace("-", "")))
    words = generator.choice(["a", "b", "c", "d"], size=rows, p=[0.5, 0.31, 0.15, 0.04])
    weather = generator.normal() + 0.3 * generator.normal(size=rows)
    return pd.DataFrame({"number": generator.normal(size=rows), "word": words, "weather": weather, "day": day})


@cache
def learnt() -> Reference:
    days = [str(FIRST - datetime.timedelta(days=n)) for n in range(60, 0, -1)]
    known = pd.concat([world(day) for day in days], ignore_index=True)
    return reference(known, pd.Series(np.linspace(0, 1, 600)), "day")


def report(number: int, changes: dict[int, Change], model: Reference | None = None) -> Report:
    """The report of a day, of a week in which these days were changed."""
    day = FIRST + datetime.timedelta(days=number)
    numbers = range(number - 6, number + 1)
    parts = [changes.get(n, lambda rows: rows)(world(str(FIRST + datetime.timedelta(days=n)))) for n in numbers]
    features = pd.concat(parts, ignore_index=True)
    scores = pd.DataFrame({"day": str(day), "score": np.linspace(0, 1, 900)})
    window = Window("delay", {"m"}, day, 7, SETTINGS)
    used = model or learnt()
    return measure(used, observe(used, window, {"rows": [features], "scores": [scores]}))


def renamed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(word=rows["word"].replace("b", "z"))


def renamed_too(rows: pd.DataFrame) -> pd.DataFrame:
    return renamed(rows).assign(word=lambda frame: frame["word"].replace("d", "y"))


def told(result: Report) -> dict[str, str]:
    return {finding.name: standing.told for finding, standing in result.pairs() if standing.told != OK}


def standing(result: Report, name: str) -> Standing:
    return next(place for finding, place in result.pairs() if finding.name == name and finding.span == "day")


def story(changes: dict[int, Change], last: int, given: tuple[Acknowledgement, ...] = ()) -> list[Report]:
    """The reports of successive days, each after those before it."""
    past, reports = pd.DataFrame(), []
    for number in range(last + 1):
        reports.append(compared(report(number, changes), past, given))
        past = pd.concat([past, reports[-1].frame()], ignore_index=True)
    return reports


def acknowledgement(result: Report, name: str) -> Acknowledgement:
    finding = next(each for each in result.findings if each.name == name and each.span == "day")
    assert result.likeness is not None
    said = Said(result.day, finding.verdict, finding.value, finding.way)
    return Acknowledgement.of(finding, result.likeness.counted(finding, said), **WHO)


# --- An acknowledgement hides neither another fault nor a worse one --------------------------------------------------


def test_acknowledged_stays_quiet() -> None:
    """The same fault on later days is acknowledged, not said, and not in the verdict; it stays in the findings."""
    changes: dict[int, Change] = dict.fromkeys(range(20), renamed)
    given = acknowledgement(report(0, changes), "word")
    for number in (1, 6, 15):  # on the last one the acknowledged day is out of the window
        result = compared(report(number, changes), pd.DataFrame(), (given,))
        assert standing(result, "word").state == ACKNOWLEDGED
        assert "word" not in told(result)
        assert "acknowledged: word" in result.line()


@pytest.mark.parametrize(
    ("fault", "level"),
    [
        (renamed_too, WARN),
        (lambda rows: renamed(rows).assign(word=lambda frame: frame["word"].replace("a", "y")), ALARM),
        (lambda rows: rows.assign(word=rows["word"].replace("c", "y")), ALARM),
        (lambda rows: renamed(rows).assign(word=lambda frame: frame["word"].mask(frame.index % 5 == 0)), ALARM),
        (lambda rows: rows.assign(word=None), ALARM),
    ],
)
def test_acknowledged_hides_no_other_fault(fault: Change, level: str) -> None:
    """A value of 4 % of the rows that is renamed as well is said, as by itself; so is any other fault of the column."""
    given = acknowledgement(report(0, {0: renamed}), "word")
    result = compared(report(1, {0: renamed, 1: fault}), pd.DataFrame(), (given,))
    assert told(result)["word"] == level


def test_acknowledged_hides_no_other_column() -> None:
    """An acknowledgement is of one column; the same fault of another is said."""
    given = acknowledgement(report(0, {0: renamed}), "word")
    result = compared(report(1, {1: lambda rows: rows.assign(number=rows["number"] / 60)}), pd.DataFrame(), (given,))
    assert told(result)["number"] == ALARM


def test_acknowledged_hides_no_worse_weather() -> None:
    """Of a column that each day has otherwise, a day as far away is no news, and one much farther away is said."""
    hot = {n: lambda rows: rows.assign(weather=rows["weather"] * 0 + 3 + rows["number"] / 9) for n in range(9)}
    given = acknowledgement(report(0, hot), "weather")
    worse = hot | {1: lambda rows: rows.assign(weather=99.0)}
    assert "weather missing or unseen" in told(compared(report(1, worse), pd.DataFrame(), (given,)))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((0.6, "fewer"), (0.62, "fewer"), {}),
        ((0.6, "fewer"), (0.62, "more"), {"rows": WARN}),
        ((0.4, "fewer"), (0.65, "fewer"), {"rows": WARN}),
        ((0.6, "fewer"), (0.72, "fewer"), {"rows": ALARM}),
    ],
)
def test_acknowledged_rows(before: tuple[float, str], now: tuple[float, str], expected: dict[str, str]) -> None:
    """Too few rows, acknowledged, hide neither too many, nor clearly fewer, nor an alarm."""
    of = Finding("data", "rows", "day", before[0], 0.35, 0.7, "", before[1])
    given = Acknowledgement.of(of, Said("2013-07-01", of.verdict, of.value, of.way), **WHO)
    finding = Finding("data", "rows", "day", now[0], 0.35, 0.7, "", now[1])
    assert told(compared(Report("delay", "2013-07-02", 1, (finding,)), pd.DataFrame(), (given,))) == expected


def test_acknowledged_of_a_later_day_counts_not() -> None:
    """A day that is monitored again knows nothing of what was acknowledged of a later day."""
    given = acknowledgement(report(1, {1: renamed}), "word")
    assert told(compared(report(0, {0: renamed}), pd.DataFrame(), (given,)))["word"] == ALARM


def test_acknowledged_of_other_bins_ends() -> None:
    """A model with other bins, for whom the day can't be counted any more, is not told what was acknowledged."""
    words = pd.concat([world(f"2013-05-{n:02}") for n in range(1, 31)], ignore_index=True)
    other = reference(words.assign(word=words["word"].replace("d", "e")), pd.Series([0.1, 0.9]), "day")
    given = acknowledgement(report(0, {0: renamed}), "word")
    changes: dict[int, Change] = dict.fromkeys(range(20), renamed)
    assert told(compared(report(3, changes, other), pd.DataFrame(), (given,))).get("word") != OK
    assert told(compared(report(15, changes, other), pd.DataFrame(), (given,)))["word"] == ALARM


@pytest.mark.parametrize("kind", ["quality", "data"])
def test_acknowledged_value_ends_with_its_fault(kind: str) -> None:
    """What is known by its value alone stays quiet while it goes on; back after a week without it, it is said again."""
    finding = Finding(kind, "auc lost", "7 days", 0.04, 0.0, 0.05)
    given = Acknowledgement.of(finding, Said("2013-07-01", WARN, 0.04), **WHO)

    def of(day: str, past: pd.DataFrame) -> Report:
        return compared(Report("delay", day, 7, (finding,)), past, (given,))

    past = compared(Report("delay", "2013-07-01", 7, (finding,)), pd.DataFrame()).frame()
    for day in ("2013-07-08", "2013-07-15"):
        result = of(day, past)
        assert [(place.state, place.told) for _, place in result.pairs()] == [(ACKNOWLEDGED, OK)]
        past = result.frame()
    back = of("2013-07-23", past)
    assert told(back) == {"auc lost": WARN}
    again = of("2013-07-24", back.frame())
    assert (again.verdict, [place.state for _, place in again.pairs()]) == (WARN, [KNOWN])
    assert of("2013-07-09", pd.DataFrame()).verdict == WARN


FACTS = WHO | {"kind": "data", "name": "rows", "span": "day"}


def line_of(**said: object) -> bytes:
    """A line with another value than make ack writes."""
    return json.dumps(FACTS | {"said": {"day": "2013-07-01", "verdict": ALARM, "value": 1.0} | said}).encode()


@pytest.mark.parametrize(
    "line",
    [
        *(b"{", b"[]", b"{}", b"\xff", b'{"who": 1}', line_of(verdict="fine"), line_of(day="x"), line_of(counts=[-1])),
        *(line_of(value=float("nan")), line_of(value=float("inf")), line_of(value=10**400), b"[" * 100_000),
    ],
)
def test_damaged_acknowledgement_is_refused(line: bytes) -> None:
    """A line that is not whole hides nothing: it is an error that names it."""
    good = acknowledgement(report(0, {0: renamed}), "word").line()
    assert len(acknowledged.parse(good + good, "delay")) == 2
    with pytest.raises(UsageError, match=r"delay\.acknowledged\.jsonl, line 2"):
        acknowledged.parse(good + line + b"\n", "delay")


def test_withdrawn_acknowledgement_is_over() -> None:
    """A withdrawn line counts no more, in whatever order a merge has put the lines; one that is given anew does."""
    given = acknowledgement(report(0, {0: renamed}), "word")
    ((digest, _),) = acknowledged.in_force(given.line(), "delay")
    withdrawal = Withdrawal("Ann", "2013-07-02T08:00:00Z", "it was a fault", (digest,)).line()
    anew = replace(given, when="2013-07-03T08:00:00Z")
    assert acknowledged.parse(withdrawal + given.line() + given.line(), "delay") == []
    assert acknowledged.parse(given.line() + withdrawal + anew.line(), "delay") == [anew]
    with pytest.raises(UsageError, match="line 1"):
        acknowledged.parse(withdrawal.replace(b'"withdrawn": ["', b'"withdrawn": [1, "'), "delay")


# --- What was said before --------------------------------------------------------------------------------------------


def test_said_once() -> None:
    """A fault that goes on is said on its first day, and known from then on, with the day since when."""
    reports = story(dict.fromkeys(range(2, 9), renamed), 5)
    assert [told(each).get("word", OK) for each in reports] == [OK, OK, ALARM, OK, OK, OK]
    assert standing(reports[4], "word") == Standing(KNOWN, OK, "2013-07-03", standing(reports[2], "word").said)
    assert reports[4].verdict == ALARM
    assert "nothing new" in reports[4].line()
    assert "alarm word since 2013-07-03" in reports[4].line()


def test_another_fault_is_said() -> None:
    """While a fault goes on, one more of the same column is said, and so is the second when the first is made good."""
    reports = story({1: renamed, 2: renamed_too, 3: renamed_too, 4: lambda rows: rows.assign(word="a")}, 4)
    levels = [told(each).get("word", OK) for each in reports]
    assert (levels[:2], levels[3:]) == ([OK, ALARM], [OK, ALARM])
    assert levels[2] != OK


def test_a_fault_that_comes_back_is_said_again() -> None:
    """After a week without it a fault is new; within the week it is known."""
    reports = story({1: renamed, 3: renamed, 12: renamed}, 12)
    assert {number: told(each)["word"] for number, each in enumerate(reports) if "word" in told(each)} == {
        1: ALARM,
        12: ALARM,
    }
    assert standing(reports[12], "word").since == "2013-07-13"


def test_what_comes_slowly_does_not_alarm() -> None:
    """A column that moves a little each day is said as a warning, however far it gets; at once it alarms."""
    slow = {n: lambda rows, n=n: rows.assign(number=rows["number"] + 0.12 * n) for n in range(11)}
    reports = story(slow, 10)
    levels = [told(each).get("number", OK) for each in reports]
    assert standing(reports[10], "number").state != OK
    assert WARN in levels
    assert ALARM not in levels
    assert told(report(10, {10: slow[10]}))["number"] == ALARM


@pytest.mark.parametrize("change", [{"said_value": np.nan}, {"said_value": np.inf}, {"said_verdict": "fine"}])
def test_damaged_past_hides_nothing(change: dict[str, object]) -> None:
    """Rows of `monitoring` that say that no value could be worse, or a verdict that is none, count as not said."""
    finding = Finding("data", "rows", "day", 0.9, 0.35, 0.7, "", "fewer")
    past = compared(Report("delay", "2013-07-01", 1, (finding,)), pd.DataFrame()).frame().assign(**change)
    assert told(compared(Report("delay", "2013-07-02", 1, (finding,)), past)) == {"rows": ALARM}


def test_line_of_a_verdict_is_one() -> None:
    """A finding's name makes no second line of the verdict."""
    finding = Finding("data", "rows\ndelay 2013-07-01: ok", "day", 0.9, 0.35, 0.7)
    assert "\n" not in Report("delay", "2013-07-01", 1, (finding,)).line()


@pytest.mark.parametrize("past", [pd.DataFrame(), pd.DataFrame({"day": ["2013-06-30"], "model": ["delay"]})])
def test_without_a_past_all_is_new(past: pd.DataFrame) -> None:
    """On the first day, and after reports of an earlier samebook, whatever is found is said."""
    result = compared(report(1, {1: renamed}), past)
    assert standing(result, "word").state == NEW


def test_other_models_and_later_days_say_nothing() -> None:
    """What was said of another model, or on this day and later ones, does not count as said."""
    changes: dict[int, Change] = dict.fromkeys(range(9), renamed)
    rows = compared(report(1, changes), pd.DataFrame()).frame()
    for past in (rows.assign(model="other"), rows.assign(day="2013-07-04"), rows.assign(day="2013-07-03")):
        assert told(compared(report(2, changes), past))["word"] == ALARM


def test_same_past_same_bytes() -> None:
    """The report is a function of the day, the past and the acknowledgements, in whatever order their rows are."""
    changes: dict[int, Change] = dict.fromkeys(range(1, 9), renamed)
    past = pd.concat([each.frame() for each in story(changes, 3)], ignore_index=True)
    first, second = (compared(report(4, changes), rows).as_json() for rows in (past, past[::-1]))
    assert first == second
