"""What was said before: a finding is said where it is new, clearly worse or another one than what was said of it.

The reports of earlier days are rows of the dataset `monitoring`. A finding that was there within the last week goes on;
its row carries the day since when, and the day, verdict and value with which it was said last. Whoever has seen that
hears of it again only where the difference from it is one that would be said by itself.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from samebook.monitoring.acknowledged import Acknowledgement
from samebook.monitoring.finding import ACKNOWLEDGED, ALARM, KNOWN, NEW, OK, VERDICTS, WARN, Finding, Key, Said, Standing
from samebook.monitoring.report import Report

if TYPE_CHECKING:
    import pandas as pd

# The days without a finding after which it is a new one.
BREAK = 7
# Clearly worse is a value that is larger by this share, and by this much of its kind, in the finding's unit. PSI goes
# with the square of a shift: over a window, which follows the seasons, it must have doubled.
WORSE, WINDOW_WORSE = 0.25, 1.0
FLOOR = {"data": 0.05, "quality": 0.01}
# A column that is like the same column of the day before, or of the same weekday before, has not changed at once.
SUDDEN = (1, 7)
COLUMNS = ("since", "said_day", "said_verdict", "said_value", "said_way")


def compared(report: Report, past: "pd.DataFrame", acknowledged: Sequence[Acknowledgement] = ()) -> Report:
    """The report with where each finding stands, after the rows of `monitoring` of earlier days.

    Rows of other models, of this day or later ones, and of more than BREAK days ago don't count.
    """
    before = _last_rows(past, report)
    standings = [_standing(report, finding, before.get(finding.key), acknowledged) for finding in report.findings]
    return replace(report, standings=tuple(standings))


def _standing(
    report: Report, finding: Finding, before: Mapping[str, Any] | None, acknowledged: Sequence[Acknowledgement]
) -> Standing:
    if finding.verdict == OK:
        return Standing()
    now = Said(report.day, finding.verdict, finding.value, finding.way)
    since = before["since"] if before else report.day
    mine = [each for each in acknowledged if each.key == finding.key and each.said.day <= report.day]
    if any(news(report, finding, each.said) == OK for each in mine):
        return Standing(ACKNOWLEDGED, OK, since, before["said"] if before else now)
    levels = [news(report, finding, each) for each in ([before["said"]] if before else []) + [each.said for each in mine]]
    told = min(levels, key=VERDICTS.index, default=finding.verdict)
    told = WARN if told == ALARM and _is_slow(report, finding) else told
    return Standing(KNOWN, OK, since, before["said"]) if told == OK and before else Standing(NEW, told, since, now)


def _is_slow(report: Report, finding: Finding) -> bool:
    """Whether a column has come to where it is from one day to the next, as seasons do: nothing broke today."""
    if report.likeness is None or finding.kind not in ("feature", "score") or finding.span != "day":
        return False
    day = datetime.date.fromisoformat(report.day)
    earlier = [Said(str(day - datetime.timedelta(days=back)), OK, 0.0) for back in SUDDEN]
    return any(report.likeness.verdict(finding, said, apart=1) == OK for said in earlier)


def news(report: Report, finding: Finding, said: Said) -> str:
    """The verdict with which a finding is said to those who have heard what was said; ok where it is no news.

    A column is compared with the same column of the day that was said, by the limits of drift: another fault of the
    same column, or one more, has the distance that it would have by itself. Where that day can't be counted any more,
    it is said again.
    """
    if VERDICTS.index(finding.verdict) > VERDICTS.index(said.verdict) or finding.way != said.way:
        return finding.verdict
    is_psi = finding.kind in ("feature", "score")
    worse = WINDOW_WORSE if is_psi and finding.span != "day" else WORSE
    if finding.value > said.value + max(worse * said.value, FLOOR.get(finding.kind, 0.0)):
        return finding.verdict
    if not is_psi or finding.span != "day" or said.day == report.day:
        return OK
    distance = report.likeness.verdict(finding, said) if report.likeness else None
    return finding.verdict if distance is None else min(distance, finding.verdict, key=VERDICTS.index)


def _last_rows(past: "pd.DataFrame", report: Report) -> "dict[Key, dict[str, Any]]":
    """For each finding of the last BREAK days, its newest row: since when, and how it was said."""
    if not len(past) or not set(COLUMNS) <= set(past):
        return {}
    day = datetime.date.fromisoformat(report.day)
    first = str(day - datetime.timedelta(days=BREAK))
    rows = past[(past["model"] == report.model) & (past["day"] >= first) & (past["day"] < report.day)]
    rows = rows[(rows["verdict"] != OK) & rows["since"].notna() & (rows["since"] != "")]
    found: dict[Key, dict[str, Any]] = {}
    for row in rows.sort_values("day", kind="stable").to_dict("records"):
        key = Finding(row["kind"], row["name"], row["span"], 0.0, None, None).key
        said = Said(row["said_day"], row["said_verdict"], float(row["said_value"]), row["said_way"])
        found[key] = {"since": row["since"], "said": said}
    return found
