"""Old code on what is surely a series or a frame of pandas, and attributes that only its objects have.

property   an attribute that is `new` today; of `.dt` alone where `old` says so. One that may be a column is none
of_series  a method of a series, which is `new`
of_frame   a method of a frame that is called with arguments, which is `new`
labelled   a whole number in the brackets of a series whose labels are surely texts: a position, which takes `new`
option     an option of pandas that had no limit by -1, which is `new`
"""

import ast
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from samebook.adoption.code import cells, frames
from samebook.adoption.code.cells import Code, Edit
from samebook.adoption.code.rules import Rule

type Place = tuple[Rule, int, tuple[Edit, ...]]
type ByKind = Callable[[str], Any]

# Attributes of a frame that are no column; methods of a series that give one; methods of a frame that give one.
NO_COLUMNS = (
    "T",
    "axes",
    "columns",
    "empty",
    "index",
    "loc",
    "iloc",
    "ix",
    "at",
    "iat",
    "plot",
    "shape",
    "size",
    "values",
)
SAME = ("abs", "astype", "duplicated", "fillna", "isin", "isna", "isnull", "notna", "notnull", "dropna", "between")
ROWS = ("all", "any", "duplicated")
MASKS = ("isna", "isnull", "notna", "notnull", "isin")


def places(text: str, by_kind: ByKind, code: Code) -> Iterator[Place]:
    """The rules that apply to a cell of this code, where they begin, and their edits."""
    for node in ast.walk(cells.read_tree(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield from _of_property(text, node, by_kind, code)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _of_method(text, node, node.func, by_kind, code)
            names = [getattr(argument, "value", None) for argument in node.args[:-1:2]]
            pairs = (
                zip(names, node.args[1::2], strict=False) if node.func.attr in ("set_option", "option_context") else ()
            )
            yield from (place for name, value in pairs for place in _of_option(text, f"{name}", value, by_kind))
        elif isinstance(node, ast.Subscript) and frames.is_whole_number(node.slice) and _has_texts(node.value, code):
            at = cells.span(text, node.value)[1]
            yield from ((rule, at, (Edit(at, at, rule.new),)) for rule in by_kind("labelled"))
        elif isinstance(node, ast.Assign):
            yield from _of_option(text, ast.unparse(node.targets[0]), node.value, by_kind)


def _of_option(text: str, name: str, value: ast.expr, by_kind: ByKind) -> Iterator[Place]:
    for rule in by_kind("option"):
        if rule.old.endswith(name.rpartition("options.")[2] or " ") and ast.unparse(value) == "-1":
            span = cells.span(text, value)
            yield rule, span[0], (Edit(*span, rule.new),)


def _of_property(text: str, node: ast.Attribute, by_kind: ByKind, code: Code) -> Iterator[Place]:
    owner = getattr(node.value, "attr", "")
    for rule in by_kind("property"):
        if f".{owner}.{node.attr}".endswith(f".{rule.old}"):
            is_column = any(quote + node.attr + quote in other for other in code.texts for quote in "'\"")
            if owner in ("dt", "index") or not (is_column or frames.is_frame(node.value, code)):
                yield rule, cells.span(text, node)[0], _named(text, node, rule)


def _of_method(text: str, call: ast.Call, method: ast.Attribute, by_kind: ByKind, code: Code) -> Iterator[Place]:
    start = cells.span(text, call)[0]
    for rule in by_kind("of_series"):
        if rule.old == method.attr and is_series(method.value, code):
            yield rule, start, _named(text, method, rule)
    for rule in by_kind("of_frame"):
        if rule.old == method.attr and (call.args or call.keywords) and frames.is_frame(method.value, code):
            yield rule, start, _named(text, method, rule)


def _named(text: str, node: ast.Attribute, rule: Rule) -> tuple[Edit, ...]:
    end = cells.span(text, node)[1]
    return () if rule.new is None else (Edit(end - len(node.attr), end, rule.new),)


def is_series(node: ast.expr, code: Code, known: frozenset[str] = frozenset()) -> bool:
    """Whether an expression is surely a series: a column of a frame, or what is computed of one, row by row."""
    match node:
        case ast.Name():
            return node.id in known or frames.is_always(node, code, known, is_series)
        case ast.Subscript(value=frame, slice=ast.Constant(value=str())):
            return frames.is_frame(frame, code)
        case ast.Subscript(value=series, slice=ast.Compare()):
            return is_series(series, code, known)
        case ast.Attribute(value=frame, attr=name):
            return name not in NO_COLUMNS and frames.is_frame(frame, code)
        case ast.Compare(left=series) | ast.BinOp(left=series) | ast.UnaryOp(operand=series):
            return is_series(series, code, known)
        case ast.Call(func=ast.Attribute(value=frame, attr=name)):
            of_rows = name in ROWS and (frames.is_frame(frame, code) or _is_mask(frame, code))
            return of_rows or (name in SAME and is_series(frame, code, known))
        case _:
            return False


def _is_mask(node: ast.expr, code: Code) -> bool:
    """Whether an expression says of each value of a frame whether it is something."""
    match node:
        case ast.Call(func=ast.Attribute(value=frame, attr=name)):
            return name in MASKS and frames.is_frame(frame, code)
        case _:
            return False


def _has_texts(node: ast.expr, code: Code, known: frozenset[str] = frozenset()) -> bool:
    """Whether an expression is surely a series that has texts as its labels, and never gets others."""
    match node:
        case ast.Name(id=name):
            is_kept = not _matches(rf"\b{name}\.(index\s*=[^=]|\w+\(.*inplace)", code)
            return is_kept and (name in known or frames.is_always(node, code, known, _has_texts))
        case ast.BinOp(left=left, right=right):
            series = [side for side in (left, right) if not isinstance(side, ast.Constant)]
            return bool(series) and all(_has_texts(side, code, known) for side in series)
        case ast.Call() if cells.dotted(node.func, code.names) == "pandas.Series":
            options = {word.arg: word.value for word in node.keywords}
            index = options.get("index") or (node.args[1] if len(node.args) > 1 else None)
            data = (*node.args, options.get("data"))[0]
            return code.all_are(index, _are_texts) if index else bool(data) and code.all_are(data, _is_of_texts)
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=[]) if name in frames.AGGREGATES:
            is_plain = all(word.arg in ("numeric_only", "skipna") for word in node.keywords)
            return is_plain and _has_text_columns(owner, code)
        case ast.Call(func=ast.Attribute(value=series, attr="abs" | "apply" | "astype" | "fillna" | "map" | "round")):
            return _has_texts(series, code, known)
        case _:
            return False


def _has_text_columns(frame: ast.expr, code: Code) -> bool:
    """Whether a frame surely has the columns that a file's first line names; a function of numpy keeps them."""
    match frame:
        case ast.Call(func=ast.Attribute(value=inner, attr="apply"), args=[function], keywords=[]):
            return cells.dotted(function, code.names).startswith("numpy.") and _has_text_columns(inner, code)
        case ast.Name():
            pass
        case _:
            return False
    changed = rf"\b{frame.id}(\.columns\s*=[^=]|\.(rename|set_axis)\w*\(.*inplace|\[\d+\]\s*=[^=])"
    return not _matches(changed, code) and code.all_are(frame, partial(_is_read, code))


def _is_read(code: Code, value: ast.expr) -> bool:
    if not (isinstance(value, ast.Call) and frames.is_frame(value, code)):
        return False
    is_named = any(word.arg in ("header", "names", "prefix") for word in value.keywords)
    return cells.last_name(value) in ("read_csv", "read_table", "read_excel") and not is_named


def _matches(pattern: str, code: Code) -> bool:
    return any(re.search(pattern, text) for text in code.texts)


def _are_texts(node: ast.expr) -> bool:
    """Whether a list has texts alone."""
    parts = node.elts if isinstance(node, ast.List) else []
    return bool(parts) and all(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in parts)


def _is_of_texts(node: ast.expr) -> bool:
    """Whether a dictionary has texts alone as its keys."""
    return isinstance(node, ast.Dict) and _are_texts(ast.List([key for key in node.keys if key]))
