"""Messages about wrong settings: the key, the value unless it may be a secret, and what was expected."""

import difflib
import typing
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from samebook.core.errors import UsageError, nearest
from samebook.environment import machine

PREFIX = "SAMEBOOK_"
# The type of a validation error whose message is complete: the value is not added to it.
UNSHOWN = "unshown"
# Settings whose value may hold a secret by mistake, in place of its name or in a URL.
SENSITIVE = {
    ("warehouse", "url"),
    ("warehouse", "password"),
    ("store", "url"),
    ("store", "endpoint"),
    ("store", "access_key"),
    ("store", "secret_key"),
    ("notify", "webhook"),
    ("mlflow", "url"),
    ("mlflow", "token"),
    ("from",),  # of an input file
}
# Variables that override no setting: the caller's, and those of make, the image and the runner.
OTHERS = {
    *("WORKSPACE", "ENV", "ENGINE", "TAG", "UID", "GID", "USER", "USERNS", "DOCKER", "BESIDE", "REQUIRE_DOCKER"),
    *("BASE_IMAGE", "IMAGE", "NAME", "BUILDER", "COMMIT", "PATCH"),
    *("PINNED", "RUN", "HASH_SEED", "LOWERED_LEVEL", "STEP", "PARENT", "WARM", "AT_WORKER", "EXTRA_VARIABLES"),
    *("UNCOMPILED", "UNSHARED", "KEPT"),
}
# Those by which the image says what it is, and make tells a container what its checkout is: no shell knows it better.
OF_THE_IMAGE = {"ENGINE", "BASE_IMAGE", "IMAGE", "COMMIT", "PATCH"}

type Location = tuple[int | str, ...]


def explanation(error: ValidationError, model: type[BaseModel]) -> str:
    """The message about the first error of a validation."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting {key!r}{nearest(key.split('.')[-1], _setting_names(first['loc'][:-1], model))}"
    if first["type"] == "missing":
        return f"{key}: not set; expected a value"
    if first["type"] == UNSHOWN:
        return f"{key}: {first['msg']}"
    value = "the value is not shown" if _is_sensitive(first["loc"]) else f"found {first['input']!r}"
    return f"{key}: {value}; {first['msg']}"


def _is_sensitive(location: Location) -> bool:
    """Whether a secret may stand at a location, above it or below it."""
    return any(location[: len(key)] == key[: len(location)] for key in SENSITIVE)


def check_variables(names: Iterable[str], model: type[BaseModel]) -> None:
    """Raise UsageError for a SAMEBOOK_ variable that overrides no setting, and outside the image for one that says what
    only the image and its make know: receipts would repeat it.
    """
    for name in sorted(names):
        key = name.upper().removeprefix(PREFIX)
        if key in OF_THE_IMAGE and name.upper().startswith(PREFIX) and not machine.is_image():
            raise UsageError(
                f"{name} is set outside of the image: it is what make tells a container, or an image of itself",
                mend=f"unset {name}",
            )
        if name.upper().startswith(PREFIX) and key not in OTHERS and not _is_setting(key.split("__"), model):
            close = difflib.get_close_matches(key, {*OTHERS, *_variables(model)}, n=1)
            hint = f"did you mean {PREFIX}{close[0]}?" if close else "expected the name of a setting: make settings"
            raise UsageError(f"unknown variable {name}; {hint}", mend=f"unset {name}")


def _is_setting(parts: list[str], model: type[BaseModel]) -> bool:
    """Whether the first part names a setting. The other parts are checked with the setting's value."""
    field = model.model_fields.get(parts[0].lower())
    return field is not None and (len(parts) == 1 or field.annotation not in (int, float))


def _variables(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """The names of the settings' variables without SAMEBOOK_; keys of a dict have no fixed name and are left out."""
    for name, field in model.model_fields.items():
        yield above + name.upper()
        inner = _model_in(field.annotation)
        if inner and typing.get_origin(field.annotation) is not dict:
            yield from _variables(inner, f"{above}{name.upper()}__")


def _setting_names(location: Location, model: type[BaseModel]) -> set[str]:
    """The names of the settings at a location."""
    for part in location:
        field = model.model_fields.get(str(part))
        inner = _model_in(field.annotation) if field else None
        model = inner or model  # the name of a dataset is not a field: its settings are those of the dict's type
    return {field.alias or name for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The group of settings in a type: the type itself, or the first one in a union or a dict."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in typing.get_args(annotation) if (model := _model_in(part))), None)
