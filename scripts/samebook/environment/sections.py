"""The sections of a deployment environment's settings, environments/<env>.yml: what may stand in each."""

import datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from samebook.core import cron
from samebook.core.secret import SecretName
from samebook.environment.explain import UNSHOWN

PROMOTED = r"^[a-z][a-z0-9_-]*(@\S+)?$"
PACKAGE = r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$"
LOWER, HIGHER = "lower", "higher"
# What a metric of this name means, whatever the settings say.
BETTER = {"auc": HIGHER, "log_loss": LOWER, "brier": LOWER, "calibration_error": LOWER}


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number", "expected a number")
    return value


# `true` is no 1; and no limit is infinite, or .inf would switch a gate off.
NUMBER = BeforeValidator(_no_truth)


def _package(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("package", "expected the name of a package with CSV files; without one, no line")
    return value


class Part(BaseModel):
    """A group of settings; an unknown key is an error, so that a typing mistake is never a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Warehouse(Part):
    """Where queries run."""

    url: Annotated[
        str,
        Field(
            pattern=r"^(duckdb:///.+|postgres(ql)?://.+)$",
            description="duckdb:/// and a path in the workspace, or postgresql://user@host:5432/database",
        ),
    ] = "duckdb:///data/warehouse.duckdb"
    password: Annotated[SecretName | None, Field(description="the secret that holds the password")] = None
    sample: Annotated[
        str,
        Field(pattern=PACKAGE, description="the package whose CSV files become tables where the warehouse is missing"),
        BeforeValidator(_package),
    ] = ""

    @model_validator(mode="after")
    def _password_is_a_reference(self) -> Self:
        if _parts(self.url).password or "password=" in self.url:
            raise PydanticCustomError(
                UNSHOWN, "a password stands in the URL; expected `password: NAME_OF_A_SECRET` beside it"
            )
        return self


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # whose words quote the URL
        raise PydanticCustomError(UNSHOWN, "what was found is no URL") from None


class Store(Part):
    """What machines share: the remote beside the local folder store/."""

    url: Annotated[
        str,
        Field(
            pattern=r"^(s3://[a-z0-9][a-z0-9.-]+(/.*)?)?$", description="s3://bucket/prefix; empty: only store/ here"
        ),
    ] = ""
    endpoint: Annotated[
        str, Field(pattern=r"^(https?://\S+)?$", description="of an S3 other than AWS: http://127.0.0.1:9000")
    ] = ""
    region: str = "us-east-1"
    access_key: Annotated[SecretName | None, Field(description="the secret that holds the key's id")] = None
    secret_key: Annotated[SecretName | None, Field(description="the secret that holds the key")] = None

    @field_validator("endpoint")
    @classmethod
    def _names_a_server_only(cls, endpoint: str) -> str:
        if "@" in _parts(endpoint).netloc:
            raise PydanticCustomError(
                UNSHOWN, "a key stands in the URL; expected `access_key` and `secret_key: NAME_OF_A_SECRET` beside it"
            )
        return endpoint


class Dataset(Part):
    """How a dataset comes into being, and where else it goes."""

    made_by: Annotated[str, Field(description="the notebook that makes missing days, from `start` to `end`")] = ""
    into: Annotated[
        str,
        Field(pattern=r"^([a-z][a-z0-9_]*)?$", description="the warehouse's table that each published day goes into"),
    ] = ""


class Gate(Part):
    """A candidate against the champion on the same rows, and against the baseline."""

    notebook: Annotated[str, Field(description="the notebook that compares: parameters candidate and champion")] = (
        "gate"
    )
    metric: str = "auc"
    better: Literal["higher", "lower"] = "higher"
    margin: Annotated[
        float,
        Field(allow_inf_nan=False, ge=0, description="how much worse than the champion's the metric may be"),
        NUMBER,
    ] = 0.005

    @model_validator(mode="after")
    def _right_way_up(self) -> Self:
        meant = BETTER.get(self.metric, self.better)
        if meant != self.better:
            raise PydanticCustomError(
                UNSHOWN,
                "better: found '{found}'; of {metric} the {meant} is the better: expected `better: {meant}`",
                {"found": self.better, "metric": self.metric, "meant": meant},
            )
        return self


class Promotion(Part):
    """What a run must show before its model is promoted; each can be switched off."""

    clean_commit: Annotated[bool, Field(description="made from a commit, without changes")] = True
    pinned_image: Annotated[bool, Field(description="made in the image, on a base that is named by digest")] = False
    reproduced: Annotated[bool, Field(description="found IDENTICAL by another builder")] = False
    signed: Annotated[bool, Field(description="receipt and reproductions signed by a trusted key")] = False
    gate: Gate | None = None


class AbTest(Part):
    """A challenger against the champion, in batch: who decides for whom, when, and what counts as better."""

    experiment: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    salt: Annotated[str, Field(min_length=1, description="another salt is another assignment")]
    challenger: Annotated[str, Field(pattern=PROMOTED, description="a promoted model: churn@ab-test-deeper")]
    champion: Annotated[
        str,
        Field(
            pattern=PROMOTED,
            default_factory=lambda given: given.get("challenger", "").partition("@")[0],
            description="a promoted model: churn, or churn@branch; by default the challenger's, as it is here",
        ),
    ]
    share: Annotated[
        float,
        Field(allow_inf_nan=False, ge=0, le=1, description="the share of entities that the challenger decides for"),
        NUMBER,
    ]
    shadow: Annotated[bool, Field(description="the challenger is scored, and never decides")] = False
    entity: Annotated[str, Field(description="the column whose values are assigned")] = "id"
    start: Annotated[datetime.date, Field(description="the first day")]
    end: Annotated[datetime.date, Field(description="the last day, included; only then it is decided")]
    metric: Literal["log_loss", "brier", "auc"] = "log_loss"
    minimum_effect: Annotated[
        float, Field(allow_inf_nan=False, ge=0, description="an improvement up to this isn't worth a change"), NUMBER
    ] = 0.0

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
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


class WatchWarehouse(Part):
    """Which days the warehouse has: a query that gives `day`, and `version`, which changes when the day's rows do."""

    query: Annotated[str, Field(description="a query in notebooks/queries/, like days.sql")] = "days.sql"
    pipeline: Annotated[str, Field(description="the pipeline that runs for each new or changed day")] = "daily"
    every: Annotated[float, Field(allow_inf_nan=False, ge=1, description="seconds between two questions"), NUMBER] = 300


class Watch(Part):
    """What `samebook watch` waits for."""

    inbox: Annotated[
        dict[str, str], Field(description="for files of each dataset in data/inbox/, the pipeline that takes them in")
    ] = {}
    settle: Annotated[
        float, Field(allow_inf_nan=False, ge=0, description="seconds that a file must be at rest"), NUMBER
    ] = 2.0
    warehouse: WatchWarehouse | None = None
    schedule: Annotated[bool, Field(description="run the jobs of `schedule` too")] = False


class Notify(Part):
    """Who is told when something goes wrong that nobody watches."""

    webhook: Annotated[SecretName | None, Field(description="the secret that holds the URL to post JSON to")] = None
    on: Annotated[tuple[Literal["failure", "alarm"], ...], Field(description="what of")] = ("failure", "alarm")


class Retention(Part):
    """How long runs stay that nothing needs any more: `samebook gc`."""

    days: Annotated[int, Field(ge=0, le=36500, description="what is younger stays"), NUMBER] = 90
    keep: Annotated[int, Field(ge=0, description="so many finished runs of each notebook stay, the newest"), NUMBER] = (
        20
    )


def _cron(line: str) -> str:
    try:
        cron.parse(line)
    except ValueError as error:
        raise PydanticCustomError("cron", "{why}", {"why": str(error)}) from None
    return line


type Cron = Annotated[str, AfterValidator(_cron), Field(description="minute hour day month weekday")]
type Job = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=30, description="a pipeline's name")]


class Drift(Part):
    """Monitoring: the model and the datasets to look at, and the PSI that counts as drift, if chance gives less."""

    model: Annotated[
        str, Field(pattern=rf"{PROMOTED}|^$", description="the promoted model that `samebook drift` means by default")
    ] = ""
    features: Annotated[str, Field(description="the dataset whose rows have the model's features")] = ""
    scores: Annotated[
        str, Field(description="the dataset of the model's scores; its column `model` is the sha256 of a model's file")
    ] = ""
    score: Annotated[str, Field(min_length=1, description="the column of `scores` with the score")] = "score"
    labels: Annotated[str, Field(description="the dataset of what came true, expected a day later; may be empty")] = ""
    fail_on: Annotated[
        Literal["none", "warn", "alarm"], Field(description="the verdict that ends `samebook drift` with exit code 6")
    ] = "none"
    warn: Annotated[float, Field(allow_inf_nan=False, ge=0, description="PSI that is worth a look"), NUMBER] = 0.1
    alarm: Annotated[float, Field(allow_inf_nan=False, ge=0, description="PSI that needs somebody"), NUMBER] = 0.25

    @property
    def datasets(self) -> dict[str, str]:
        """The names that are set, by their keys."""
        names = {"features": self.features, "scores": self.scores, "labels": self.labels}
        return {key: name for key, name in names.items() if name}

    @model_validator(mode="after")
    def _datasets_differ(self) -> Self:
        if len(set(self.datasets.values())) < len(self.datasets):
            raise ValueError("expected another dataset for each of features, scores and labels")
        return self

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        if self.alarm < self.warn:
            raise ValueError(f"alarm {self.alarm:g} is below warn {self.warn:g}")
        return self
