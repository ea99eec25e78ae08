"""Monitoring: whether what a model meets, and what it says, is still what it was made for; ok, warn or alarm, and why.

The verb `drift` and the function `samebook.drift_of` find the same, as both ask `measured`.
"""

import datetime
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from samebook.core.errors import UsageError
from samebook.environment.model_sections import Drift
from samebook.models import lookup
from samebook.monitoring.bins import expected, places
from samebook.monitoring.psi import Divergence, compare
from samebook.monitoring.reference import VERSION, Reference

if TYPE_CHECKING:
    import pandas as pd

OK, WARN, ALARM = VERDICTS = ("ok", "warn", "alarm")
# The share of quiet days on which a feature stays below: one false warning in a hundred, one false alarm in a thousand.
LEVELS = {WARN: 0.99, ALARM: 0.999}
# A day warns, or alarms, that is so many times as far away as the farthest that the model has learnt from.
FAR = {WARN: 1.25, ALARM: 3.0}
# The share of a day's rows that is missing or unseen.
ABSENT_ROWS = {WARN: 0.1, ALARM: 0.5}
# Days that the newest partition may lie behind, and behind that before it is an alarm.
DUE = {"features": 0, "scores": 0, "labels": 1}
PATIENCE = 3
# How far a day's rows may be from the median of the other days, as a share of it.
ROWS = {WARN: 0.35, ALARM: 0.7}
UNSCORED = {WARN: 0.0, ALARM: 0.5}
ABSENT = {WARN: 0.0, ALARM: 0.2}
DIGITS = 6


@dataclass(frozen=True)
class Finding:
    """One thing that was measured: `value`, and the limits above which it is a warning or an alarm, where it can be.

    `kind` is feature, score, data or quality; `span` is "day" or the number of days looked at, like "28 days".
    """

    kind: str
    name: str
    span: str
    value: float
    warn: float | None
    alarm: float | None
    detail: str = ""

    @property
    def verdict(self) -> str:
        if self.alarm is not None and self.value > self.alarm:
            return ALARM
        return WARN if self.warn is not None and self.value > self.warn else OK

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict}


@dataclass(frozen=True)
class Watched:
    """What is looked at: the rows of each dataset with the column `day` ("2013-07-01"), and the window of days.

    The settings name the datasets, and `needed` their columns; of labels the days alone count. A dataset of which
    there is nothing is an empty frame. `files` are the sha256 of the model's files, to know its scores by.
    """

    model: str
    files: Collection[str]
    frames: Mapping[str, "pd.DataFrame"]
    day: datetime.date
    days: int
    settings: Drift

    def rows(self, name: str) -> "pd.DataFrame":
        frame = self.frames[name]
        return frame if "day" in frame else frame.assign(day="")

    def window(self) -> list[str]:
        """Every day that is looked at."""
        return [str(self.day - datetime.timedelta(days=n)) for n in range(self.days)]

    def ours(self) -> "pd.DataFrame":
        """The scores that are this model's; others have scored what was before it was promoted."""
        scored = self.rows(self.settings.scores)
        return scored[scored["model"].isin(list(self.files))] if "model" in scored else scored

    def spans(self) -> list[str]:
        return ["day", *([f"{self.days} days"] if self.days > 1 else [])]

    def of(self, span: str, frame: "pd.DataFrame") -> "pd.DataFrame":
        return frame[frame["day"] == str(self.day)] if span == "day" else frame


@dataclass(frozen=True)
class Report:
    """The findings on a day, and the verdict: the worst of theirs."""

    model: str
    day: str
    days: int
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        return VERDICTS[max((VERDICTS.index(each.verdict) for each in self.findings), default=0)]

    def plus(self, *findings: Finding) -> "Report":
        """This report with more findings, such as a notebook's own on quality."""
        return replace(self, findings=(*self.findings, *findings))

    def as_json(self) -> dict[str, Any]:
        told = {"model": self.model, "day": self.day, "days": self.days, "verdict": self.verdict}
        return told | {"findings": [each.as_json() for each in self.findings]}

    def frame(self) -> "pd.DataFrame":
        """One row a finding, with the day: what the dataset `monitoring` holds."""
        import pandas as pd

        rows = [{"day": self.day, "model": self.model, **each.as_json()} for each in self.findings]
        return pd.DataFrame(rows)


def fails(report: Report, settings: Drift) -> bool:
    """Whether the settings say that this verdict ends in exit code 6."""
    return settings.fail_on in VERDICTS and VERDICTS.index(report.verdict) >= VERDICTS.index(settings.fail_on)


def usable(reference: Reference | None, model: str) -> Reference:
    """The reference of a model. Raises UsageError where there is none, or one of another version."""
    name = lookup.NAME.match(model)
    mend = f"make run NOTEBOOK=train, then make promote RUN=train MODEL={name[0] if name else model}"
    if reference is None:
        raise UsageError(f"model {model} has no reference; its notebook calls samebook.log_reference", mend=mend)
    if not reference.get("rows"):
        raise UsageError(f"the monitoring reference of model {model}: found no rows, expected those it learnt from")
    if reference.get("version", 1) != VERSION:
        told = f"found version {reference.get('version', 1)}, expected {VERSION}"
        raise UsageError(f"the monitoring reference of model {model}: {told}", mend=mend)
    return reference


def needed(reference: Reference, settings: Drift) -> dict[str, list[str]]:
    """The columns that each dataset must have, by its name. Raises UsageError where the settings don't name one."""
    if unset := [key for key in ("features", "scores") if key not in settings.datasets]:
        raise UsageError(
            f"drift.{unset[0]} is not set; expected the name of a dataset",
            mend="environments/<env>.yml: drift: {features: rows, scores: scores, labels: labels}, for example",
        )
    columns = {settings.features: list(reference["features"]), settings.scores: ["model", settings.score]}
    return columns | ({settings.labels: []} if settings.labels else {})


def measured(reference: Reference, watched: Watched) -> Report:
    """Every finding, in a fixed order: features, score, then what came when.

    Raises UsageError for a feature that the reference has and the data lacks, or has as text in place of numbers.
    """
    found = (*_drifts(reference, watched), *_arrivals(reference, watched))
    return Report(watched.model, str(watched.day), watched.days, found)


def _drifts(reference: Reference, watched: Watched) -> Iterator[Finding]:
    settings = watched.settings
    rows, ours = watched.rows(settings.features), watched.ours()
    require(settings.features, rows, reference["features"])
    require(settings.scores, ours, (settings.score,))
    parts = [("feature", name, rows, told, reference["days"]) for name, told in reference["features"].items()]
    parts.append(("score", settings.score, ours, reference["score"], reference["score"]["days"]))
    for kind, name, rows, told, days in parts:
        for span in watched.spans():
            part = watched.of(span, rows)
            if len(part) and told.get("rows", 1):
                yield from _worse(name, span, told, part, _judged(kind, name, span, told, days, part, settings))


def require(name: str, rows: "pd.DataFrame", columns: Collection[str]) -> None:
    """Raise UsageError where a dataset's rows, if there are any, lack a column."""
    if len(rows) and (absent := [column for column in columns if column not in rows]):
        day = rows["day"].iloc[0]
        raise UsageError(
            f"{name} {day} has no column {', '.join(absent)}, which the model's reference expects",
            mend="make the day again with the notebook that writes it, or promote a model that was made without",
        )


def _judged(
    kind: str, name: str, span: str, told: Reference, days: int, rows: "pd.DataFrame", settings: Drift
) -> Finding:
    """PSI above its floor, above what chance gives, and for a day well above the most unusual day of the reference.

    What features do over many days is the season's slow way: a reason to train again, and never an alarm.
    """
    farthest = told["farthest"] if span == "day" else 0.0
    # How far a day may be from others its reference's days tell better than any formula.
    found = _compared(name, told | {"intraclass": 0.0} if farthest else told, days, rows)
    warn = max(settings.warn, found.by_chance(LEVELS[WARN]), FAR[WARN] * farthest)
    alarm = max(settings.alarm, found.by_chance(LEVELS[ALARM]), FAR[ALARM] * farthest)
    is_slow = kind == "feature" and span != "day"
    detail = f"PSI of {found.rows} rows, {found.bins} bins"
    return Finding(kind, name, span, found.psi, warn, None if is_slow else alarm, detail)


def _compared(name: str, told: Reference, days: int, rows: "pd.DataFrame") -> Divergence:
    try:
        return compare(told, days, rows[name], rows["day"].nunique())
    except ValueError as error:
        raise UsageError(f"feature {name}: expected numbers, as the reference has; {error}") from None


def _worse(name: str, span: str, told: Reference, rows: "pd.DataFrame", found: Finding) -> Iterator[Finding]:
    """The finding, and beside it what is missing or unseen, where that is worse: the ways of a day can't hide it."""
    yield found
    share = round(float((places(rows[name], told) >= len(expected(told)) - 2).mean()), DIGITS)
    warn, alarm = (max(ABSENT_ROWS[level], FAR[level] * told["absent"]) for level in (WARN, ALARM))
    absent = Finding("data", f"{name} missing or unseen", span, share, warn, alarm, f"of {len(rows)} rows")
    if span == "day" and VERDICTS.index(absent.verdict) > VERDICTS.index(found.verdict):
        yield absent


def _arrivals(reference: Reference, watched: Watched) -> Iterator[Finding]:
    """Whether the data has come: rows, days, scores, and how old the newest day is."""
    settings = watched.settings
    scored = watched.rows(settings.scores)
    by_day = watched.rows(settings.features).groupby("day").size()
    today = int(by_day.get(str(watched.day), 0))
    usual = _usual(by_day.drop(str(watched.day), errors="ignore"), reference)
    away = abs(today - usual) / usual if usual and today else float(not today)
    yield _data("rows", "day", away, ROWS, f"{today} rows" + (f", usually {usual:.0f}" if usual else ""))
    absent = watched.days - by_day.index.isin(watched.window()).sum()
    yield _data("missing days", watched.spans()[-1], absent / watched.days, ABSENT, f"{absent} of {watched.days} days")
    done, ours = len(watched.of("day", scored)), len(watched.of("day", watched.ours()))
    told = f"{done} of {today} rows have a score, {ours} by this model"
    yield _data("unscored", "day", 1 - done / today if today else 0.0, UNSCORED, told)
    for key, name in settings.datasets.items():
        due = DUE[key]
        newest = max(watched.rows(name)["day"], default="")
        behind = (watched.day - datetime.date.fromisoformat(newest)).days if newest else watched.days
        told = f"newest {newest or 'none'}, expected {watched.day - datetime.timedelta(days=due)}"
        yield Finding("data", f"age of {name}", watched.spans()[-1], float(behind), due, due + PATIENCE, told)


def _data(name: str, span: str, value: float, limits: Mapping[str, float], detail: str) -> Finding:
    return Finding("data", name, span, round(float(value), DIGITS), limits[WARN], limits[ALARM], detail)


def _usual(others: "pd.Series", reference: Reference) -> float:
    """The rows that a day has: the window's median, or the reference's mean where its days are few; 0: not known."""
    if len(others) >= 7:
        return float(others.median())
    return reference["rows"] / reference["days"] if reference["days"] else 0.0
