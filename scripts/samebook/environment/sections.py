"""The sections of settings that are about data and operation: warehouse, store, MLflow, datasets, watch, notices."""

from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from samebook.environment.explain import UNSHOWN
from samebook.environment.fields import NUMBER, PackageName, SecretName, url_parts

# An image in a registry by its digest, which can't be moved as a tag can.
IMAGE = r"^[A-Za-z0-9][A-Za-z0-9./:_-]*@sha256:[0-9a-f]{64}$"


class Section(BaseModel):
    """A group of settings; an unknown key is an error, so that a typing mistake is never a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Warehouse(Section):
    """The database in which queries run."""

    url: Annotated[
        str,
        Field(
            pattern=r"^(duckdb:///.+|postgres(ql)?://.+)$",
            description="duckdb:/// and a path in the workspace, or postgresql://user@host:5432/database",
        ),
    ] = "duckdb:///data/warehouse.duckdb"
    password: Annotated[SecretName | None, Field(description="the secret that holds the password")] = None
    sample: Annotated[
        PackageName, Field(description="the package whose CSV files become tables where the warehouse is missing")
    ] = ""

    @model_validator(mode="after")
    def _check_password(self) -> Self:
        parts = url_parts(self.url)
        if parts.password or any(
            "password" in name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)
        ):
            raise PydanticCustomError(
                UNSHOWN, "a password stands in the URL; expected `password: NAME_OF_A_SECRET` beside it"
            )
        return self


class Store(Section):
    """The store that machines share, in addition to the local folder store/."""

    url: Annotated[
        str,
        Field(
            pattern=r"^(s3://[a-z0-9][a-z0-9.-]+(/.*)?)?$", description="s3://bucket/prefix; empty: only store/ here"
        ),
    ] = ""
    endpoint: Annotated[
        str,
        Field(pattern=r"^(https?://\S+)?$", description="the address of an S3 other than AWS: http://127.0.0.1:9000"),
    ] = ""
    region: str = "us-east-1"
    access_key: Annotated[SecretName | None, Field(description="the secret that holds the key's id")] = None
    secret_key: Annotated[SecretName | None, Field(description="the secret that holds the key")] = None

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, endpoint: str) -> str:
        parts = url_parts(endpoint)
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise PydanticCustomError(
                UNSHOWN, "a key stands in the URL; expected `access_key` and `secret_key: NAME_OF_A_SECRET` beside it"
            )
        return endpoint


class Mlflow(Section):
    """A tracking server of MLflow that gets a copy of each run, and of the models that are promoted."""

    url: Annotated[
        str,
        Field(pattern=r"^(https?://\S+)?$", description="the server's address: http://127.0.0.1:5000; empty: none"),
    ] = ""
    experiment: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,99}$",
            description="the beginning of the experiments' names, one for each notebook: samebook/train",
        ),
    ] = "samebook"
    branch: Annotated[
        str,
        Field(
            pattern=r"^([A-Za-z0-9][\w./-]*)?$",
            description="the branch whose models are champions there; empty: the one that is checked out",
        ),
    ] = ""
    user: Annotated[str, Field(description="the user whose password the token is; empty: a bearer token")] = ""
    token: Annotated[SecretName | None, Field(description="the secret that the server asks for")] = None
    largest: Annotated[int, Field(ge=0, description="the largest file that is sent, in MB"), NUMBER] = 100

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = url_parts(url)
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise PydanticCustomError(
                UNSHOWN, "a password stands in the URL; expected `user` and `token: NAME_OF_A_SECRET` beside it"
            )
        return url.rstrip("/")


class Dataset(Section):
    """The notebook that makes a dataset, and the table of the warehouse that gets a copy."""

    made_by: Annotated[
        str, Field(description="the notebook that makes missing days; its parameters are start and end")
    ] = ""
    into: Annotated[
        str,
        Field(
            pattern=r"^([a-z][a-z0-9_]*)?$",
            description="the table of the warehouse that gets a copy of each published day",
        ),
    ] = ""


class WatchWarehouse(Section):
    """A query for the days in the warehouse: columns `day`, and `version`, which changes when the day's rows do."""

    query: Annotated[str, Field(description="a query in notebooks/queries/, like days.sql")] = "days.sql"
    pipeline: Annotated[str, Field(description="the pipeline that runs for each new or changed day")] = "daily"
    every: Annotated[float, Field(allow_inf_nan=False, ge=1, description="seconds between two queries"), NUMBER] = 300


class Watch(Section):
    """The events that `samebook watch` waits for."""

    inbox: Annotated[
        dict[str, str], Field(description="by dataset, the pipeline that takes in its files from data/inbox/")
    ] = {}
    settle: Annotated[
        float, Field(allow_inf_nan=False, ge=0, description="seconds for which a file must stay unchanged"), NUMBER
    ] = 2.0
    warehouse: WatchWarehouse | None = None
    schedule: Annotated[bool, Field(description="run the jobs of schedule too")] = False


class Notify(Section):
    """The notices about failures and alarms of unattended work."""

    webhook: Annotated[SecretName | None, Field(description="the secret that holds the URL to post JSON to")] = None
    on: Annotated[
        tuple[Literal["failure", "alarm"], ...], Field(description="the events that a notice is sent for")
    ] = ("failure", "alarm")


class Retention(Section):
    """The runs that `samebook gc` keeps although nothing needs them any more."""

    days: Annotated[int, Field(ge=0, le=36500, description="the age in days up to which every run is kept"), NUMBER] = (
        90
    )
    keep: Annotated[
        int, Field(ge=0, description="the number of newest finished runs that are kept for each notebook"), NUMBER
    ] = 20


class Published(Section):
    """The release image of an environment, which `make publish` writes: runs in a container take it, by its digest."""

    commit: Annotated[
        str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$", description="the commit that the images are of")
    ]
    runtime: Annotated[str, Field(pattern=IMAGE, description="production's image: NAME@sha256:…")]
    lab: Annotated[str, Field(pattern=f"{IMAGE}|^$", description="the image to develop in; empty: none")] = ""
