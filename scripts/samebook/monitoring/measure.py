"""The measurement of a day against a model's reference; the verb `drift` and `samebook.drift_of` share it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebook.core.errors import UsageError
from samebook.environment.model_sections import Drift
from samebook.monitoring.bins import Bins, bin_numbers, expected_counts
from samebook.monitoring.completeness import completeness
from samebook.monitoring.observations import Observations, check_columns
from samebook.monitoring.psi import DIGITS, Divergence, compare
from samebook.monitoring.reference import Reference
from samebook.monitoring.report import ALARM, VERDICTS, WARN, Finding, Report

if TYPE_CHECKING:
    import pandas as pd

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


def measure(reference: Reference, observations: Observations) -> Report:
    """The report of a day. Its findings have a fixed order: features, the score, then the arrival of data.

    Raises UsageError for a feature that the data lacks, or has as text where the reference has numbers.
    """
    findings = (*_drifts(reference, observations), *completeness(reference, observations))
    return Report(observations.model, str(observations.day), observations.days, findings)


def _drifts(reference: Reference, observations: Observations) -> Iterator[Finding]:
    settings = observations.settings
    rows, scores = observations.rows(settings.features), observations.model_scores()
    check_columns(settings.features, rows, reference["features"])
    check_columns(settings.scores, scores, (settings.score,))
    features = reference["features"].items()
    columns = [(_Column("feature", name, bins, reference["days"]), rows) for name, bins in features]
    score = reference["score"]
    columns.append((_Column("score", settings.score, score, score["days"]), scores))
    for column, frame in columns:
        for span in observations.spans():
            part = observations.within(span, frame)
            if len(part) and column.bins.get("rows", 1):
                yield from _findings(column, span, part, settings)


def _findings(column: _Column, span: str, rows: "pd.DataFrame", settings: Drift) -> Iterator[Finding]:
    """The finding on a column, and the one on its missing and unseen values if that is worse.

    A feature whose days differ widely could hide its missing values otherwise.
    """
    finding = _drift(column, span, rows, settings)
    yield finding
    absent = _absent(column, span, rows)
    if span == "day" and VERDICTS.index(absent.verdict) > VERDICTS.index(finding.verdict):
        yield absent


def _drift(column: _Column, span: str, rows: "pd.DataFrame", settings: Drift) -> Finding:
    """The finding on a column's PSI. It must pass the settings' limit, chance, and the reference's unusual days.

    Features that move over many days follow the season: a reason to train again, and never an alarm.
    """
    farthest = column.bins["farthest"] if span == "day" else 0.0
    # The reference's own days say better than a formula how far a day may be from others.
    divergence = _compare(column, column.bins | {"intraclass": 0.0} if farthest else column.bins, rows)
    warn = max(settings.warn, divergence.chance_limit(LEVELS[WARN]), FAR[WARN] * farthest)
    alarm = max(settings.alarm, divergence.chance_limit(LEVELS[ALARM]), FAR[ALARM] * farthest)
    is_seasonal = column.kind == "feature" and span != "day"
    detail = f"PSI of {divergence.rows} rows, {divergence.bins} bins"
    return Finding(column.kind, column.name, span, divergence.psi, warn, None if is_seasonal else alarm, detail)


def _compare(column: _Column, bins: Bins, rows: "pd.DataFrame") -> Divergence:
    try:
        return compare(bins, column.days, rows[column.name], rows["day"].nunique())
    except ValueError as error:
        raise UsageError(
            f"feature {column.name}: expected numbers, as the reference has; {error}",
            mend="make promote RUN=… MODEL=…, of a run with this kind of column",
        ) from None


def _absent(column: _Column, span: str, rows: "pd.DataFrame") -> Finding:
    """The finding on the share of a column's values that are missing or unseen."""
    is_absent = bin_numbers(rows[column.name], column.bins) >= len(expected_counts(column.bins)) - 2
    share = round(float(is_absent.mean()), DIGITS)
    warn, alarm = (max(ABSENT_ROWS[level], FAR[level] * column.bins["absent"]) for level in (WARN, ALARM))
    return Finding("data", f"{column.name} missing or unseen", span, share, warn, alarm, f"of {len(rows)} rows")
