"""The data of a window of days that a model is monitored on: features, scores and labels."""

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebook.core.errors import UsageError
from samebook.environment.model_sections import Drift
from samebook.monitoring.reference import Reference

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Observations:
    """The rows of each dataset, with their day ("2013-07-01") in the column `day`, over `days` days up to `day`.

    The settings name the datasets, and `required_columns` their columns; of labels only the days count. A dataset
    without rows is an empty frame. `files` are the sha256 of the model's files, by which its scores are known.
    """

    model: str
    files: Collection[str]
    frames: Mapping[str, "pd.DataFrame"]
    day: datetime.date
    days: int
    settings: Drift

    def rows(self, name: str) -> "pd.DataFrame":
        frame = self.frames[name]
        return frame if "day" in frame else frame.assign(day="")

    def window(self) -> list[str]:
        """Every day of the window, the newest first."""
        return [str(self.day - datetime.timedelta(days=n)) for n in range(self.days)]

    def model_scores(self) -> "pd.DataFrame":
        """The scores by this model. Other models have scored the days before its promotion."""
        scores = self.rows(self.settings.scores)
        return scores[scores["model"].isin(list(self.files))] if "model" in scores else scores

    def spans(self) -> list[str]:
        """The spans that are measured: the day, and the window if it is longer."""
        return ["day", *([f"{self.days} days"] if self.days > 1 else [])]

    def within(self, span: str, frame: "pd.DataFrame") -> "pd.DataFrame":
        """The rows of a frame in one of the spans."""
        return frame[frame["day"] == str(self.day)] if span == "day" else frame


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
