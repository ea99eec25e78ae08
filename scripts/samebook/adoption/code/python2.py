"""The code of Python 2 as Python 3: statements that are calls today, names and methods that have others, lists, orders.

What Python 2 divides to a whole number stays as it is written: a person has to look at it.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from tokenize import TokenInfo

from samebook.adoption.code import cells
from samebook.adoption.code.cells import Edit
from samebook.adoption.code.renames import Change
from samebook.adoption.code.rules import Rule

SOURCE = "https://docs.python.org/3/whatsnew/3.0.html"
RULE = Rule("python 2", "Python 2", SOURCE, "Python 3")
NAMES = {"xrange": "range", "raw_input": "input", "unicode": "str", "basestring": "str", "unichr": "chr", "long": "int"}
METHODS = {"iteritems": "items", "itervalues": "values", "iterkeys": "keys"}
# Only Python 2 has these, and no library calls something so.
GONE = re.compile(r"\b(?:xrange|raw_input|unichr)\(")
STATEMENTS = re.compile("print|exec")
LAZY = ("map", "filter", "zip")
# What takes any iterable once: a list of it would change nothing.
TAKERS = ("list", "tuple", "set", "dict", "sorted", "sum", "min", "max", "any", "all", "enumerate", "join", *LAZY)
NOTHING = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)


def mended(texts: Sequence[str], *, is_python2: bool) -> tuple[list[str], list[Change]]:
    """The code cells as Python 3, and their changes; names too where it is of Python 2."""
    changed: list[str] = []
    changes: list[Change] = []
    broken = [text for text in texts if not cells.can_be_read(text)]
    is_python2 = is_python2 or any(cells.can_be_read(cells.edited(text, _statements(text))) for text in broken)
    is_python2 = is_python2 or any(GONE.search(text) for text in texts)
    stored = {name for text in texts for name in cells.stored(text)}
    are_calls = any("print_function" in text for text in texts)
    for number, text in enumerate(texts, start=1):
        stays = cells.can_be_read(text) and (are_calls or not is_python2)
        new = text if stays or text.lstrip().startswith("%%") else cells.edited(text, _statements(text))
        if is_python2:
            for edits in (_names, _lists, _orders):
                new = cells.edited(new, [edit for edit in edits(new) if new[edit.start : edit.end] not in stored])
        if new != text and cells.can_be_read(new):
            line = next(old for old, line in zip(text.split("\n"), new.split("\n"), strict=False) if old != line)
            changes.append(Change(number, RULE, line.strip(), (Edit(0, len(text), new),)))
            text = new
        changed.append(text)
    return changed, changes


def _statements(text: str) -> Iterator[Edit]:
    """The edits of `print x`, `exec x`, `raise E, x` and `except E, e:`."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(cells.without_magics(text)).readline))
    except (tokenize.TokenError, SyntaxError):
        return
    for first, *rest in _split(tokens):
        if STATEMENTS.fullmatch(first.string) and not (rest and rest[0].string in ("=", ".")):
            yield from _call(text, first, rest)
        comma = next((index for index, depth in _depths(rest) if rest[index].string == "," and not depth), None)
        if comma is not None and first.string == "except":
            yield Edit(_at(text, rest[comma].start), _at(text, rest[comma].end), " as")
        elif comma is not None and first.string == "raise" and comma + 1 < len(rest):
            yield Edit(_at(text, rest[comma].start), _at(text, rest[comma + 1].start), "(")
            yield Edit(_at(text, rest[-1].end), _at(text, rest[-1].end), ")")
    for token in tokens:
        if token.string == "<>":
            yield Edit(_at(text, token.start), _at(text, token.end), "!=")


def _at(text: str, place: tuple[int, int]) -> int:
    return sum(len(line) + 1 for line in text.split("\n")[: place[0] - 1]) + place[1]


def _split(tokens: Sequence[TokenInfo]) -> Iterator[list[TokenInfo]]:
    """The simple statements, and the heads of compound ones, each as its tokens."""
    statement: list[TokenInfo] = []
    for index, depth in _depths(tokens):
        token = tokens[index]
        if token.type in NOTHING:
            continue
        is_end = token.type in (tokenize.NEWLINE, tokenize.ENDMARKER) or (token.string in (";", ":") and not depth)
        if not is_end:
            statement.append(token)
        elif statement:
            yield statement
            statement = []


def _depths(tokens: Sequence[TokenInfo]) -> Iterator[tuple[int, int]]:
    """The index of each token, with the number of brackets that are open around it."""
    depth = 0
    for index, token in enumerate(tokens):
        depth -= token.string in (")", "]", "}")
        yield index, depth
        depth += token.string in ("(", "[", "{")


def _call(text: str, first: TokenInfo, rest: Sequence[TokenInfo]) -> Iterator[Edit]:
    """The edits of a statement that is a call: `print >>f, x,` has a file, and no line end."""
    start = _at(text, first.end)
    if not rest:
        yield Edit(start, start, "()")
        return
    closed = next((index for index, depth in _depths(rest) if rest[index].string == ")" and not depth), None)
    if rest[0].string == "(" and closed == len(rest) - 1:
        return
    options = ""
    if rest[0].string == ">>":
        commas = (index for index, depth in _depths(rest) if rest[index].string == "," and not depth)
        comma = next(commas, len(rest))
        options = f", file={text[_at(text, rest[1].start) : _at(text, rest[comma - 1].end)]}"
        rest = rest[comma + 1 :]
    elif rest[-1].string == ",":
        options, rest = ', end=" "', rest[:-1]
    if not rest:
        return
    yield Edit(start, _at(text, rest[0].start), "(")
    yield Edit(_at(text, rest[-1].end), _at(text, rest[-1].end) + (options == ', end=" "'), f"{options})")


def _names(text: str) -> Iterator[Edit]:
    for node in ast.walk(cells.read_tree(text)):
        if isinstance(node, ast.Name) and node.id in NAMES:
            yield Edit(*cells.span(text, node), NAMES[node.id])
        elif isinstance(node, ast.Attribute) and node.attr in METHODS:
            end = cells.span(text, node)[1]
            yield Edit(end - len(node.attr), end, METHODS[node.attr])


def _lists(text: str) -> Iterator[Edit]:
    """The edits of `map(…)` and the like, which gave lists, where more is done with them than to go through once."""
    tree = cells.read_tree(text)
    once = {id(node.iter) for node in ast.walk(tree) if isinstance(node, ast.For | ast.comprehension)}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and cells.last_name(call) in TAKERS:
            once |= {id(argument) for argument in call.args}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in LAZY and id(call) not in once:
            start, end = cells.span(text, call)
            yield from (Edit(start, start, "list("), Edit(end, end, ")"))


def _orders(text: str) -> Iterator[Edit]:
    """The edits of `sorted(column.unique())`, where numbers came before texts, which Python 3 does not compare."""
    for call in cells.calls(text):
        value = call.args[0] if len(call.args) == 1 and not call.keywords else None
        is_mixed = isinstance(value, ast.Call) and cells.last_name(value) == "unique"
        if value and is_mixed and getattr(call.func, "id", "") == "sorted":
            end = cells.span(text, value)[1]
            yield Edit(end, end, ", key=lambda value: (isinstance(value, str), value)")
