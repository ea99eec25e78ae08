"""Parameters of a notebook and their values: parsed by type before a kernel starts, then written as JSON or Python.

The cell that declares them is read in `parameters_cell.py`.
"""

import datetime
import functools
import json
import operator
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError, ValidationInfo
from pydantic_core import SchemaError

from samebook.core import secret
from samebook.core.digest import parse_json
from samebook.core.errors import UsageError, closest, nearest
from samebook.execution.json_value import JsonValue

# The model that a notebook scores with: the name of a promoted one (churn, churn@prod), of a run or notebook, or a
# file. A promoted model is checked against the store before the notebook starts.
type Model = Annotated[str, Field(min_length=1)]

# Parts of a second that a datetime can't hold.
FINER = re.compile(r"[.,]\d{6}\d*[1-9]")


@dataclass(frozen=True)
class Parameter:
    """A parameter as the notebook declares it; `secret` is the name of the secret that its value is, if it is one.

    `obstacle` says why it can't be set, where its type can't be read; "" where it can.
    """

    name: str
    annotation: Any
    default: Any
    secret: str | None = None
    obstacle: str = ""


class _Inexact(ValueError):
    """A value that the parameter's type can't hold as it is."""


def parse(texts: Mapping[str, str], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values of these texts, by name, typed as declared and in the order of declaration.

    Raises UsageError for an unknown name, a wrong type, a value out of range, a parameter whose type can't be read, or
    a secret given in clear.
    """
    for name in texts:
        if name not in parameters:
            mend = f'make run NOTEBOOK=… PARAMS="{closest(name, parameters)}=…"'
            raise UsageError(f"no parameter {name!r}{nearest(name, parameters)}", mend=mend)
        if (variable := parameters[name].secret) is not None:
            raise UsageError(
                f"parameter {name} is a secret: it can't be given with -p, where others could read it",
                mend=f"export {variable}=…",
            )
        if obstacle := parameters[name].obstacle:
            raise UsageError(
                f"parameter {name} is not settable: {obstacle}",
                mend=f"give it a type in the parameters cell, like `{name}: int = …`",
            )
    return {name: _value(parameter, texts[name]) for name, parameter in parameters.items() if name in texts}


def models(parameters: Mapping[str, Parameter], values: Mapping[str, Any]) -> list[str]:
    """The value, or else the default, of each parameter that names a model."""
    of_model = (parameter for parameter in parameters.values() if Model in (parameter.annotation, *_parts(parameter)))
    chosen = (values.get(parameter.name, parameter.default) for parameter in of_model)
    return [value for value in chosen if isinstance(value, str)]


def takes_part(
    parameters: Mapping[str, Parameter], values: Mapping[str, Any], is_on: Callable[[datetime.date], bool]
) -> bool:
    """Whether a notebook scores in an experiment: it leaves its model open, `Model | None`, and has a day of it."""
    chosen = (values.get(parameter.name, parameter.default) for parameter in parameters.values())
    days = [value for value in chosen if type(value) is datetime.date]
    return any(Model in _parts(parameter) for parameter in parameters.values()) and any(map(is_on, days))


def _parts(parameter: Parameter) -> tuple[Any, ...]:
    """The types in a union, `Model | None`."""
    return typing.get_args(parameter.annotation)


def _value(parameter: Parameter, text: str) -> Any:
    """The value of a text, as the parameter's type has it: by its JSON, `3`, `[1, 2]` or `null`, else as text.

    A type of text keeps the text as it is written.
    """
    validator = adapter(parameter)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(f"parameter {parameter.name}: found {text!r}; expected UTF-8", mend=_mend(parameter))
    try:
        return _json_value(validator, text)
    except ValueError as error:
        flaw = error
    is_text = not isinstance(text, JsonValue) or isinstance(text.value, str)
    if is_text and not isinstance(flaw, _Inexact):
        try:
            return _of_text(validator, text)
        except ValidationError as error:
            # A text that looks like JSON is told its flaw as JSON, any other its flaw as text.
            flaw = flaw if text.startswith(("[", "{")) else error
    raise UsageError(f"parameter {parameter.name}: found {text!r}; {reason(flaw)}", mend=_mend(parameter)) from flaw


def _of_text(validator: TypeAdapter[Any], text: str) -> Any:
    """The value of a text that is not JSON; one like `05` or `yes` stays as it is where the type takes text, too."""
    value = validator.validate_strings(text)
    if isinstance(value, int | float):
        with suppress(ValidationError):
            return validator.validate_python(str(text), strict=True)
    return value


def _mend(parameter: Parameter) -> str:
    """The parameter with a value that it does take: its default, where that is a word."""
    is_word = isinstance(parameter.default, bool | int | float | datetime.date)
    return f'again, with PARAMS="{parameter.name}={parameter.default if is_word else "…"}"'


def _json_value(validator: TypeAdapter[Any], text: str) -> Any:
    """The value of a JSON text. Raises ValueError where it is not one of the type; nothing is converted."""
    value = text.value if isinstance(text, JsonValue) else parse_json(text)
    if isinstance(value, str) and not isinstance(text, JsonValue):
        raise ValueError("expected a text without quotes")
    result = validator.validate_json(json.dumps(value), strict=True)
    _check_same(value, result)
    return result


def _check_same(value: Any, result: Any) -> None:
    """Raise _Inexact for a whole number that a float can't hold, and for `true` as 1: they would become others."""
    match value, result:
        case bool(), int() | float() if not isinstance(result, bool):
            raise _Inexact(f"found {json.dumps(value)}; expected a number")
        case int(), float() if value != result:
            raise _Inexact(f"a float can't hold {value}; the nearest is {result:.0f}")
        case list(), list() | tuple():
            for item, item_result in zip(value, result, strict=True):
                _check_same(item, item_result)
        case dict(), dict():
            for item, item_result in zip(value.values(), result.values(), strict=True):
                _check_same(item, item_result)
        case _:
            pass


def adapter(parameter: Parameter) -> TypeAdapter[Any]:
    """pydantic's validator of the parameter's type. Raises UsageError for a type that pydantic can't use."""
    try:
        return TypeAdapter(_with_iso_dates(parameter.annotation), config=ConfigDict(allow_inf_nan=False))
    except (PydanticUserError, SchemaError, NameError) as error:
        raise UsageError(
            f"parameter {parameter.name}: its type is not usable: {error}",
            mend="make lab, and mend the cell tagged `parameters`",
        ) from error


def _with_iso_dates(kind: Any) -> Any:
    """The type with dates that are read as ISO 8601 only: pydantic reads 20240101 as seconds since 1970."""
    if kind in (datetime.date, datetime.datetime):
        return Annotated[kind, BeforeValidator(lambda value, info: _from_iso(kind, value, info))]
    origin: Any = typing.get_origin(kind)
    if not isinstance(origin, type) and origin not in (Annotated, typing.Union):
        return kind
    arguments = tuple(map(_with_iso_dates, typing.get_args(kind)))
    if origin is Annotated:
        return kind.copy_with(arguments[:1])
    if origin in (types.UnionType, typing.Union):
        return functools.reduce(operator.or_, arguments)
    return kind if arguments == typing.get_args(kind) else types.GenericAlias(origin, arguments)


def _from_iso(kind: type[datetime.date], value: Any, info: ValidationInfo) -> Any:
    """The day or time of a text in ISO 8601; a value that is not a text, unchanged."""
    if not isinstance(value, str) or info.mode == "python":
        return value
    try:
        if FINER.search(value):
            raise ValueError
        return kind.fromisoformat(value)
    except ValueError:
        example = "2013-06-30T12:00, to the microsecond" if issubclass(kind, datetime.datetime) else "2013-06-30"
        raise ValueError(f"expected ISO 8601, like {example}") from None


def reason(error: ValueError) -> str:
    """The message of an error; pydantic's first one."""
    return error.errors()[0]["msg"].removeprefix("Value error, ") if isinstance(error, ValidationError) else str(error)


def secrets(parameters: Mapping[str, Parameter]) -> dict[str, str]:
    """The text of each secret that the notebook needs, by name. Raises UsageError for one that is not set."""
    names = (parameter.secret for parameter in parameters.values())
    return {name: secret.text(name) for name in names if name is not None}


def json_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON has them, for the receipt: dates as ISO 8601, sets in one order."""
    return {name: TypeAdapter(Any).dump_python(_in_order(value), mode="json") for name, value in values.items()}


def _in_order(value: Any) -> Any:
    """The value with a list for each set in it."""
    match value:
        case set() | frozenset():
            return _sorted(value)
        case list() | tuple():
            return [_in_order(item) for item in value]
        case dict():
            return {key: _in_order(item) for key, item in value.items()}
        case _:
            return value


def _sorted(values: Iterable[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:  # of several types
        return sorted(values, key=repr)


def assignments(values: Mapping[str, Any]) -> str:
    """The source of the cell `injected-parameters`: an assignment for each value."""
    lines = [f"{name} = {_literal(value)}" for name, value in values.items()]
    # Under a name of its own: a notebook's own `datetime` may be the module or the class.
    imports = ["import datetime as _datetime\n"] if any("_datetime." in line for line in lines) else []
    return "\n".join(("# Parameters", *imports, *lines))


def _literal(value: Any) -> str:
    match value:
        case datetime.datetime():
            return f"_datetime.datetime.fromisoformat({value.isoformat()!r})"
        case datetime.date() | datetime.timedelta():
            return f"_{value!r}"
        case list():
            return f"[{', '.join(map(_literal, value))}]"
        case tuple():
            return f"({''.join(f'{_literal(item)}, ' for item in value)})"
        case set() | frozenset():
            return f"{type(value).__name__}({_literal(_sorted(value))})"
        case dict():
            return "{" + ", ".join(f"{_literal(key)}: {_literal(item)}" for key, item in value.items()) + "}"
        case _:
            return repr(value)
