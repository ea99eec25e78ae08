"""Tells what is wrong with settings: the key, what was found, and what was expected or meant. Never a secret."""

import difflib
import typing
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from samebook.core.errors import nearest

PREFIX = "SAMEBOOK_"
# The kind of an error that says by itself what was found, or must not say it.
UNSHOWN = "unshown"
# Where a secret may stand by mistake, in place of its name or in a URL.
SECRETIVE = {
    ("warehouse", "url"),
    ("warehouse", "password"),
    ("store", "url"),
    ("store", "endpoint"),
    ("store", "access_key"),
    ("store", "secret_key"),
    ("notify", "webhook"),
}
# Variables that are no settings: the caller's, and those that make, the image and the runner hand on.
OTHERS = {
    *("WORKSPACE", "ENV", "ENGINE", "TAG", "UID", "GID", "DOCKER", "BESIDE", "REQUIRE_DOCKER"),
    *("BASE_IMAGE", "IMAGE", "BUILDER", "COMMIT", "PATCH", "PINNED", "RUN", "HASH_SEED", "STEP", "PARENT", "WARM"),
}

type Location = tuple[int | str, ...]


def explanation(error: ValidationError, model: type[BaseModel]) -> str:
    """The first thing that is wrong."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting {key!r}{nearest(key.split('.')[-1], _known(first['loc'][:-1], model))}"
    if first["type"] == "missing":
        return f"{key}: not set; expected a value"
    if first["type"] == UNSHOWN:
        return f"{key}: {first['msg']}"
    found = "what was found is not shown" if _is_secretive(first["loc"]) else f"found {first['input']!r}"
    return f"{key}: {found}; {first['msg']}"


def _is_secretive(location: Location) -> bool:
    """Whether a secret may stand at a location, or in the group of settings that it is, or below it."""
    return any(location[: len(each)] == each[: len(location)] for each in SECRETIVE)


def unknown_variable(names: Iterable[str], model: type[BaseModel]) -> str:
    """The first SAMEBOOK_ variable that means nothing, with the nearest that does; empty where all mean something."""
    for name in sorted(names):
        given = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX) and given not in OTHERS and not _sets(given.split("__"), model):
            close = difflib.get_close_matches(given, {*OTHERS, *_variables(model)}, n=1)
            meant = f"did you mean {PREFIX}{close[0]}?" if close else "expected one of a setting: `samebook settings`"
            return f"unknown variable {name}; {meant}"
    return ""


def _sets(parts: list[str], model: type[BaseModel]) -> bool:
    """Whether there is such a setting at the top; what is wrong below it is found where its value is checked."""
    field = model.model_fields.get(parts[0].lower())
    return field is not None and (len(parts) == 1 or field.annotation not in (int, float))


def _variables(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """What follows SAMEBOOK_ in the variable of each setting, as far as settings have fixed names."""
    for name, field in model.model_fields.items():
        yield above + name.upper()
        inner = _model_in(field.annotation)
        if inner and typing.get_origin(field.annotation) is not dict:
            yield from _variables(inner, f"{above}{name.upper()}__")


def _known(location: Location, model: type[BaseModel]) -> set[str]:
    """The settings that there are at a location."""
    for part in location:
        field = model.model_fields.get(str(part))
        inner = _model_in(field.annotation) if field else None
        model = inner or model  # the name of a dataset is no field: stay
    return set(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The group of settings that a type holds: itself, or one of a union's or a dict's."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _model_in(part))), None)
