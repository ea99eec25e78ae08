"""Compare a model's features and scores of a day with the reference of its training: has the data drifted?"""

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebook.core import workspace as workspaces
from samebook.core.errors import UsageError
from samebook.core.text import align
from samebook.data import dataset
from samebook.environment import settings
from samebook.models import lookup
from samebook.monitoring import acknowledged
from samebook.monitoring.finding import VERDICTS
from samebook.monitoring.measure import measure
from samebook.monitoring.observations import Window, check_columns, observe, required_columns
from samebook.monitoring.reference import usable_reference
from samebook.monitoring.report import Report
from samebook.monitoring.said import BREAK, compared

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

# The dataset in which runs of monitoring publish their reports.
MONITORING = "monitoring"
MARKS = dict(zip(VERDICTS, ("ok", " !", "!!"), strict=True))


@dataclass(frozen=True)
class DriftRequest:
    """One call of `samebook drift`: a promoted model (`churn`, `churn@prod`, "" for the settings'), and a day.

    `days` is the number of days up to that one that are compared as a whole, too.
    """

    model: str
    day: datetime.date
    days: int = 1
    env: str = "dev"

    @property
    def first(self) -> datetime.date:
        return self.day - datetime.timedelta(days=self.days - 1)


def drift(request: DriftRequest) -> Report:
    """Compare partitions in data/, of the datasets that the settings name, with the model's reference.

    Raises UsageError where no model is promoted, none of the days has rows, or one of them lacks a feature.
    """
    workspace = workspaces.find()
    env_settings = settings.load(workspace, request.env)
    model = request.model or env_settings.drift.model
    if not model:
        raise UsageError(
            "no model is named; expected --model, or drift.model in the settings", mend="make drift MODEL=… DAY=…"
        )
    bundle = lookup.read(workspace, model)
    reference = usable_reference(bundle.monitoring, model)
    required = required_columns(reference, env_settings.drift)
    features, days = env_settings.drift.features, dataset.days(request.first, request.day)
    if len(dataset.missing(workspace, features, days)) == len(days):
        maker = env_settings.datasets[features].made_by
        run = f'make run NOTEBOOK={maker} PARAMS="start={request.first} end={request.day}"'
        raise UsageError(
            f"no partition of {features} from {request.first} to {request.day}",
            mend=run if maker else f"run the notebook that writes {features}",
        )
    batches = {name: _rows(workspace, name, request, columns) for name, columns in required.items()}
    files = {artifact.sha256 for artifact in bundle.artifacts.values()}
    window = Window(model, files, request.day, request.days, env_settings.drift)
    report = measure(reference, observe(reference, window, batches))
    given = acknowledged.parse(acknowledged.content(workspace, model), model)
    return compared(report, _past(workspace, request.day), given)


def _past(workspace: workspaces.Workspace, day: datetime.date) -> "pd.DataFrame":
    """What monitoring has found on the days before, as its runs have published it."""
    first = day - datetime.timedelta(days=BREAK)
    paths = [workspace.data / dataset.partition(MONITORING, each) for each in dataset.days(first, day)[:-1]]
    return dataset.frame([(workspace.relative(path), path.read_bytes()) for path in paths if path.is_file()])


def table(report: Report) -> str:
    """The findings as text, the worst first, and below them the verdict in one line."""
    rows: list[tuple[str, ...]] = [("   what", "value", "warn", "alarm", "")]
    for finding in sorted(report.findings, key=lambda finding: -VERDICTS.index(finding.verdict)):
        numbers = map(_number, (finding.value, finding.warn, finding.alarm))
        rows.append((f"{MARKS[finding.verdict]} {finding.name}, {finding.span}", *numbers, finding.detail))
    lines = align(rows, right={1, 2, 3})
    return "\n".join((*lines, report.line()))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _rows(
    workspace: workspaces.Workspace, name: str, request: DriftRequest, columns: list[str]
) -> "Iterator[pd.DataFrame]":
    """The rows of each day that has a partition, with these columns and `day`: of one day at a time.

    Raises UsageError naming a day that lacks one of the columns.
    """
    for day in dataset.days(request.first, request.day):
        path = workspace.data / dataset.partition(name, day)
        if path.is_file():
            rows = dataset.frame([(workspace.relative(path), path.read_bytes())]).assign(day=str(day))
            check_columns(name, rows, columns)
            yield rows.reindex(columns=[*columns, "day"])
