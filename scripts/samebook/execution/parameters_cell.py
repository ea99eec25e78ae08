"""The cell tagged `parameters`: what a notebook declares there, read without running it.

The cell holds imports and plain assignments, annotated as in any typed Python:

    as_of: date = date(2013, 6, 30)
    max_depth: Annotated[int, Field(ge=1, le=16)] = 6
    token: str = Secret("API_TOKEN")

An assignment without an annotation has its default's type, as in papermill. Annotations and defaults are
evaluated from a closed list of names. A default outside of it, `60 * 60`, is left to the notebook: with a type it can
still be set. A parameter whose type can't be read so is left alone, and can't be set.
"""

import ast
import datetime
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, ValidationError

from samebook.core.errors import UsageError
from samebook.core.secret import Secret
from samebook.execution.parameters import Model, Parameter, adapter, reason

# The names and the nodes that annotations and defaults may consist of.
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
SHOWN = 60
MODULE_NAME = re.compile(r"(typing|datetime)\.[A-Za-z]+")
# The cell is mended where it was written.
MEND = "make lab, and mend the cell tagged `parameters`"


class _Unreadable(Exception):
    """An annotation or a default that can't be evaluated from the closed list."""

    def __init__(self, expression: ast.expr, flaw: str) -> None:
        super().__init__(f"`{ast.unparse(expression)[:SHOWN]}` {flaw}")


def declarations(source: str) -> dict[str, Parameter]:
    """The parameters that a `parameters` cell with this source declares, by name, in its order.

    Raises UsageError, with the line, for a statement that is not a plain assignment, and for one that is too deep.
    """
    try:
        statements = ast.parse(source).body
        names = {**NAMES, **_imported_types(statements)}
        parameters = [_parameter(statement, names) for statement in statements]
    except SyntaxError as error:
        raise UsageError(f"the parameters cell is not Python: {error.msg}, line {error.lineno}", mend=MEND) from error
    except (RecursionError, MemoryError) as error:
        raise UsageError("the parameters cell has an expression within hundreds of others", mend=MEND) from error
    return {parameter.name: parameter for parameter in parameters if parameter is not None}


def _imported_types(statements: Iterable[ast.stmt]) -> dict[str, Any]:
    """`datetime` by its meaning: a module or a class, depending on how the cell imports it."""
    imported = {
        alias.name
        for statement in statements
        if isinstance(statement, ast.ImportFrom) and statement.module == "datetime"
        for alias in statement.names
    }
    return {"datetime": datetime.datetime} if "datetime" in imported else {}


def _parameter(statement: ast.stmt, names: Mapping[str, Any]) -> Parameter | None:
    """The parameter that a statement declares; None for an import and for a text."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return None
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
            return _declaration(name, annotation, value, names)
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return _declaration(name, None, value, names)
        case _:
            raise UsageError(
                f"the parameters cell, line {statement.lineno}: found `{ast.unparse(statement)}`; "
                "expected imports and assignments like `depth: int = 3`",
                mend=MEND,
            )


def _declaration(name: str, annotation: ast.expr | None, value: ast.expr | None, names: Mapping[str, Any]) -> Parameter:
    """The parameter of an assignment. Raises UsageError for a type that pydantic can't use, a default that breaks its
    type, and a secret whose name can't be read.
    """
    if isinstance(value, ast.Call) and ast.unparse(value.func) in ("Secret", "samebook.Secret"):
        return Parameter(name, str, None, secret=_secret_name(value))
    if value is not None and _has_secret(value):
        raise UsageError(
            f'parameter {name}: found `{ast.unparse(value)}`; expected `Secret("NAME")` by itself', mend=MEND
        )
    try:
        kind = _type(annotation, names) if annotation else _evaluated_type(value, names)
    except _Unreadable as error:
        return Parameter(name, Any, None, obstacle=str(error))
    try:
        default = _evaluate(value, names)
    except _Unreadable:  # The notebook's own affair: it evaluates the default.
        parameter = Parameter(name, kind, None)
        adapter(parameter)
        return parameter
    return _checked(Parameter(name, kind, default))


def _has_secret(value: ast.expr) -> bool:
    names = (getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(value))
    return "Secret" in names


def _evaluated_type(value: ast.expr | None, names: Mapping[str, Any]) -> Any:
    default = _evaluate(value, names)
    return Any if default is None else type(default)


def _checked(parameter: Parameter) -> Parameter:
    """The parameter. Raises UsageError where its default breaks its type."""
    try:
        adapter(parameter).validate_python(parameter.default, strict=True)
    except ValidationError as error:
        raise UsageError(
            f"parameter {parameter.name}: its default {parameter.default!r} breaks its own type: {reason(error)}",
            mend=MEND,
        ) from error
    return parameter


def _type(annotation: ast.expr, names: Mapping[str, Any]) -> Any:
    if _has_quoted_type(annotation):
        raise _Unreadable(annotation, "is in quotes; expected a type without")
    return _evaluate(annotation, names)


def _has_quoted_type(annotation: ast.AST) -> bool:
    """Whether a text stands for a type, which pydantic would run.

    In Literal, in Field and in the notes of Annotated a text is only a text.
    """
    match annotation:
        case ast.Constant(value=str()):
            return True
        case ast.Call() | ast.Subscript(value=ast.Name(id="Literal") | ast.Attribute(attr="Literal")):
            return False
        case ast.Subscript(
            value=ast.Name(id="Annotated") | ast.Attribute(attr="Annotated"), slice=ast.Tuple(elts=[kind, *_])
        ):
            return _has_quoted_type(kind)
        case _:
            return any(map(_has_quoted_type, ast.iter_child_nodes(annotation)))


def _secret_name(call: ast.Call) -> str:
    match call.args:
        case [ast.Constant(value=str(name))]:
            return name
        case _:
            raise UsageError(f'parameters cell: found `{ast.unparse(call)}`; expected `Secret("NAME")`', mend=MEND)


def _evaluate(expression: ast.expr | None, names: Mapping[str, Any]) -> Any:
    """The value of an expression that has only these names and the nodes and calls of the closed lists."""
    if expression is None:
        raise _Unreadable(ast.Constant(...), "is no default")
    for node in ast.walk(expression):
        # An attribute of anything but a module, `().__class__`, leads out of the closed list.
        is_outside = isinstance(node, ast.Attribute) and not MODULE_NAME.fullmatch(ast.unparse(node))
        if is_outside or not isinstance(node, NODES):
            raise _Unreadable(expression, "is more than a plain value or type")
    code = compile(ast.Expression(expression), "<parameters>", "eval")
    try:
        functions = [node.func for node in ast.walk(expression) if isinstance(node, ast.Call)]
        for function in functions:
            name = ast.unparse(function)
            if eval(compile(ast.Expression(function), name, "eval"), {"__builtins__": {}}, dict(names)) not in CALLS:
                raise _Unreadable(expression, "calls more than dates and Field")
        return eval(code, {"__builtins__": {}}, dict(names))
    except (NameError, AttributeError, TypeError, ValueError) as error:
        raise _Unreadable(expression, f"is not understood: {error}") from error
