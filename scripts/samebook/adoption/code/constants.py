"""The constants at the top of a notebook, which become the cell tagged `parameters`."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from samebook.adoption.code import cells
from samebook.adoption.code.cells import Edit

TYPES = (bool, int, float, str)
# Calls that only prepare: what follows them is still the top.
PREPARATIONS = ("seed", "use", "set", "set_style", "set_theme", "set_option", "filterwarnings", "simplefilter")


@dataclass(frozen=True)
class Constants:
    """The source of a parameters cell ("" where there is nothing for it), and the code cells without those lines."""

    source: str
    texts: list[str]


def lift(texts: Sequence[str]) -> Constants:
    """Move the constants at the top into a cell of their own: plain values, assigned once, each on its own lines."""
    stores = Counter(name for text in texts for name in cells.stored(text))
    rest = list(texts)
    declarations: list[str] = []
    for number, text in enumerate(texts):
        tree = cells.read_tree(text)
        edits = []
        for statement in _top(tree):
            if isinstance(statement, ast.Assign) and _is_constant(statement) and _is_alone(text, statement):
                name = statement.targets[0]
                assert isinstance(name, ast.Name)
                assert isinstance(statement.value, ast.Constant | ast.UnaryOp)
                if stores[name.id] == 1 and not name.id.startswith("_"):
                    start, end = _whole_lines(text, statement)
                    edits.append(Edit(start, end, ""))
                    line = text[start:end].rstrip("\n")
                    declarations.append(re.sub(r"\s*=\s*", f": {_type(statement.value)} = ", line, count=1))
        rest[number] = cells.edited(text, edits).strip("\n") if edits else text
        if len(list(_top(tree))) < len(tree.body):
            break
    return Constants("\n".join(declarations), rest)


def _top(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a cell that belong to the top, up to the first one that works."""
    for statement in tree.body:
        is_plain = isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass)
        if not (is_plain or _is_preparation(statement) or _assigns(statement)):
            return
        yield statement


def _assigns(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and not any(
        isinstance(node, ast.Call | ast.Await) for node in ast.walk(statement.value)
    )


def _is_preparation(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr):
        return False
    if isinstance(statement.value, ast.Constant):
        return True
    call = statement.value
    return isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in PREPARATIONS


def _is_constant(statement: ast.Assign) -> bool:
    """Whether a plain value, or a negative number, is assigned to one name."""
    value = statement.value
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        value = value.operand
    return (
        len(statement.targets) == 1
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(value, ast.Constant)
        and type(value.value) in TYPES
    )


def _type(value: ast.Constant | ast.UnaryOp) -> str:
    constant = value.operand if isinstance(value, ast.UnaryOp) else value
    assert isinstance(constant, ast.Constant)
    return type(constant.value).__name__


def _whole_lines(text: str, statement: ast.stmt) -> tuple[int, int]:
    """Where the line of a statement begins, and where the next one does."""
    start, end = cells.span(text, statement)
    line_end = text.find("\n", end)
    return start, len(text) if line_end < 0 else line_end + 1


def _is_alone(text: str, statement: ast.stmt) -> bool:
    """Whether nothing but a comment shares the one line of a statement."""
    start, end = cells.span(text, statement)
    rest = text[end : _whole_lines(text, statement)[1]].strip()
    before = text[:start].rpartition("\n")[2]
    return statement.lineno == statement.end_lineno and not before and (not rest or rest.startswith("#"))
