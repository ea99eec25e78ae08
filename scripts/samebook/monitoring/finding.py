"""A finding of monitoring, with its limits and verdict; and where it stands: new, known or acknowledged."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from samebook.monitoring.bins import Bins

OK, WARN, ALARM = VERDICTS = ("ok", "warn", "alarm")
type Key = tuple[str, str, str]
type Effect = dict[str, float]

NEW, KNOWN, ACKNOWLEDGED = "new", "known", "acknowledged"


@dataclass(frozen=True)
class Finding:
    """A measured `value`, and the limits above which it is a warning or an alarm; None: it never is.

    `kind` is feature, score, data or quality; `span` is "day", or the number of days looked at, as in "28 days". `way`
    is the direction of a deviation that has two: "fewer" or "more".
    """

    kind: str
    name: str
    span: str
    value: float
    warn: float | None
    alarm: float | None
    detail: str = ""
    way: str = ""

    @property
    def verdict(self) -> str:
        if self.alarm is not None and self.value > self.alarm:
            return ALARM
        return WARN if self.warn is not None and self.value > self.warn else OK

    @property
    def key(self) -> Key:
        """What the finding is on: kind, name, and day or window, whatever the window's length."""
        return self.kind, self.name, "day" if self.span == "day" else "window"

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict}


@dataclass(frozen=True)
class Said:
    """The day, verdict, value and way with which a finding was said last, or that an acknowledgement is of.

    `counts` are the day's rows in each bin of the column, and `bins` the sha256 of these bins, where they are kept.
    """

    day: str
    verdict: str
    value: float
    way: str = ""
    bins: str = ""
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Standing:
    """Where a finding stands: `told` is the verdict with which it is said today, ok for one that is not said.

    `state` is new, known, acknowledged or ok; `since` the first day on which it was found, with short breaks.
    """

    state: str = OK
    told: str = OK
    since: str = ""
    said: Said | None = None

    def as_json(self) -> dict[str, Any]:
        said = self.said or Said("", "", 0.0)
        names = {"said_day": said.day, "said_verdict": said.verdict, "said_value": said.value, "said_way": said.way}
        return {"state": self.state, "told": self.told, "since": self.since, **names}


class Likeness(Protocol):
    """How far a column of a day is from the same column of another day."""

    def verdict(self, finding: Finding, said: Said, apart: int = ...) -> str | None:
        """The verdict on the distance, by the limits of drift; None where it is not known."""

    def counted(self, finding: Finding, said: Said) -> Said:
        """What was said, with the counts of its column on the day of the report."""

    def column(self, finding: Finding) -> "tuple[Bins, np.ndarray]":
        """The bins of a finding's column, and its counts on the day or in the window."""

    def moved(self, finding: Finding) -> str:
        """The bin of a column that has gained most, and its share before and now: "unseen 0 % to 17 %"."""


class Findings(Protocol):
    """The findings of a day, each with where it stands, and what is known of their effects."""

    @property
    def model(self) -> str: ...
    @property
    def day(self) -> str: ...
    @property
    def verdict(self) -> str: ...
    @property
    def effects(self) -> tuple[tuple[Key, Effect], ...]: ...
    @property
    def likeness(self) -> Likeness | None: ...
    def pairs(self) -> list[tuple[Finding, Standing]]: ...


def worst(verdicts: Iterable[str]) -> str:
    """The worst of some verdicts; ok of none."""
    return max(verdicts, key=VERDICTS.index, default=OK)


def first_standing(finding: Finding, day: str) -> Standing:
    """Where a finding stands that nothing was said of before."""
    if finding.verdict == OK:
        return Standing()
    return Standing(NEW, finding.verdict, day, Said(day, finding.verdict, finding.value, finding.way))
