"""The settings of a deployment environment: `environments/<env>.yml`, validated.

A variable overrides a setting: SAMEBOOK_CELL_TIMEOUT=60, SAMEBOOK_WAREHOUSE__URL=duckdb:///other.duckdb.
"""

import os
from pathlib import Path
from typing import Annotated, override

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from samebook.core import head
from samebook.core.digest import json_bytes
from samebook.core.errors import UsageError, closest, nearest
from samebook.core.workspace import Workspace
from samebook.environment import input_entries, yaml_file
from samebook.environment.explain import PREFIX, UNSHOWN, check_variables, explanation
from samebook.environment.fields import NUMBER, Cron, Job, PatternBeside, VariableName
from samebook.environment.model_sections import AbTest, Drift, Promotion
from samebook.environment.numerics import LEVEL, MOST_THREADS, OPENMP_THREADS, Name
from samebook.environment.sections import Dataset, Mlflow, Notify, Published, Retention, Store, Warehouse, Watch

# Seconds; a clock can't count to any number.
LONGEST = 1_000_000_000


class Settings(BaseSettings):
    """The settings that may differ between dev, preprod and prod; nothing else does."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__")

    warehouse: Warehouse = Warehouse()
    store: Store = Store()
    datasets: dict[str, Dataset] = {}
    promotion: Promotion = Promotion()
    published: Published | None = None
    ab_test: AbTest | None = None
    watch: Watch = Watch()
    schedule: Annotated[dict[Job, Cron], Field(description="the cron line of each job, in UTC")] = {}
    notify: Notify = Notify()
    retention: Retention = Retention()
    drift: Drift = Drift()
    mlflow: Mlflow = Mlflow()
    numerics: Annotated[
        Name, Field(description=f"portable: the same digits on each {LEVEL} processor; fast: all that this one has")
    ] = "portable"
    threads: Annotated[
        int,
        Field(
            ge=0,
            le=MOST_THREADS,
            description=f"OpenMP threads of a kernel; 0: {OPENMP_THREADS} where portable, all cores where fast;"
            " OMP_NUM_THREADS wins",
        ),
        NUMBER,
    ] = 0
    variables: Annotated[
        tuple[VariableName, ...],
        Field(description="the NAMES of variables of the caller's shell that a kernel gets beside the short list"),
    ] = ()
    cell_timeout: Annotated[
        int, Field(ge=0, le=LONGEST, description="the time limit of a cell in seconds; 0: none"), NUMBER
    ] = 0
    outputs: Annotated[
        tuple[PatternBeside, ...],
        Field(description="files that notebooks write beside themselves and that become results, as images/**"),
    ] = ()
    ignore_unseen: Annotated[
        tuple[str, ...],
        Field(description='reads that nobody sees and you answer for, by their beginnings, as "network"'),
    ] = ()
    save_every: Annotated[
        float, Field(allow_inf_nan=False, gt=0, description="seconds between saves of a running notebook"), NUMBER
    ] = 5.0
    output_limit: Annotated[
        int,
        Field(
            ge=1,
            le=LONGEST // 10**6,
            description="the largest output of a cell, in MB: of what it prints to stdout, to stderr, and of what it"
            " displays; what comes after is left out",
        ),
        NUMBER,
    ] = 50
    patch_limit: Annotated[
        int,
        Field(ge=0, description="the largest size of uncommitted changes that a run keeps as a patch, in MB"),
        NUMBER,
    ] = 50

    @field_validator("datasets")
    @classmethod
    def _check_tables(cls, datasets: dict[str, Dataset]) -> dict[str, Dataset]:
        tables = [dataset.into for dataset in datasets.values() if dataset.into]
        if repeated := next((table for table in tables if tables.count(table) > 1), None):
            raise PydanticCustomError(UNSHOWN, "into: {table} is named for two datasets", {"table": repeated})
        return datasets

    @field_validator("drift")
    @classmethod
    def _check_drift(cls, drift: Drift, info: ValidationInfo) -> Drift:
        names = info.data.get("datasets", {})
        for key, name in drift.datasets.items():
            if name not in names:
                values = {"key": key, "name": name, "hint": nearest(name, names)}
                raise PydanticCustomError(UNSHOWN, "{key}: no '{name}' among `datasets`{hint}", values)
        return drift

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources, the strongest first: variables, then the file, whose values the constructor gets."""
        return env_settings, init_settings

    def secret_names(self) -> list[str]:
        """The names of the secrets that these settings refer to."""
        store, token = self.store, self.mlflow.token
        names = (self.warehouse.password, store.access_key, store.secret_key, self.notify.webhook, token)
        return [name for name in names if name is not None]


def load(workspace: Workspace, env: str) -> Settings:
    """The settings of `env`, with the variables that override them. Raises UsageError with the file and the key."""
    path = settings_path(workspace, env)
    check_variables(os.environ, Settings)
    try:
        return Settings(**yaml_file.read(path))
    except ValidationError as error:
        name = _variable_in(error)
        source, mend = (
            (f"the variable {name}", f"unset {name}") if name else (file := workspace.relative(path), f"edit {file}")
        )
        raise UsageError(f"{source}: {explanation(error, Settings)}", mend=mend) from None
    except SettingsError as error:
        mend = f"env | grep {PREFIX}"
        raise UsageError(f"a variable {PREFIX}… is not usable, expected JSON: {error}", mend=mend) from None


def committed_promotion(workspace: Workspace, env: str) -> Promotion:
    """The policy of `env` as it is committed at HEAD. Raises UsageError for none, and where a variable changes it."""
    prefix = variable(("promotion",))
    if names := sorted(name for name in os.environ if name.upper().startswith(prefix)):
        raise UsageError(f"{names[0]} would change the policy; expected what git says of it", mend=f"unset {names[0]}")
    path = workspace.relative(settings_path(workspace, env))
    content = head.content(workspace.root, path)
    if content is None:
        raise UsageError(
            f"{path} is not committed, and a policy is what git says", mend=f"git add {path} && git commit"
        )
    try:
        return Promotion.model_validate(yaml_file.parse(content, path).get("promotion", {}))
    except ValidationError as error:
        raise UsageError(
            f"{path} at HEAD: promotion.{explanation(error, Promotion)}", mend=f"edit {path}, and git commit --all"
        ) from None


def settings_path(workspace: Workspace, env: str) -> Path:
    """The path of the settings file of `env`. Raises UsageError where there is no such environment."""
    if env not in (environments := names(workspace)):
        meant = closest(env, environments)
        raise UsageError(f"no environment {env!r}{nearest(env, environments)}", mend=f"make settings ENV={meant}")
    return workspace.environments / f"{env}.yml"


def names(workspace: Workspace) -> list[str]:
    """The names of the environments, sorted."""
    files = {*workspace.environments.glob("*.yml")} - {input_entries.path(workspace)}
    return sorted(path.stem for path in files if path.is_file())


def section_bytes(settings: Settings, name: str) -> bytes:
    """A section of settings as a run records it: JSON; `null` where the settings have none."""
    section = getattr(settings, name)
    return json_bytes(section.model_dump(mode="json") if section else None)


def variable(location: tuple[int | str, ...]) -> str:
    """The variable that overrides the setting at a location: ("store", "url") is SAMEBOOK_STORE__URL."""
    return PREFIX + "__".join(map(str, location)).upper()


def _variable_in(error: ValidationError) -> str:
    """The variable that has set a wrong value; "" where the file has."""
    location = error.errors()[0]["loc"]
    names = (variable(location[:end]) for end in range(len(location), 0, -1))
    return next((name for name in names if name in os.environ), "")
