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
from samebook.monitoring.report import OK, VERDICTS, Report, Watched

if TYPE_CHECKING:
    import pandas as pd

MARKS = dict(zip(VERDICTS, ("ok", " !", "!!"), strict=True))


@dataclass(frozen=True)
class DriftRequest:
    """A promoted model (`churn`, `churn@prod`; empty: the settings'), a day, and how many days up to it as a whole."""

    model: str
    day: datetime.date
    days: int = 1
    env: str = "dev"

    @property
    def first(self) -> datetime.date:
        return self.day - datetime.timedelta(days=self.days - 1)


def drift(request: DriftRequest) -> Report:
    """Compare the partitions in data/ of the datasets that the settings name with the model's reference.

    Raises UsageError where no model is promoted, none of the days has rows, or one of them lacks a feature.
    """
    here = workspace.find()
    in_force = settings.load(here, request.env)
    model = request.model or in_force.drift.model
    if not model:
        raise UsageError("no model is named; expected --model, or drift.model in the settings", mend="samebook models")
    found = lookup.read(here, model)
    reference = monitoring.usable(found.monitoring, model)
    needed = monitoring.needed(reference, in_force.drift)
    frames = {name: _rows(here, name, request, columns) for name, columns in needed.items()}
    features = in_force.drift.features
    if "day" not in frames[features]:
        maker = in_force.datasets[features].made_by
        run = f'make run NOTEBOOK={maker} PARAMS="start={request.first} end={request.day}"'
        raise UsageError(
            f"no partition of {features} from {request.first} to {request.day}",
            mend=run if maker else f"run the notebook that writes {features}",
        )
    files = {each.sha256 for each in found.artifacts.values()}
    watched = Watched(model, files, frames, request.day, request.days, in_force.drift)
    return monitoring.measured(reference, watched)


def table(report: Report) -> str:
    """The findings as text, the worst first, and the verdict below them."""
    rows: list[tuple[str, ...]] = [("   what", "value", "warn", "alarm", "")]
    for each in sorted(report.findings, key=lambda each: -VERDICTS.index(each.verdict)):
        numbers = map(_number, (each.value, each.warn, each.alarm))
        rows.append((f"{MARKS[each.verdict]} {each.name}, {each.span}", *numbers, each.detail))
    lines = align(rows, right={1, 2, 3})
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
