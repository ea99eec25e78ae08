"""The sections of settings that are about models: promotion, experiments and drift."""

import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from samebook.environment.explain import UNSHOWN
from samebook.environment.fields import NUMBER
from samebook.environment.sections import Section

# A promoted model: its name, or its name and a branch.
MODEL = r"^[a-z][a-z0-9_-]*(@\S+)?$"
LOWER, HIGHER = "lower", "higher"
# The better direction of the metrics that everybody reads in the same way.
BETTER = {
    **dict.fromkeys(("auc", "accuracy", "balanced_accuracy", "r2"), HIGHER),
    **dict.fromkeys(
        ("log_loss", "brier", "calibration_error", "mean_absolute_error", "root_mean_squared_error"), LOWER
    ),
}


class Gate(Section):
    """The comparison of a candidate with the champion and with the baseline, on the same rows."""

    notebook: Annotated[
        str, Field(description="the notebook that compares; its parameters are candidate and champion")
    ] = "gate"
    metric: str = "auc"
    better: Literal["higher", "lower"] = "higher"
    margin: Annotated[
        float,
        Field(
            allow_inf_nan=False, ge=0, description="the difference by which the metric may be worse than the champion's"
        ),
        NUMBER,
    ] = 0.005

    @model_validator(mode="after")
    def _check_direction(self) -> Self:
        better = BETTER.get(self.metric, self.better)
        if better != self.better:
            raise PydanticCustomError(
                UNSHOWN,
                "better: found '{found}'; a {expected} {metric} is better: expected `better: {expected}`",
                {"found": self.better, "metric": self.metric, "expected": better},
            )
        return self


class Reproduced(Section):
    """The number of others who must have found a run IDENTICAL: builders or, with `signed`, owners of keys."""

    by: Annotated[int, Field(ge=1, description="the number of others, each with a reproduction of its own"), NUMBER] = 1
    ignore_unseen: Annotated[
        tuple[str, ...],
        Field(description='child processes of local reproductions that you answer for, as "child process python"'),
    ] = ()


class Promotion(Section):
    """The conditions for promoting the model of a run; each can be switched off."""

    clean_commit: Annotated[bool, Field(description="the run was made from a commit, without changes")] = True
    pinned_image: Annotated[
        bool, Field(description="the run was made in the image, on a base that is named by digest")
    ] = False
    reproduced: Annotated[
        bool | Reproduced,
        Field(description="another builder has found the run IDENTICAL; `{by: 2}`: two others have"),
    ] = False
    signed: Annotated[
        bool,
        Field(description="trusted keys have signed the receipt, the gate's and, by other owners, the reproductions"),
    ] = False
    gate: Gate | None = None
    keep: Annotated[
        bool,
        Field(description="a promotion keeps the environment: the packages of its commit's locks, and the base image"),
    ] = False

    @property
    def reproducers(self) -> int:
        """The number of others who must have reproduced the run."""
        return self.reproduced.by if isinstance(self.reproduced, Reproduced) else int(self.reproduced)

    @property
    def ignored_reads(self) -> tuple[str, ...]:
        """The beginnings of unseen reads with which a reproduction counts."""
        return self.reproduced.ignore_unseen if isinstance(self.reproduced, Reproduced) else ()

    @property
    def needs_receipt(self) -> bool:
        """Whether a condition is set that only statements show: a model that is made again from its commit doesn't."""
        return any((self.pinned_image, self.reproduced, self.signed))


class AbTest(Section):
    """The experiment of a challenger against the champion: its entities, its days, and the metric that decides it."""

    experiment: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    salt: Annotated[
        str, Field(min_length=1, description="a text that the assignment depends on: another salt, another assignment")
    ]
    challenger: Annotated[str, Field(pattern=MODEL, description="a promoted model: churn@ab-test-deeper")]
    champion: Annotated[
        str,
        Field(
            pattern=MODEL,
            default_factory=lambda values: values.get("challenger", "").partition("@")[0],
            description="a promoted model: churn, or churn@branch; by default the challenger's name without a branch",
        ),
    ]
    share: Annotated[
        float,
        Field(allow_inf_nan=False, ge=0, le=1, description="the share of entities that the challenger decides for"),
        NUMBER,
    ]
    shadow: Annotated[bool, Field(description="the challenger is scored but decides for no entity")] = False
    entity: Annotated[str, Field(description="the column whose values are assigned")] = "id"
    start: Annotated[datetime.date, Field(description="the first day")]
    end: Annotated[datetime.date, Field(description="the last day, included; the experiment is decided after it")]
    metric: Literal["log_loss", "brier", "auc"] = "log_loss"
    minimum_effect: Annotated[
        float,
        Field(allow_inf_nan=False, ge=0, description="the improvement of the metric that the challenger must exceed"),
        NUMBER,
    ] = 0.0

    @model_validator(mode="after")
    def _check_days(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"start {self.start} is after end {self.end}")
        return self

    @property
    def deciding(self) -> float:
        """The share of entities that the challenger decides for: none in shadow."""
        return 0.0 if self.shadow else self.share

    def is_on(self, day: datetime.date) -> bool:
        """Whether the experiment runs on `day`."""
        return self.start <= day <= self.end


class Drift(Section):
    """Monitoring: the model, its datasets, and the PSI that counts as drift, unless chance alone explains it."""

    model: Annotated[
        str, Field(pattern=rf"{MODEL}|^$", description="the promoted model that `samebook drift` looks at by default")
    ] = ""
    features: Annotated[str, Field(description="the dataset whose rows have the model's features")] = ""
    scores: Annotated[
        str, Field(description="the dataset of the model's scores; its column `model` is the sha256 of a model's file")
    ] = ""
    score: Annotated[str, Field(min_length=1, description="the column of `scores` with the score")] = "score"
    labels: Annotated[str, Field(description="the dataset of the true values, expected a day later; may be empty")] = ""
    fail_on: Annotated[
        Literal["none", "warn", "alarm"], Field(description="the verdict that ends `samebook drift` with exit code 6")
    ] = "none"
    warn: Annotated[
        float, Field(allow_inf_nan=False, ge=0, description="the PSI above which the verdict is warn"), NUMBER
    ] = 0.1
    alarm: Annotated[
        float, Field(allow_inf_nan=False, ge=0, description="the PSI above which the verdict is alarm"), NUMBER
    ] = 0.25

    @property
    def datasets(self) -> dict[str, str]:
        """The names of the datasets that are set, by their keys."""
        names = {"features": self.features, "scores": self.scores, "labels": self.labels}
        return {key: name for key, name in names.items() if name}

    @model_validator(mode="after")
    def _check_datasets(self) -> Self:
        if len(set(self.datasets.values())) < len(self.datasets):
            raise ValueError("expected another dataset for each of features, scores and labels")
        return self

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if self.alarm < self.warn:
            raise ValueError(f"alarm {self.alarm:g} is below warn {self.warn:g}")
        return self
