"""The code cells of a notebook as text: their syntax trees, and edits of the text that leave all else as it is."""

import ast
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

# Cell magics that run the rest of the cell as Python; under any other one it is another language.
OF_PYTHON = ("time", "timeit", "capture", "prun", "pypy")
IPYTHON = re.compile(r"^(\s*)(?:[%!?].*|;\s*|[\w.\[\]'\", ]+=\s*[!%].*|[\w.]+\?{1,2}\s*)$", re.MULTILINE)


@dataclass(frozen=True)
class Note:
    """One thing that a person should know of a cell: its number, the text, and what mends it."""

    cell: int
    text: str
    fix: str = ""


@dataclass(frozen=True)
class Edit:
    """A part of a cell's text, from one offset to another, with the text that replaces it."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Code:
    """All code cells of a notebook, and what the names in them stand for."""

    texts: tuple[str, ...]

    @cached_property
    def names(self) -> dict[str, str]:
        """What each imported name stands for, in dots."""
        return imported_names(self.texts)

    @cached_property
    def libraries(self) -> set[str]:
        """The packages that it imports."""
        return {name.split(".")[0] for name in self.names.values()}

    @cached_property
    def loads(self) -> Counter[str]:
        """How often each name is read."""
        nodes = (node for text in self.texts for node in ast.walk(read_tree(text)))
        return Counter(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))

    @cached_property
    def values(self) -> dict[str, list[ast.expr | None]]:
        """The values that each name is given by `=`, and None for each that it gets in another way."""
        values: dict[str, list[ast.expr | None]] = {}
        for text in self.texts:
            plain: dict[int, ast.expr] = {}
            for node in ast.walk(read_tree(text)):
                if isinstance(node, ast.Assign):
                    plain |= {id(target): node.value for target in node.targets if isinstance(target, ast.Name)}
            for name in bound(text):
                values.setdefault(name, []).append(None)
            for node in ast.walk(read_tree(text)):
                if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                    values.setdefault(node.id, []).append(plain.get(id(node)))
        return values

    def all_are(self, node: ast.expr, is_kind: Callable[[ast.expr], bool]) -> bool:
        """Whether an expression, or each value that is given to it where it is a name, is of a kind."""
        if not isinstance(node, ast.Name):
            return is_kind(node)
        values = self.values.get(node.id, [])
        return bool(values) and all(value is not None and is_kind(value) for value in values)


def tree(text: str) -> ast.Module:
    """The syntax tree of a cell, IPython's own lines blanked out; an empty one for a cell of another language.

    Raises SyntaxError.
    """
    magic = re.match(r"\s*%%(\w+).*", text)
    if magic and magic[1] not in OF_PYTHON:
        return ast.Module([], [])
    if magic:
        text = text[: magic.start(1) - 2] + "#" * (magic.end() - magic.start(1) + 2) + text[magic.end() :]
    try:
        return _parsed(text)
    except SyntaxError:  # only what is no Python has lines of IPython's: in Python, a line may begin with % as well
        return _parsed(without_magics(text))


def _parsed(text: str) -> ast.Module:
    with warnings.catch_warnings(action="ignore"):  # of escapes in a stranger's strings
        node = compile(text, "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(node, ast.Module)
    return node


def _blank(line: re.Match[str]) -> str:
    """A statement as long as IPython's line, or nearly: offsets in all other lines stay."""
    return line[1] + "pass" + " " * max(0, len(line[0]) - len(line[1]) - 4)


@cache
def read_tree(text: str) -> ast.Module:
    """The syntax tree of a cell; an empty one where it is not Python."""
    try:
        return tree(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def is_python(text: str) -> bool:
    """Whether a text is Python without any line of IPython's."""
    try:
        _parsed(text)
    except (SyntaxError, ValueError):
        return False
    return True


def can_be_read(text: str) -> bool:
    """Whether a cell is Python 3, or another language's by its magic."""
    try:
        tree(text)
    except (SyntaxError, ValueError):
        return False
    return True


def without_magics(text: str) -> str:
    """The text with IPython's own lines blanked out; all other lines stay."""
    return IPYTHON.sub(_blank, text)


def offset(text: str, line: int, column: int) -> int:
    """The position in a text of a line from 1 and a column in bytes, as syntax trees have them."""
    lines = text.split("\n")
    before = sum(len(earlier) + 1 for earlier in lines[: line - 1])
    return before + len(lines[line - 1].encode()[:column].decode())


def span(text: str, node: ast.expr | ast.stmt | ast.keyword | ast.alias) -> tuple[int, int]:
    """Where a node begins in a text, and where it ends."""
    return (
        offset(text, node.lineno, node.col_offset),
        offset(text, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset),
    )


def source(text: str, node: ast.expr | ast.stmt) -> str:
    """The text of a node, as it is written."""
    start, end = span(text, node)
    return text[start:end]


def without(text: str, keyword: ast.keyword) -> Edit:
    """The edit that takes a keyword out of a call, with its comma."""
    start, end = span(text, keyword)
    if comma := re.match(r"\s*,\s*", text[end:]):
        return Edit(start, end + comma.end(), "")
    before = re.search(r",\s*$", text[:start])
    return Edit(before.start() if before else start, end, "")


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with these edits, insertions first; of two that overlap, the first in the text is made."""
    parts: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end > edit.start, -edit.end)):
        if edit.start >= position:
            parts += [text[position : edit.start], edit.text]
            position = edit.end
    return "".join((*parts, text[position:]))


def first_line(text: str, line: str) -> Edit:
    """The edit that brings a line to the beginning of a cell, below what must be first there."""
    first = re.match(r"(?:%%.*\n|from __future__ .*\n)*", text)
    start = first.end() if first else 0
    return Edit(start, start, f"{line}\n")


def imported_names(texts: Iterable[str]) -> dict[str, str]:
    """What each imported name stands for, in dots: `np` for `numpy`, `sqrt` for `math.sqrt`."""
    names: dict[str, str] = {}
    for text in texts:
        for node in ast.walk(read_tree(text)):
            if isinstance(node, ast.Import):
                names |= {
                    alias.asname or alias.name.split(".")[0]: alias.name if alias.asname else alias.name.split(".")[0]
                    for alias in node.names
                }
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def dotted(node: ast.expr, names: Mapping[str, str]) -> str:
    """The full name of a name or an attribute, `numpy.random.rand` for `np.random.rand`; "" for all other nodes.

    Only names that an import brings count.
    """
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute) and (base := dotted(node.value, names)):
        return f"{base}.{node.attr}"
    return ""


def calls(text: str) -> Iterator[ast.Call]:
    """The calls in a cell."""
    return (node for node in ast.walk(read_tree(text)) if isinstance(node, ast.Call))


def last_name(call: ast.Call) -> str:
    """The name of what is called, without what stands before its last dot; "" where it has none."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def stored(text: str) -> Iterator[str]:
    """Every name that a cell binds, as often as it does: assignments, loops, imports, `global`, functions."""
    for node in ast.walk(read_tree(text)):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names
    yield from bound(text)


def bound(text: str) -> Iterator[str]:
    """Every name that a cell binds by something else than an assignment or a loop."""
    for node in ast.walk(read_tree(text)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
