"""Old code that has another behaviour today, where the shape of the code tells it: its rules, and the code as it was.

grouped   a call without arguments of a method of `….groupby(…)`, which gets `new`
add       a call that gets `new`, where it has no argument of that name
position  a whole number as the index of an attribute, which is a position, also where that is a Series
inplace   a statement that changes a part of a frame in place, which gets a copy today
"""

import ast
from collections.abc import Callable, Iterator
from typing import Any

from samebook.adoption.code import cells
from samebook.adoption.code.cells import Edit
from samebook.adoption.code.rules import Rule

type Place = tuple[Rule, int, tuple[Edit, ...]]
type ByKind = Callable[[str], Any]


def places(text: str, by_kind: ByKind) -> Iterator[Place]:
    """The rules that apply to a cell, where they begin, and their edits."""
    for node in ast.walk(cells.read_tree(text)):
        if isinstance(node, ast.Call):
            yield from _of_call(text, node, by_kind)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and _is_whole(node.slice):
            yield from _of_index(text, node.value, by_kind)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _of_statement(text, node.value, by_kind)


def _of_call(text: str, call: ast.Call, by_kind: ByKind) -> Iterator[Place]:
    name, start, end = cells.last_name(call), *cells.span(text, call)
    inner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if isinstance(inner, ast.Call) and cells.last_name(inner) == "groupby" and not (call.args or call.keywords):
        yield from (
            (rule, start, (Edit(end - 1, end - 1, rule.new),)) for rule in by_kind("grouped") if rule.old == name
        )
    for rule in by_kind("add"):
        keyword = rule.new.partition("=")[0]
        if rule.old == name and keyword not in [argument.arg for argument in call.keywords]:
            comma = "" if text[: end - 1].rstrip().endswith((",", "(")) else ", "
            yield rule, start, (Edit(end - 1, end - 1, f"{comma}{rule.new}"),)


def _is_whole(index: ast.expr) -> bool:
    number = index.operand if isinstance(index, ast.UnaryOp) else index
    return isinstance(number, ast.Constant) and type(number.value) is int


def _of_index(text: str, node: ast.Attribute, by_kind: ByKind) -> Iterator[Place]:
    for rule in by_kind("position"):
        if rule.old == node.attr:
            start, end = cells.span(text, node)
            needed = cells.first_line(text, "import numpy")
            yield rule, start, (needed, Edit(start, start, "numpy.asarray("), Edit(end, end, ")"))


def _of_statement(text: str, call: ast.Call, by_kind: ByKind) -> Iterator[Place]:
    """The rule for `frame["a"].fillna(0, inplace=True)`, which is `frame["a"] = frame["a"].fillna(0)`."""
    option = next((keyword for keyword in call.keywords if keyword.arg == "inplace"), None)
    part = call.func.value if isinstance(call.func, ast.Attribute) else None
    is_true = option is not None and isinstance(option.value, ast.Constant) and option.value.value is True
    if not (is_true and option and isinstance(part, ast.Subscript | ast.Attribute)):
        return
    for rule in by_kind("inplace"):
        if rule.old == cells.last_name(call):
            start = cells.span(text, call)[0]
            yield rule, start, (Edit(start, start, f"{cells.source(text, part)} = "), cells.without(text, option))
