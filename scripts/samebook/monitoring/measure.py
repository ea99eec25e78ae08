"""The measurement of a day against a model's reference; the verb `drift` and `samebook.drift_of` share it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from samebook.core.digest import json_bytes, sha256
from samebook.environment.model_sections import Drift
from samebook.monitoring.bins import Bins, expected_counts, names
from samebook.monitoring.completeness import completeness
from samebook.monitoring.counts import Counts
from samebook.monitoring.finding import ALARM, VERDICTS, WARN, Finding, Said, worst
from samebook.monitoring.observations import Observations
from samebook.monitoring.psi import DIGITS, compare_counts, compare_days
from samebook.monitoring.reference import Reference
from samebook.monitoring.report import Report

if TYPE_CHECKING:
    import numpy as np

# The share of quiet days on which a feature stays below its limit: of a hundred one warns, of a thousand one alarms.
LEVELS = {WARN: 0.99, ALARM: 0.999}
# A day warns, or alarms, where it is this many times as far away as the most unusual day of the reference.
FAR = {WARN: 1.25, ALARM: 3.0}
# Two days that differ from all days by some PSI, in opposite ways, differ from each other by four times that.
APART = 4
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
    """The numbers of a column's values in each bin, on `days` days that have rows; of one day its weekday, from 0."""

    counts: "np.ndarray"
    days: int
    weekday: int | None = None


def measure(reference: Reference, observations: Observations) -> Report:
    """The report of a day. Its findings have a fixed order: features, the score, then the arrival of data."""
    findings = (*_drifts(reference, observations), *completeness(reference, observations))
    likeness = DayLikeness(reference, observations)
    return Report(observations.model, str(observations.day), observations.days, findings, likeness=likeness)


@dataclass(frozen=True)
class DayLikeness:
    """How far a column of the day is from the same column of an earlier day, in the window or as it was said."""

    reference: Reference
    observations: Observations

    def verdict(self, finding: Finding, said: Said, apart: int = APART) -> str | None:
        """The verdict on the PSI of the two days; None where the earlier one has no rows, or was counted in other bins.

        It must pass the settings' limit, chance, and the distance that two unusual days of the reference have.
        """
        bins, counts = self._column(finding)
        before = self._before(bins, counts, finding, said)
        if before is None:
            return None
        settings, farthest = self.observations.settings, bins["farthest"]
        now = counts.of(finding.name, str(self.observations.day))
        divergence = compare_days(bins | {"intraclass": 0.0} if farthest else bins, before, now)
        floors = {WARN: settings.warn, ALARM: settings.alarm}
        passed = [
            level
            for level, floor in floors.items()
            if divergence.psi > max(floor, divergence.chance_limit(LEVELS[level]), apart * FAR[level] * farthest)
        ]
        return worst(passed)

    def counted(self, finding: Finding, said: Said) -> Said:
        """What was said, with the counts of its column on the day; as it is where the finding is not on a column."""
        if finding.kind not in ("feature", "score"):
            return said
        bins, counts = self._column(finding)
        now = counts.of(finding.name, str(self.observations.day))
        return replace(said, bins=_digest(bins), counts=tuple(int(count) for count in now))

    def moved(self, finding: Finding) -> str:
        """The bin of a column that has gained most, and its share before and now; "" for other findings."""
        if finding.kind not in ("feature", "score"):
            return ""
        bins, now = self.column(finding)
        before = expected_counts(bins)
        before, now = before / before.sum(), now / now.sum()
        place = int((now - before).argmax())
        return f"{names(bins)[place]} {before[place]:.0%} to {now[place]:.0%}"

    def column(self, finding: Finding) -> "tuple[Bins, np.ndarray]":
        """The bins of a finding's column, and its counts on the day or in the window."""
        bins, counts = self._column(finding)
        return bins, counts.of(finding.name, str(self.observations.day) if finding.span == "day" else None)

    def _column(self, finding: Finding) -> tuple[Bins, Counts]:
        if finding.kind == "score":
            return self.reference["score"], self.observations.own_scores
        return self.reference["features"][finding.name], self.observations.counts["features"]

    def _before(self, bins: Bins, counts: Counts, finding: Finding, said: Said) -> "np.ndarray | None":
        import numpy as np

        if said.counts and said.bins == _digest(bins):
            return np.array(said.counts, dtype=float)
        return counts.of(finding.name, said.day) if counts.rows.get(said.day) else None


def _digest(bins: Bins) -> str:
    """The sha256 of where the bins of a column begin and end."""
    return sha256(
        json_bytes({name: bins[name] for name in ("edges", "range") if name in bins} or sorted(bins["values"]))
    )


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
                part = _Part(counts.of(column.name, day), len(days), observations.day.weekday() if day else None)
                yield from _findings(column, span, part, settings)


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

    Features that move over many days follow the season: a reason to train again, and never an alarm. A day is compared
    with those of its weekday where the reference has them.
    """
    import numpy as np

    weekday = part.weekday if "weekdays" in column.bins else None
    farthest = _farthest(column.bins, span, part.days) if weekday is None else column.bins["weekdays"]["farthest"]
    # The reference's own days say better than a formula how far a day may be from others.
    bins = column.bins | {"intraclass": 0.0} if farthest else column.bins
    before = None if weekday is None else np.array(column.bins["weekdays"]["counts"][weekday], dtype=float)
    divergence = compare_counts(bins, column.days, part.counts, part.days, before)
    warn = max(settings.warn, divergence.chance_limit(LEVELS[WARN]), FAR[WARN] * farthest)
    alarm = max(settings.alarm, divergence.chance_limit(LEVELS[ALARM]), FAR[ALARM] * farthest)
    is_seasonal = column.kind == "feature" and span != "day"
    detail = f"PSI of {divergence.rows} rows, {divergence.bins} bins"
    return Finding(column.kind, column.name, span, divergence.psi, warn, None if is_seasonal else alarm, detail)


def _farthest(bins: Bins, span: str, days: int) -> float:
    """The PSI of the most unusual day of the reference, or of its most unusual weeks, as long as these at most."""
    if span == "day":
        return bins["farthest"]
    moving = {int(length): value for length, value in bins.get("moving", {}).items() if int(length) <= days}
    if moving:
        return moving[max(moving)]
    return bins["farthest"] if "moving" in bins else 0.0


def _absent(column: _Column, span: str, part: _Part) -> Finding:
    """The finding on the share of a column's values that are missing or unseen."""
    rows = int(part.counts.sum())
    share = round(float(part.counts[-2:].sum() / rows), DIGITS)
    warn, alarm = (max(ABSENT_ROWS[level], FAR[level] * column.bins["absent"]) for level in (WARN, ALARM))
    return Finding("data", f"{column.name} missing or unseen", span, share, warn, alarm, f"of {rows} rows")
