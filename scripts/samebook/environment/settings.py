"""The settings of a deployment environment: `environments/<env>.yml`, validated.

Any of them can be overridden by a variable: SAMEBOOK_CELL_TIMEOUT=60, SAMEBOOK_WAREHOUSE__URL=duckdb:///other.duckdb.
`verbs/settings.py` tells where each value comes from.
"""

import os
from pathlib import Path
from typing import Annotated, override

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from samebook.core.digest import json_bytes
from samebook.core.errors import UsageError, nearest
from samebook.core.workspace import Workspace
from samebook.environment import yaml_file
from samebook.environment.explain import PREFIX, UNSHOWN, explanation, unknown_variable
from samebook.environment.sections import (
    NUMBER,
    AbTest,
    Cron,
    Dataset,
    Drift,
    Job,
    Notify,
    Promotion,
    Retention,
    Store,
    Warehouse,
    Watch,
)

# What a run calls a group of settings that it went by: `settings ab_test`.


class Settings(BaseSettings):
    """What may differ between dev, preprod and prod; nothing else does."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__")

    warehouse: Warehouse = Warehouse()
    store: Store = Store()
    datasets: dict[str, Dataset] = {}
    promotion: Promotion = Promotion()
    ab_test: AbTest | None = None
    watch: Watch = Watch()
    schedule: Annotated[dict[Job, Cron], Field(description="when each job is due, in UTC")] = {}
    notify: Notify = Notify()
    retention: Retention = Retention()
    drift: Drift = Drift()
    threads: Annotated[int, Field(ge=0, description="threads of a kernel; 0: all; OMP_NUM_THREADS wins"), NUMBER] = 0
    cell_timeout: Annotated[int, Field(ge=0, description="seconds a cell may take; 0 is no limit"), NUMBER] = 0
    save_every: Annotated[
        float, Field(allow_inf_nan=False, gt=0, description="seconds between saves of a running notebook"), NUMBER
    ] = 5.0

    @field_validator("datasets")
    @classmethod
    def _tables_differ(cls, datasets: dict[str, Dataset]) -> dict[str, Dataset]:
        tables = [each.into for each in datasets.values() if each.into]
        if twice := next((table for table in tables if tables.count(table) > 1), None):
            raise PydanticCustomError(UNSHOWN, "into: {table} is named for two datasets", {"table": twice})
        return datasets

    @field_validator("drift")
    @classmethod
    def _datasets_are_known(cls, drift: Drift, info: ValidationInfo) -> Drift:
        known = info.data.get("datasets", {})
        for key, name in drift.datasets.items():
            if name not in known:
                told = {"key": key, "name": name, "hint": nearest(name, known)}
                raise PydanticCustomError(UNSHOWN, "{key}: no '{name}' among `datasets`{hint}", told)
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
        """A variable wins over the file, whose values are given to the constructor."""
        return env_settings, init_settings

    def secret_names(self) -> list[str]:
        """The secrets that these settings refer to."""
        named = (self.warehouse.password, self.store.access_key, self.store.secret_key, self.notify.webhook)
        return [name for name in named if name is not None]


def load(workspace: Workspace, env: str) -> Settings:
    """The settings in force for `env`. Raises UsageError naming the file, the key and what was expected."""
    path = settings_path(workspace, env)
    if wrong := unknown_variable(os.environ, Settings):
        raise UsageError(wrong)
    try:
        return Settings(**yaml_file.read(path))
    except ValidationError as error:
        raise UsageError(f"{_where(error, workspace.relative(path))}: {explanation(error, Settings)}") from None
    except SettingsError as error:
        raise UsageError(f"a variable {PREFIX}… is not usable, expected JSON: {error}") from None


def settings_path(workspace: Workspace, env: str) -> Path:
    """Where the settings of `env` are. Raises UsageError for an environment that there is not."""
    path = workspace.environments / f"{env}.yml"
    if not path.is_file() or Path(env).name != env:
        known = (found.stem for found in workspace.environments.glob("*.yml"))
        raise UsageError(f"no environment {env!r}{nearest(env, known)}")
    return path


def section_bytes(in_force: Settings, name: str) -> bytes:
    """A group of settings as a run records it: JSON, `null` where the settings have none."""
    found = getattr(in_force, name)
    return json_bytes(found.model_dump(mode="json") if found else None)


def variable(location: tuple[int | str, ...]) -> str:
    """The variable that overrides the setting at a location: ("store", "url") is SAMEBOOK_STORE__URL."""
    return PREFIX + "__".join(map(str, location)).upper()


def _where(error: ValidationError, path: str) -> str:
    """Whose value is wrong: a variable's, which wins over the file's, or the file's."""
    location = error.errors()[0]["loc"]
    named = (variable(location[:end]) for end in range(len(location), 0, -1))
    found = next((name for name in named if name in os.environ), None)
    return f"the variable {found}" if found else path
