"""Tell whether what a promoted model meets, and what it says, is still what it was made for."""

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebook.core import workspace
from samebook.core.errors import UsageError
from samebook.core.table import align
from samebook.data import dataset
from samebook.environment import settings
from samebook.models import lookup
from samebook.monitoring import report as monitoring
from samebook.monitoring.report import FEATURES, OK, OUTCOMES, SCORES, VERDICTS, Report, Watched

if TYPE_CHECKING:
    import pandas as pd

MARKS = dict(zip(VERDICTS, ("ok", " !", "!!"), strict=True))


@dataclass(frozen=True)
class DriftRequest:
    """A promoted model (`delay`, `delay@prod`), the day to look at, and how many days up to it as a whole."""

    model: str
    day: datetime.date
    days: int = 1
    env: str = "dev"

    @property
    def first(self) -> datetime.date:
        return self.day - datetime.timedelta(days=self.days - 1)


def drift(request: DriftRequest) -> Report:
    """Compare the partitions of data/flights and data/predictions, as they are, with the model's reference.

    Raises UsageError where no model is promoted, none of the days has flights, or one of them lacks a feature.
    """
    here = workspace.find()
    in_force = settings.load(here, request.env)
    found = lookup.read(here, request.model)
    reference = monitoring.usable(found.monitoring, request.model)
    needed: dict[str, list[str]] = {
        FEATURES: list(reference["features"]),
        SCORES: ["model", "probability"],
        OUTCOMES: [],
    }
    frames = {name: _rows(here, name, request, columns) for name, columns in needed.items()}
    if "day" not in frames[FEATURES]:
        raise UsageError(
            f"no partition of {FEATURES} from {request.first} to {request.day}",
            mend=f'make run NOTEBOOK=ingest PARAMS="start={request.first} end={request.day}"',
        )
    files = {each.sha256 for each in found.artifacts.values()}
    watched = Watched(request.model, files, frames, request.day, request.days)
    return monitoring.measured(reference, watched, in_force.drift)


def table(report: Report) -> str:
    """The findings as text, the worst first, and the verdict below them."""
    rows: list[tuple[str, ...]] = [("", "what", "value", "warn", "alarm", "")]
    for each in sorted(report.findings, key=lambda each: -VERDICTS.index(each.verdict)):
        numbers = map(_number, (each.value, each.warn, each.alarm))
        rows.append((MARKS[each.verdict], f"{each.name}, {each.span}", *numbers, each.detail))
    lines = align(rows, right={2, 3, 4})
    beyond = [f"{each.name} ({each.span})" for each in report.findings if each.verdict != OK]
    return "\n".join((*lines, f"{report.model} {report.day}: {report.verdict}  {', '.join(beyond)}".rstrip()))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _rows(here: workspace.Workspace, name: str, request: DriftRequest, columns: list[str]) -> "pd.DataFrame":
    """These columns of the days that are there, and `day`; no column at all where none is.

    Raises UsageError naming the day that lacks one of them.
    """
    import pandas as pd

    days = dataset.days(request.first, request.day)
    paths = {day: here.data / dataset.partition(name, day) for day in days}
    frames = []
    for day, path in paths.items():
        if path.is_file():
            rows = dataset.frame([(here.relative(path), path.read_bytes())]).assign(day=str(day))
            monitoring.require(name, rows, columns)
            frames.append(rows.reindex(columns=[*columns, "day"]))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
