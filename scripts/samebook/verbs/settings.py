"""Show the settings in force: each value, and whether a variable, the file or a default says so."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from samebook.core.digest import json_bytes
from samebook.core.table import align
from samebook.core.workspace import Workspace
from samebook.environment import yaml_file
from samebook.environment.settings import Settings, load, settings_path, variable

DEFAULT = "default"


@dataclass(frozen=True)
class Setting:
    """One setting by its dotted name; `origin` is a variable, a file, or `default`."""

    name: str
    value: Any
    origin: str


def settings(workspace: Workspace, env: str) -> list[Setting]:
    """The settings of `env`, in the order of the model. Raises UsageError where they are not valid."""
    found = load(workspace, env).model_dump(mode="json")
    path = settings_path(workspace, env)
    told = {location for location, _ in _leaves(yaml_file.read(path))}

    def origin(location: tuple[str, ...]) -> str:
        above = [location[:end] for end in range(len(location), 0, -1)]
        named = next((variable(each) for each in above if variable(each) in os.environ), None)
        is_told = any(each in told for each in above) or any(each[: len(location)] == location for each in told)
        return named or (workspace.relative(path) if is_told else DEFAULT)

    return [Setting(".".join(location), value, origin(location)) for location, value in _leaves(found)]


def _leaves(value: Any, location: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*location, str(name)))
    elif location:
        yield location, value


def table(found: list[Setting]) -> str:
    """The settings as text, a line each."""
    shown = [(each.name, "" if each.value is None else json.dumps(each.value), each.origin) for each in found]
    return "\n".join(align(shown))


def schema() -> bytes:
    """The JSON Schema of a settings file, for editors: environments/schemas/settings.json."""
    return json_bytes(Settings.model_json_schema())
