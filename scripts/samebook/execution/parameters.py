"""The cell tagged `parameters`: what a notebook may be given, checked before a kernel starts.

The cell holds imports and plain assignments, annotated as in any typed Python:

    as_of: date = date(2013, 6, 30)
    max_depth: Annotated[int, Field(ge=1, le=16)] = 6
    token: str = Secret("API_TOKEN")

An assignment without an annotation has its default's type, as in papermill. Nothing in the cell is run to
read it: annotations and defaults are evaluated from a closed list of names.
"""

import ast
import datetime
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from samebook.core import secret
from samebook.core.errors import UsageError, nearest
from samebook.core.secret import Secret

# What a notebook scores with: the name of a promoted model (delay, delay@prod), of a run or notebook, or a file.
# A promoted model is checked against the store before the notebook starts.
type Model = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Parameter:
    """One parameter as the notebook declares it; `secret` names where its value comes from."""

    name: str
    annotation: Any
    default: Any
    secret: str | None = None


# What annotations and defaults may be made of.
NAMES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (int, float, str, bool, list, dict, tuple, set)},
    **{name: getattr(typing, name) for name in ("Annotated", "Any", "Literal", "Optional", "Union")},
    "Field": Field,
    "date": datetime.date,
    "timedelta": datetime.timedelta,
    "datetime": datetime,
    "typing": typing,
    "Secret": Secret,
    "Model": Model,
}
CALLS = (Field, datetime.date, datetime.datetime, datetime.timedelta)
NODES = (
    *(ast.Expression, ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.List, ast.Dict, ast.Constant),
    *(ast.BinOp, ast.BitOr, ast.UnaryOp, ast.USub, ast.Call, ast.keyword, ast.Load),
)
MODULE_NAME = re.compile(r"(typing|datetime)\.[A-Za-z]+")


def declared(source: str) -> dict[str, Parameter]:
    """The parameters that a `parameters` cell declares, in its order.

    Raises UsageError naming the line that is not a plain assignment.
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise UsageError(f"the parameters cell is not Python: {error.msg}, line {error.lineno}") from error
    names = {**NAMES, **_imported_types(statements)}
    return {
        parameter.name: parameter for statement in statements if (parameter := _parameter(statement, names)) is not None
    }


def _imported_types(statements: Iterable[ast.stmt]) -> dict[str, Any]:
    """`datetime` is a module or a class, depending on how the cell imports it."""
    imported = {
        alias.name
        for statement in statements
        if isinstance(statement, ast.ImportFrom) and statement.module == "datetime"
        for alias in statement.names
    }
    return {"datetime": datetime.datetime} if "datetime" in imported else {}


def _parameter(statement: ast.stmt, names: Mapping[str, Any]) -> Parameter | None:
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return None
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
            if _holds_quoted_type(annotation):
                raise UsageError(
                    f"parameter {name}: found `{ast.unparse(annotation)}`; expected its type without quotes"
                )
            return _typed(name, _evaluated(annotation, names), value, names)
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return _typed(name, None, value, names)
        case _:
            raise UsageError(
                f"the parameters cell, line {statement.lineno}: found `{ast.unparse(statement)}`; "
                "expected imports and assignments like `depth: int = 3`"
            )


def _typed(name: str, annotation: Any, value: ast.expr, names: Mapping[str, Any]) -> Parameter:
    if isinstance(value, ast.Call) and ast.unparse(value.func) in ("Secret", "samebook.Secret"):
        return Parameter(name, str, None, secret=_secret_name(value))
    default = _evaluated(value, names)
    kind = annotation if annotation is not None else (Any if default is None else type(default))
    parameter = Parameter(name, kind, default)
    try:
        _adapter(parameter).validate_python(default, strict=True)
    except ValidationError as error:
        raise UsageError(f"parameter {name}: its default {default!r} breaks its own type: {_why(error)}") from error
    return parameter


def _holds_quoted_type(annotation: ast.AST) -> bool:
    """Whether a type is a text, which pydantic would run: in Literal, Field and notes of Annotated it is none."""
    match annotation:
        case ast.Constant(value=str()):
            return True
        case ast.Call() | ast.Subscript(value=ast.Name(id="Literal") | ast.Attribute(attr="Literal")):
            return False
        case ast.Subscript(
            value=ast.Name(id="Annotated") | ast.Attribute(attr="Annotated"), slice=ast.Tuple(elts=[kind, *_])
        ):
            return _holds_quoted_type(kind)
        case _:
            return any(map(_holds_quoted_type, ast.iter_child_nodes(annotation)))


def _secret_name(call: ast.Call) -> str:
    match call.args:
        case [ast.Constant(value=str(name))]:
            return name
        case _:
            raise UsageError(f'parameters cell: found `{ast.unparse(call)}`; expected `Secret("NAME")`')


def _evaluated(expression: ast.expr, names: Mapping[str, Any]) -> Any:
    for node in ast.walk(expression):
        # An attribute of anything but a module, `().__class__`, leads out of the closed list.
        astray = isinstance(node, ast.Attribute) and not MODULE_NAME.fullmatch(ast.unparse(node))
        if astray or not isinstance(node, NODES):
            raise UsageError(f"parameters cell: `{ast.unparse(expression)}` is more than a plain value or type")
    code = compile(ast.Expression(expression), "<parameters>", "eval")
    try:
        calls = [node.func for node in ast.walk(expression) if isinstance(node, ast.Call)]
        for function in calls:
            name = ast.unparse(function)
            if eval(compile(ast.Expression(function), name, "eval"), {"__builtins__": {}}, dict(names)) not in CALLS:
                raise UsageError(f"parameters cell: `{name}(…)` can't be called here")
        return eval(code, {"__builtins__": {}}, dict(names))
    except (NameError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"parameters cell: `{ast.unparse(expression)}` is not understood: {error}") from error


def parsed(given: Mapping[str, str], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values of `name=text` pairs, typed as declared, in the order of declaration.

    Raises UsageError for an unknown name, a wrong type, a value out of range, or a secret given in clear.
    """
    for name in given:
        if name not in parameters:
            raise UsageError(f"no parameter {name!r}{nearest(name, parameters)}")
        if (named := parameters[name].secret) is not None:
            raise UsageError(
                f"parameter {name} is a secret: it can't be given with -p, where others could read it",
                mend=f"export {named}=…, or write it to {secret.SECRETS / named}",
            )
    return {name: _value(parameter, given[name]) for name, parameter in parameters.items() if name in given}


def models(known: Mapping[str, Parameter], values: Mapping[str, Any]) -> list[str]:
    """What is given, or by default taken, for each parameter that names a model."""
    named = (parameter for parameter in known.values() if Model in (parameter.annotation, *_parts(parameter)))
    taken = (values.get(parameter.name, parameter.default) for parameter in named)
    return [value for value in taken if isinstance(value, str)]


def takes_part(
    known: Mapping[str, Parameter], values: Mapping[str, Any], is_on: Callable[[datetime.date], bool]
) -> bool:
    """Whether a notebook scores in an experiment: it leaves its model open, `Model | None`, and has a day of it."""
    taken = (values.get(parameter.name, parameter.default) for parameter in known.values())
    days = [value for value in taken if type(value) is datetime.date]
    return any(Model in _parts(parameter) for parameter in known.values()) and any(map(is_on, days))


def _parts(parameter: Parameter) -> tuple[Any, ...]:
    """The types in a union, `Model | None`."""
    return typing.get_args(parameter.annotation)


def _value(parameter: Parameter, text: str) -> Any:
    """`text` by the parameter's type; JSON where the type is more than a word: `[1, 2]`, `null`."""
    adapter = _adapter(parameter)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(f"parameter {parameter.name}: found {text!r}; expected UTF-8")
    try:
        return adapter.validate_strings(text)
    except ValidationError as error:
        try:
            return adapter.validate_json(text)
        except ValidationError:
            raise UsageError(f"parameter {parameter.name}: found {text!r}; {_why(error)}") from error


def _adapter(parameter: Parameter) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(parameter.annotation, config=ConfigDict(allow_inf_nan=False))
    except (PydanticUserError, SchemaError, NameError) as error:
        raise UsageError(f"parameter {parameter.name}: its type is not usable: {error}") from error


def _why(error: ValidationError) -> str:
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


def injected(values: Mapping[str, Any]) -> str:
    """The source of the cell `injected-parameters`, which papermill's readers know by that tag."""
    lines = [f"{name} = {_literal(value)}" for name, value in values.items()]
    # Under a name of its own: a notebook's own `datetime` may be the module or the class.
    needed = ["import datetime as _datetime\n"] if any("_datetime." in line for line in lines) else []
    return "\n".join(("# Parameters", *needed, *lines))


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
