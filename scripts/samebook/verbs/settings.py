"""Show the settings in force: each value, and its origin, which is a variable, the file or the default."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from samebook.core.digest import json_bytes
from samebook.core.text import align
from samebook.core.workspace import Workspace
from samebook.environment import yaml_file
from samebook.environment.settings import Settings, load, settings_path, variable

DEFAULT = "default"


@dataclass(frozen=True)
class Setting:
    """One setting by its dotted name; `origin` is the name of a variable, the path of a file, or `default`."""

    name: str
    value: Any
    origin: str


def settings(workspace: Workspace, env: str) -> list[Setting]:
    """The settings of `env`, in the order of the model. Raises UsageError where they are not valid."""
    env_settings = load(workspace, env).model_dump(mode="json")
    path = settings_path(workspace, env)
    in_file = {location for location, _ in _leaves(yaml_file.read(path))}

    def source(location: tuple[str, ...]) -> str:
        # A variable, or the file, may also set a whole section, or a part of the value.
        sections = [location[:end] for end in range(len(location), 0, -1)]
        name = next((variable(section) for section in sections if variable(section) in os.environ), None)
        is_in_file = not in_file.isdisjoint(sections) or any(leaf[: len(location)] == location for leaf in in_file)
        return name or (workspace.relative(path) if is_in_file else DEFAULT)

    return [Setting(".".join(location), value, source(location)) for location, value in _leaves(env_settings)]


def _leaves(value: Any, location: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*location, str(name)))
    elif location:
        yield location, value


def table(settings: list[Setting]) -> str:
    """The settings as text, a line each."""
    rows = [
        (setting.name, "" if setting.value is None else json.dumps(setting.value), setting.origin)
        for setting in settings
    ]
    return "\n".join(align(rows))


def schema() -> bytes:
    """The JSON Schema of a settings file, for editors: .samebook/schemas/settings.json."""
    return json_bytes(Settings.model_json_schema())
