"""The report of monitoring on a day: findings, where each stands, and the verdict ok, warn or alarm."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from samebook.environment.model_sections import Drift
from samebook.monitoring import verdict
from samebook.monitoring.finding import (
    ACKNOWLEDGED,
    OK,
    VERDICTS,
    Effect,
    Finding,
    Key,
    Likeness,
    Said,
    Standing,
    first_standing,
    worst,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Report:
    """The findings on a day. Their worst verdict is the report's, without those that are acknowledged.

    `standings` has one entry a finding, once the report was compared with what earlier ones have said. `effects` are
    the changes of metrics that findings can explain, where they are known.
    """

    model: str
    day: str
    days: int
    findings: tuple[Finding, ...]
    standings: tuple[Standing, ...] = ()
    effects: tuple[tuple[Key, Effect], ...] = ()
    likeness: Likeness | None = field(default=None, compare=False, repr=False)

    @property
    def verdict(self) -> str:
        return worst(finding.verdict for finding, standing in self.pairs() if standing.state != ACKNOWLEDGED)

    @property
    def told(self) -> str:
        """The worst verdict that is said today: of what is new, clearly worse or another than what was said."""
        return worst(standing.told for _, standing in self.pairs())

    def pairs(self) -> list[tuple[Finding, Standing]]:
        """Each finding with where it stands; before the comparison with earlier reports whatever is found is new."""
        standings = self.standings or tuple(first_standing(finding, self.day) for finding in self.findings)
        return list(zip(self.findings, standings, strict=True))

    def plus(self, *findings: Finding) -> "Report":
        """This report with more findings, such as a notebook's own on quality."""
        return replace(self, findings=(*self.findings, *findings))

    def as_json(self) -> dict[str, Any]:
        head = {"model": self.model, "day": self.day, "days": self.days, "verdict": self.verdict, "told": self.told}
        effects = [{**dict(zip(("kind", "name", "span"), key, strict=True)), **effect} for key, effect in self.effects]
        findings = [
            finding.as_json() | standing.as_json() | self._counted(finding) for finding, standing in self.pairs()
        ]
        return head | {"line": self.line(), "effects": effects, "findings": findings}

    def line(self) -> str:
        """The verdict in one line: what is new, since when, whether it hurts, and what to do."""
        return verdict.line(self)

    def _counted(self, finding: Finding) -> dict[str, Any]:
        """The counts of a finding's column on the day, for who acknowledges it: of a finding that is beyond a limit."""
        if self.likeness is None or finding.verdict == OK or finding.span != "day":
            return {}
        said = self.likeness.counted(finding, Said(self.day, finding.verdict, finding.value))
        return {"bins": said.bins, "counts": said.counts} if said.counts else {}

    def frame(self) -> "pd.DataFrame":
        """The rows of the dataset `monitoring`: one a finding, with the day, the model, and where it stands."""
        import pandas as pd

        head = {"day": self.day, "model": self.model}
        return pd.DataFrame([head | finding.as_json() | standing.as_json() for finding, standing in self.pairs()])


def fails(report: Report, settings: Drift) -> bool:
    """Whether the settings say that this verdict ends in exit code 6."""
    return settings.fail_on in VERDICTS and VERDICTS.index(report.verdict) >= VERDICTS.index(settings.fail_on)
