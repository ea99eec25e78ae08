"""What was said before: a finding is said where it is new, clearly worse or another one than what was said of it.

The reports of earlier days are rows of the dataset `monitoring`. A finding that was there within the last week goes on;
its row carries the day since when, and the day, verdict and value with which it was said last. Whoever has seen that
hears of it again only where the difference from it is one that would be said by itself.
"""

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from samebook.monitoring.acknowledged import Acknowledgement
from samebook.monitoring.finding import (
    ACKNOWLEDGED,
    ALARM,
    KNOWN,
    NEW,
    OK,
    VERDICTS,
    WARN,
    Finding,
    Key,
    Said,
    Standing,
)
from samebook.monitoring.report import Report

if TYPE_CHECKING:
    import pandas as pd

# The days without a finding after which it is a new one.
BREAK = 7
# Clearly worse is a value that is larger by this share, and by this much of its kind, in the finding's unit. PSI goes
# with the square of a shift, and follows the seasons: what was said by itself must have doubled.
WORSE, PSI_WORSE = 0.25, 1.0
PSI = ("feature", "score")
FLOOR = {"data": 0.05, "quality": 0.01}
# A column that is like the same column a day ago, or a week ago, has not changed at once.
SUDDEN = (1, 7)
COLUMNS = ("verdict", "state", "since", "said_day", "said_verdict", "said_value", "said_way")


@dataclass(frozen=True)
class _Past:
    """The rows of the last BREAK days: of each finding the newest one beyond a limit, and its state on each day."""

    last: "dict[Key, dict[str, Any]]"
    states: "dict[tuple[str, Key], str]"


def compared(report: Report, past: "pd.DataFrame", acknowledged: Sequence[Acknowledgement] = ()) -> Report:
    """The report with where each finding stands, after the rows of `monitoring` of earlier days.

    Rows of other models, of this day or later ones, and of more than BREAK days ago don't count.
    """
    before = _past(past, report)
    pairs = [(finding, _standing(report, finding, before, acknowledged)) for finding in report.findings]
    days = {
        finding.key[:2]: (finding, place) for finding, place in pairs if finding.span == "day" and place.state != OK
    }
    followed = [_after_its_day(finding, place, days.get(finding.key[:2])) for finding, place in pairs]
    return replace(report, standings=tuple(followed))


def _after_its_day(finding: Finding, standing: Standing, of_day: tuple[Finding, Standing] | None) -> Standing:
    """Where a window stands whose day is as bad: the day is said, known or acknowledged, and the window follows."""
    if finding.span == "day" or standing.told == OK or of_day is None:
        return standing
    if VERDICTS.index(finding.verdict) > VERDICTS.index(of_day[0].verdict):
        return standing
    state = ACKNOWLEDGED if of_day[1].state == ACKNOWLEDGED else KNOWN
    return replace(standing, state=state, told=OK)


def _standing(report: Report, finding: Finding, past: _Past, acknowledged: Sequence[Acknowledgement]) -> Standing:
    if finding.verdict == OK:
        return Standing()
    before = past.last.get(finding.key)
    now = Said(report.day, finding.verdict, finding.value, finding.way)
    since = before["since"] if before else report.day
    mine = [
        each
        for each in acknowledged
        if each.key == finding.key and each.said.day <= report.day and _goes_on(report, each, since)
    ]
    given = min((news(report, finding, each.said, WORSE) for each in mine), key=VERDICTS.index, default=finding.verdict)
    if mine and given == OK:
        return Standing(ACKNOWLEDGED, OK, since, before["said"] if before else now)
    worse = PSI_WORSE if finding.kind in PSI else WORSE
    told = news(report, finding, before["said"], worse) if before else finding.verdict
    told = min(told, given, key=VERDICTS.index)
    if told == OK and before:
        return Standing(KNOWN, OK, since, before["said"])
    return Standing(NEW, WARN if told == ALARM and _is_slow(report, finding, past) else told, since, now)


def _goes_on(report: Report, given: Acknowledgement, since: str) -> bool:
    """Whether what was acknowledged is still the same fault: known by its counts, or never away for BREAK days.

    A value alone, as of quality or of too few rows, says nothing of a fault that comes back later, or to another model.
    """
    return bool(given.said.counts) or since <= given.said.day or given.said.day >= _first_day(report)


def _first_day(report: Report) -> str:
    """The first day of which a finding goes on."""
    return str(datetime.date.fromisoformat(report.day) - datetime.timedelta(days=BREAK))


def _is_slow(report: Report, finding: Finding, past: _Past) -> bool:
    """Whether a column has come to where it is from one day to the next, as seasons do: nothing broke today.

    It is like the same column of an earlier day, which was monitored, and of which everybody has heard.
    """
    if report.likeness is None or finding.kind not in PSI or finding.span != "day":
        return False
    day = datetime.date.fromisoformat(report.day)
    earlier = [str(day - datetime.timedelta(days=back)) for back in SUDDEN]
    monitored = [each for each in earlier if past.states.get((each, finding.key), ACKNOWLEDGED) != ACKNOWLEDGED]
    return any(report.likeness.verdict(finding, Said(each, OK, 0.0), apart=1) == OK for each in monitored)


def news(report: Report, finding: Finding, said: Said, worse: float) -> str:
    """The verdict with which a finding is said to those who have heard what was said; ok where it is no news: no other
    one, and its value not larger by the share `worse`.

    A column is compared with the same column of the day that was said, by the limits of drift: another fault of the
    same column, or one more, has the distance that it would have by itself. Where that day can't be counted any more,
    it is said again.
    """
    if VERDICTS.index(finding.verdict) > VERDICTS.index(said.verdict) or finding.way != said.way:
        return finding.verdict
    if finding.value > said.value + max(worse * said.value, FLOOR.get(finding.kind, 0.0)):
        return finding.verdict
    if finding.kind not in PSI or finding.span != "day" or said.day == report.day:
        return OK
    distance = report.likeness.verdict(finding, said) if report.likeness else None
    return finding.verdict if distance is None else min(distance, finding.verdict, key=VERDICTS.index)


def _past(rows: "pd.DataFrame", report: Report) -> _Past:
    if not len(rows) or not set(COLUMNS) <= set(rows):
        return _Past({}, {})
    rows = rows[(rows["model"] == report.model) & (rows["day"] >= _first_day(report)) & (rows["day"] < report.day)]
    past = _Past({}, {})
    for row in rows.sort_values("day", kind="stable").to_dict("records"):
        key = Finding(row["kind"], row["name"], row["span"], 0.0, None, None).key
        past.states[row["day"], key] = row["state"]
        if row["verdict"] != OK and isinstance(row["since"], str) and row["since"]:
            said = Said(row["said_day"], row["said_verdict"], float(row["said_value"]), row["said_way"])
            if said.verdict in VERDICTS and math.isfinite(said.value):  # or nothing would be worse than what was said
                past.last[key] = {"since": row["since"], "said": said}
    return past
