"""The data of a window of days that a model is monitored on, counted: features, scores and labels."""

import datetime
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebook.core.errors import UsageError
from samebook.environment.model_sections import Drift
from samebook.monitoring.counts import Counts
from samebook.monitoring.reference import Reference

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Observations:
    """The counts of `days` days up to `day`, by the roles of datasets in the settings: features, scores, labels.

    `own_scores` are those by this model; other models have scored the days before its promotion.
    """

    model: str
    counts: Mapping[str, Counts]
    own_scores: Counts
    day: datetime.date
    days: int
    settings: Drift

    def window(self) -> list[str]:
        """Every day of the window, the newest first."""
        return [str(self.day - datetime.timedelta(days=n)) for n in range(self.days)]

    def spans(self) -> dict[str, str | None]:
        """The spans that are measured, each with its day: the day, and the window, None, if it is longer."""
        return {"day": str(self.day), **({f"{self.days} days": None} if self.days > 1 else {})}


@dataclass(frozen=True)
class Window:
    """The days that a model is monitored on: `days` up to `day`. `files` are the sha256 of the model's files, by which
    its scores are known.
    """

    model: str
    files: Collection[str]
    day: datetime.date
    days: int
    settings: Drift


def observe(reference: Reference, window: Window, batches: Mapping[str, Iterable["pd.DataFrame"]]) -> Observations:
    """The counts of the rows in batches, by the name of the dataset; each row has its day in the column `day`.

    Raises UsageError for a column that the rows lack, or have as text where the reference has numbers.
    """
    settings, own = window.settings, Counts()
    counts = {role: Counts() for role in settings.datasets}
    for role, name in settings.datasets.items():
        for rows in (rows if "day" in rows else rows.assign(day="") for rows in batches[name] if len(rows)):
            if role == "features":
                check_columns(name, rows, reference["features"])
            counts[role].add(rows, reference["features"] if role == "features" else {})
            if role == "scores":
                scored = rows[rows["model"].isin(list(window.files))] if "model" in rows else rows
                check_columns(name, scored, (settings.score,))
                own.add(scored, {settings.score: reference["score"]} if reference["score"].get("rows", 1) else {})
    return Observations(window.model, counts, own, window.day, window.days, settings)


def required_columns(reference: Reference, settings: Drift) -> dict[str, list[str]]:
    """The columns that monitoring needs of each dataset. Raises UsageError where the settings don't name a dataset."""
    if unset := [key for key in ("features", "scores") if key not in settings.datasets]:
        raise UsageError(
            f"drift.{unset[0]} is not set; expected the name of a dataset",
            mend="write `drift: {features: rows, scores: scores, labels: labels}` in environments/<env>.yml",
        )
    columns = {settings.features: list(reference["features"]), settings.scores: ["model", settings.score]}
    return columns | ({settings.labels: []} if settings.labels else {})


def check_columns(name: str, rows: "pd.DataFrame", columns: Collection[str]) -> None:
    """Raise UsageError where a dataset has rows that lack a column."""
    if len(rows) and (absent := [column for column in columns if column not in rows]):
        day = rows["day"].iloc[0]
        raise UsageError(
            f"{name} {day} has no column {', '.join(absent)}, which the model's reference expects",
            mend=f"make run NOTEBOOK=… PARAMS='start={day} end={day}'",
        )
