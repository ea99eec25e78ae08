"""The completeness of data: rows, days and scores that are missing, and the age of each dataset."""

import datetime
import statistics
from collections.abc import Iterator, Mapping, Sequence

from samebook.monitoring.finding import ALARM, WARN, Finding
from samebook.monitoring.observations import Observations
from samebook.monitoring.psi import DIGITS
from samebook.monitoring.reference import Reference

# The days by which the newest partition may be late, and the days beyond that before it is an alarm.
DUE = {"features": 0, "scores": 0, "labels": 1}
PATIENCE = 3
# The distance of a day's rows from the median of the other days, as a share of it.
ROWS = {WARN: 0.35, ALARM: 0.7}
UNSCORED = {WARN: 0.0, ALARM: 0.5}
MISSING_DAYS = {WARN: 0.0, ALARM: 0.2}
# Fewer other days than these have no median worth the name.
MEDIAN_DAYS = 7


def completeness(reference: Reference, observations: Observations) -> Iterator[Finding]:
    """Findings on rows, missing days, missing scores, and the newest day of each dataset."""
    day, counts = str(observations.day), observations.counts
    window = list(observations.spans())[-1]
    by_day = counts["features"].rows
    rows = by_day.get(day, 0)
    usual = _usual_rows([count for other, count in by_day.items() if other != day], reference)
    distance = abs(rows - usual) / usual if usual and rows else float(not rows)
    detail = f"{rows} rows" + (f", usually {usual:.0f}" if usual else "")
    yield _finding("rows", "day", distance, ROWS, detail, "fewer" if rows < usual or not rows else "more")
    missing = observations.days - len(by_day.keys() & set(observations.window()))
    share = missing / observations.days
    yield _finding("missing days", window, share, MISSING_DAYS, f"{missing} of {observations.days} days")
    scored, by_model = (each.rows.get(day, 0) for each in (counts["scores"], observations.own_scores))
    detail = f"{scored} of {rows} rows have a score, {by_model} by this model"
    yield _finding("unscored", "day", 1 - scored / rows if rows else 0.0, UNSCORED, detail)
    for key, name in observations.settings.datasets.items():
        due, newest = DUE[key], max(counts[key].rows, default="")
        is_empty = not newest
        age = observations.days if is_empty else (observations.day - datetime.date.fromisoformat(newest)).days
        detail = f"newest {newest or 'none'}, expected {observations.day - datetime.timedelta(days=due)}"
        yield Finding("data", f"age of {name}", window, float(age), due, due + PATIENCE, detail)


def _finding(name: str, span: str, value: float, limits: Mapping[str, float], detail: str, way: str = "") -> Finding:
    return Finding("data", name, span, round(float(value), DIGITS), limits[WARN], limits[ALARM], detail, way)


def _usual_rows(others: Sequence[int], reference: Reference) -> float:
    """The usual number of rows a day: the median of the window, or of few days the reference's mean; 0: unknown."""
    if len(others) >= MEDIAN_DAYS:
        return float(statistics.median(others))
    return reference["rows"] / reference["days"] if reference["days"] else 0.0
