"""The completeness of data: rows, days and scores that are missing, and the age of each dataset."""

import datetime
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from samebook.monitoring.observations import Observations
from samebook.monitoring.psi import DIGITS
from samebook.monitoring.reference import Reference
from samebook.monitoring.report import ALARM, WARN, Finding

if TYPE_CHECKING:
    import pandas as pd

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
    day, settings = str(observations.day), observations.settings
    window = observations.spans()[-1]
    by_day = observations.rows(settings.features).groupby("day").size()
    rows = int(by_day.get(day, 0))
    usual = _usual_rows(by_day.drop(day, errors="ignore"), reference)
    distance = abs(rows - usual) / usual if usual and rows else float(not rows)
    yield _finding("rows", "day", distance, ROWS, f"{rows} rows" + (f", usually {usual:.0f}" if usual else ""))
    missing = observations.days - by_day.index.isin(observations.window()).sum()
    share = missing / observations.days
    yield _finding("missing days", window, share, MISSING_DAYS, f"{missing} of {observations.days} days")
    scored = len(observations.within("day", observations.rows(settings.scores)))
    by_model = len(observations.within("day", observations.model_scores()))
    detail = f"{scored} of {rows} rows have a score, {by_model} by this model"
    yield _finding("unscored", "day", 1 - scored / rows if rows else 0.0, UNSCORED, detail)
    for key, name in settings.datasets.items():
        due, newest = DUE[key], max(observations.rows(name)["day"], default="")
        is_empty = not newest
        age = observations.days if is_empty else (observations.day - datetime.date.fromisoformat(newest)).days
        detail = f"newest {newest or 'none'}, expected {observations.day - datetime.timedelta(days=due)}"
        yield Finding("data", f"age of {name}", window, float(age), due, due + PATIENCE, detail)


def _finding(name: str, span: str, value: float, limits: Mapping[str, float], detail: str) -> Finding:
    return Finding("data", name, span, round(float(value), DIGITS), limits[WARN], limits[ALARM], detail)


def _usual_rows(others: "pd.Series", reference: Reference) -> float:
    """The usual number of rows a day: the median of the window, or of few days the reference's mean; 0: unknown."""
    if len(others) >= MEDIAN_DAYS:
        return float(others.median())
    return reference["rows"] / reference["days"] if reference["days"] else 0.0
