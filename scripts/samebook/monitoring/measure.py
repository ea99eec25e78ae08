"""The measurement of a day against a model's reference; the verb `drift` and `samebook.drift_of` share it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebook.environment.model_sections import Drift
from samebook.monitoring.bins import Bins
from samebook.monitoring.completeness import completeness
from samebook.monitoring.observations import Observations
from samebook.monitoring.psi import DIGITS, compare_counts
from samebook.monitoring.reference import Reference
from samebook.monitoring.report import ALARM, VERDICTS, WARN, Finding, Report

if TYPE_CHECKING:
    import numpy as np

# The share of quiet days on which a feature stays below its limit: of a hundred one warns, of a thousand one alarms.
LEVELS = {WARN: 0.99, ALARM: 0.999}
# A day warns, or alarms, where it is this many times as far away as the most unusual day of the reference.
FAR = {WARN: 1.25, ALARM: 3.0}
# The share of a day's rows that is missing or unseen.
ABSENT_ROWS = {WARN: 0.1, ALARM: 0.5}


@dataclass(frozen=True)
class _Column:
    """A column that is compared with its distribution in the reference, which covers `days` days."""

    kind: str
    name: str
    bins: Bins
    days: int


@dataclass(frozen=True)
class _Part:
    """The numbers of a column's values in each bin, on `days` days that have rows."""

    counts: "np.ndarray"
    days: int


def measure(reference: Reference, observations: Observations) -> Report:
    """The report of a day. Its findings have a fixed order: features, the score, then the arrival of data."""
    findings = (*_drifts(reference, observations), *completeness(reference, observations))
    return Report(observations.model, str(observations.day), observations.days, findings)


def _drifts(reference: Reference, observations: Observations) -> Iterator[Finding]:
    settings, features = observations.settings, observations.counts["features"]
    score = reference["score"]
    columns = [
        (_Column("feature", name, bins, reference["days"]), features) for name, bins in reference["features"].items()
    ]
    columns.append((_Column("score", settings.score, score, score["days"]), observations.own_scores))
    for column, counts in columns:
        for span, day in observations.spans().items():
            days = [day] if day else list(counts.rows)
            if any(counts.rows.get(each) for each in days) and column.bins.get("rows", 1):
                yield from _findings(column, span, _Part(counts.of(column.name, day), len(days)), settings)


def _findings(column: _Column, span: str, part: _Part, settings: Drift) -> Iterator[Finding]:
    """The finding on a column, and the one on its missing and unseen values if that is worse.

    A feature whose days differ widely could hide its missing values otherwise.
    """
    finding = _drift(column, span, part, settings)
    yield finding
    absent = _absent(column, span, part)
    if span == "day" and VERDICTS.index(absent.verdict) > VERDICTS.index(finding.verdict):
        yield absent


def _drift(column: _Column, span: str, part: _Part, settings: Drift) -> Finding:
    """The finding on a column's PSI. It must pass the settings' limit, chance, and the reference's unusual days.

    Features that move over many days follow the season: a reason to train again, and never an alarm.
    """
    farthest = column.bins["farthest"] if span == "day" else 0.0
    # The reference's own days say better than a formula how far a day may be from others.
    bins = column.bins | {"intraclass": 0.0} if farthest else column.bins
    divergence = compare_counts(bins, column.days, part.counts, part.days)
    warn = max(settings.warn, divergence.chance_limit(LEVELS[WARN]), FAR[WARN] * farthest)
    alarm = max(settings.alarm, divergence.chance_limit(LEVELS[ALARM]), FAR[ALARM] * farthest)
    is_seasonal = column.kind == "feature" and span != "day"
    detail = f"PSI of {divergence.rows} rows, {divergence.bins} bins"
    return Finding(column.kind, column.name, span, divergence.psi, warn, None if is_seasonal else alarm, detail)


def _absent(column: _Column, span: str, part: _Part) -> Finding:
    """The finding on the share of a column's values that are missing or unseen."""
    rows = int(part.counts.sum())
    share = round(float(part.counts[-2:].sum() / rows), DIGITS)
    warn, alarm = (max(ABSENT_ROWS[level], FAR[level] * column.bins["absent"]) for level in (WARN, ALARM))
    return Finding("data", f"{column.name} missing or unseen", span, share, warn, alarm, f"of {rows} rows")
