"""Parameters of a notebook and their values: parsed by type before a kernel starts, then written as JSON or Python.

The cell that declares them is read in `parameters_cell.py`.
"""

import datetime
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from samebook.core import secret
from samebook.core.errors import UsageError, nearest

# The model that a notebook scores with: the name of a promoted one (churn, churn@prod), of a run or notebook, or a
# file. A promoted model is checked against the store before the notebook starts.
type Model = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Parameter:
    """A parameter as the notebook declares it; `secret` is the name of the secret that its value is, if it is one."""

    name: str
    annotation: Any
    default: Any
    secret: str | None = None


def parse(texts: Mapping[str, str], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values of these texts, by name, typed as declared and in the order of declaration.

    Raises UsageError for an unknown name, a wrong type, a value out of range, or a secret given in clear.
    """
    for name in texts:
        if name not in parameters:
            raise UsageError(f"no parameter {name!r}{nearest(name, parameters)}")
        if (variable := parameters[name].secret) is not None:
            raise UsageError(
                f"parameter {name} is a secret: it can't be given with -p, where others could read it",
                mend=f"export {variable}=…, or write it to {secret.SECRETS / variable}",
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
    """`text` by the parameter's type; as JSON where the type is more than a word: `[1, 2]`, `null`."""
    types = adapter(parameter)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(f"parameter {parameter.name}: found {text!r}; expected UTF-8")
    try:
        return types.validate_strings(text)
    except ValidationError as error:
        try:
            return types.validate_json(text)
        except ValidationError:
            raise UsageError(f"parameter {parameter.name}: found {text!r}; {reason(error)}") from error


def adapter(parameter: Parameter) -> TypeAdapter[Any]:
    """pydantic's validator of the parameter's type. Raises UsageError for a type that pydantic can't use."""
    try:
        return TypeAdapter(parameter.annotation, config=ConfigDict(allow_inf_nan=False))
    except (PydanticUserError, SchemaError, NameError) as error:
        raise UsageError(f"parameter {parameter.name}: its type is not usable: {error}") from error


def reason(error: ValidationError) -> str:
    """pydantic's first message."""
    return error.errors()[0]["msg"]


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
        case set():
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
        case set():
            return f"set({_literal(_sorted(value))})"
        case dict():
            return "{" + ", ".join(f"{_literal(key)}: {_literal(item)}" for key, item in value.items()) + "}"
        case _:
            return repr(value)
