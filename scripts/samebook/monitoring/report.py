"""The report of monitoring on a day: findings, their limits, and the verdict ok, warn or alarm."""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from samebook.environment.model_sections import Drift

if TYPE_CHECKING:
    import pandas as pd

OK, WARN, ALARM = VERDICTS = ("ok", "warn", "alarm")


@dataclass(frozen=True)
class Finding:
    """A measured `value`, and the limits above which it is a warning or an alarm; None: it never is.

    `kind` is feature, score, data or quality; `span` is "day", or the number of days looked at, as in "28 days".
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
class Report:
    """The findings on a day. Their worst verdict is the report's."""

    model: str
    day: str
    days: int
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        return VERDICTS[max((VERDICTS.index(finding.verdict) for finding in self.findings), default=0)]

    def plus(self, *findings: Finding) -> "Report":
        """This report with more findings, such as a notebook's own on quality."""
        return replace(self, findings=(*self.findings, *findings))

    def as_json(self) -> dict[str, Any]:
        head = {"model": self.model, "day": self.day, "days": self.days, "verdict": self.verdict}
        return head | {"findings": [finding.as_json() for finding in self.findings]}

    def frame(self) -> "pd.DataFrame":
        """The rows of the dataset `monitoring`: one a finding, with the day and the model."""
        import pandas as pd

        rows = [{"day": self.day, "model": self.model, **finding.as_json()} for finding in self.findings]
        return pd.DataFrame(rows)


def fails(report: Report, settings: Drift) -> bool:
    """Whether the settings say that this verdict ends in exit code 6."""
    return settings.fail_on in VERDICTS and VERDICTS.index(report.verdict) >= VERDICTS.index(settings.fail_on)
