"""The settings of a deployment environment: `environments/<env>.yml`, validated.

Any of them can be overridden by a variable: SAMEBOOK_CELL_TIMEOUT=60, SAMEBOOK_WAREHOUSE__URL=duckdb:///other.duckdb.
"""

import os
from pathlib import Path
from typing import Annotated, Any, override

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from samebook.errors import UsageError, nearest
from samebook.workspace import Workspace


class Part(BaseModel):
    """A group of settings; an unknown key is an error, so that a typing mistake is never a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Warehouse(Part):
    url: Annotated[str, Field(pattern=r"^duckdb:///.+", description="duckdb:/// and a path in the workspace")] = (
        "duckdb:///data/warehouse.duckdb"
    )
    sample: Annotated[bool, Field(description="load the shipped sample where the warehouse is missing")] = False


class Dataset(Part):
    made_by: Annotated[str, Field(description="the notebook that makes missing days, from `start` to `end`")]


class Settings(BaseSettings):
    """What may differ between dev, preprod and prod; nothing else does."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix="SAMEBOOK_", env_nested_delimiter="__")

    warehouse: Warehouse = Warehouse()
    datasets: dict[str, Dataset] = {}
    cell_timeout: Annotated[int, Field(ge=0, description="seconds a cell may take; 0 is no limit")] = 0
    save_every: Annotated[float, Field(gt=0, description="seconds between saves of a running notebook")] = 5.0

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


def load(workspace: Workspace, env: str) -> Settings:
    """The settings in force for `env`. Raises UsageError naming the file, the key and what was expected."""
    path = workspace.environments / f"{env}.yml"
    if not path.is_file() or Path(env).name != env:
        known = (found.stem for found in workspace.environments.glob("*.yml"))
        raise UsageError(f"no environment {env!r}{nearest(env, known)}")
    try:
        return Settings(**_values(path))
    except ValidationError as error:
        raise UsageError(f"{_where(error, workspace.relative(path))}: {_explained(error)}") from error
    except SettingsError as error:
        raise UsageError(f"a variable SAMEBOOK_… is not usable, expected JSON: {error}") from error


def _values(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path.name}: found a {type(values).__name__}; expected settings, `name: value`")
    return {str(name): value for name, value in values.items()}


def _where(error: ValidationError, file: str) -> str:
    """Whose value is wrong: a variable's, which wins over the file's, or the file's."""
    variable = "SAMEBOOK_" + "__".join(str(part) for part in error.errors()[0]["loc"]).upper()
    return f"the variable {variable}" if variable in os.environ else file


def _explained(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting {key!r}{nearest(key.split('.')[-1], _known(first['loc']))}"
    return f"{key}: found {first['input']!r}; {first['msg']}"


def _known(location: tuple[int | str, ...]) -> set[str]:
    parts: dict[str, type[BaseModel]] = {"warehouse": Warehouse, "datasets": Dataset}
    model = parts.get(str(location[0]), Settings) if len(location) > 1 else Settings
    return set(model.model_fields)
