"""Old code against today's libraries: where a rule applies in a notebook, and the code as the rule would have it."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from samebook.adoption.code import appends, arrays, behaviours, cells, frames, imported_lines, rules, series
from samebook.adoption.code.cells import Code, Edit
from samebook.adoption.code.rules import Rule

# An axis of a frame, as code has it.
AXES = ("0", "1", "'index'", "'columns'")
# A change may uncover another, in what it encloses.
PASSES = 4


@dataclass(frozen=True)
class Change:
    """A place where a rule applies: the number of its cell, its line and its edits; none where a person has to."""

    cell: int
    rule: Rule
    line: str
    edits: tuple[Edit, ...] = ()


def find(texts: Sequence[str]) -> list[Change]:
    """The places in these code cells where a rule applies."""
    code = Code(tuple(texts))
    by_kind = partial(rules.of, libraries=code.libraries)
    used = set(code.loads)
    places = (
        (number, text, *place)
        for number, text in enumerate(texts, start=1)
        for place in (
            *imported_lines.places(text, used),
            *_in_cell(text, code.names, by_kind),
            *behaviours.places(text, by_kind, code.names),
            *frames.places(text, by_kind, code),
            *series.places(text, by_kind, code),
            *arrays.places(text, by_kind, code),
            *appends.places(text, by_kind, code),
        )
    )
    return [Change(number, rule, _line(text, at), edits) for number, text, rule, at, edits in places]


def mend(texts: Sequence[str]) -> tuple[list[str], list[Change]]:
    """The code cells with each change made that a rule can make, and all changes."""
    changed = list(texts)
    made: list[Change] = []
    for _ in range(PASSES):
        changes = [change for change in find(changed) if change.edits]
        if not changes:
            break
        made += changes
        for number in {change.cell for change in changes}:
            edits = dict.fromkeys(edit for change in changes if change.cell == number for edit in change.edits)
            changed[number - 1] = cells.edited(changed[number - 1], edits)
    return changed, [*made, *find(changed)]


def helping(message: str, changes: Iterable[Change]) -> Change | None:
    """The change that would help a run that failed with this message, which has the line; None where no rule would."""
    changes = [*changes]
    of_line = (change for change in changes if f": {change.line}\n" in f"{message}\n")
    of_word = (change for change in changes if re.search(rf"\b{re.escape(change.rule.last)}\b", message))
    return next(of_line, None) or next(of_word, None)


def of_error(message: str, texts: Sequence[str]) -> Rule | None:
    """The rule about a run's error, for a notebook with these code cells; None where no rule is about it."""
    libraries = Code(tuple(texts)).libraries
    return next((rule for rule in rules.of("error", libraries) if re.search(rule.old, message, re.MULTILINE)), None)


type Place = tuple[Rule, int, tuple[Edit, ...]]


def _line(text: str, at: int) -> str:
    return text[text.rfind("\n", 0, at) + 1 :].split("\n")[0].strip()


def _in_cell(text: str, names: Mapping[str, str], by_kind: partial[Iterable[Rule]]) -> Iterator[Place]:
    """The rules that apply to expressions of a cell, where they begin, and their edits."""
    tree = cells.read_tree(text)
    indexed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Subscript)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield from _of_attribute(text, node, names)
            if id(node) in indexed:
                yield from (_attribute(text, node, rule) for rule in by_kind("attribute") if rule.old == node.attr)
        elif isinstance(node, ast.Call):
            yield from _of_method(text, node, by_kind)
            yield from _of_arguments(text, node, by_kind, names)


def _place(text: str, node: ast.expr, rule: Rule, *edits: Edit) -> Place:
    return rule, cells.span(text, node)[0], edits if rule.new is not None else ()


def _of_attribute(text: str, node: ast.Attribute, names: Mapping[str, str]) -> Iterator[Place]:
    """The rule for a name in dots: only its end changes where the new one is in the same module."""
    name = cells.dotted(node, names)
    for rule in rules.rules():
        if rule.kind in ("name", "module") and name == rule.old:
            start, end = cells.span(text, node)
            new, module = rule.new or "", rule.old.rpartition(".")[0]
            own = new.lstrip("-").removeprefix(f"{module}.")
            if own != new.lstrip("-") and "." not in own:
                sign = "-" * new.startswith("-")
                yield _place(text, node, rule, Edit(start, end, f"{sign}{cells.source(text, node.value)}.{own}"))
                continue
            edits = [Edit(start, end, new)]
            is_dotted = "." in new and new.replace(".", "").isidentifier()
            needed = rule.imports or (f"import {new.rpartition('.')[0]}" if is_dotted else "")
            if needed and rule.new:
                edits.append(cells.first_line(text, needed))
            yield _place(text, node, rule, *edits)


def _attribute(text: str, node: ast.Attribute, rule: Rule) -> Place:
    end = cells.span(text, node)[1]
    return _place(text, node, rule, Edit(end - len(node.attr), end, rule.new or ""))


def _of_method(text: str, call: ast.Call, by_kind: partial[Iterable[Rule]]) -> Iterator[Place]:
    if not isinstance(call.func, ast.Attribute):
        return
    method = call.func
    yield from (_attribute(text, method, rule) for rule in by_kind("method") if rule.old == method.attr)
    for rule in by_kind("arguments"):
        if f".{ast.unparse(method)}".endswith(f".{rule.old}") and (edits := _names(text, call, rule)):
            yield _place(text, call, rule, *edits)
    if not call.args and not call.keywords:
        end = cells.span(text, call)[1] - 1
        yield from (
            _place(text, call, rule, Edit(end, end, rule.new or ""))
            for rule in by_kind("bare")
            if rule.old == method.attr
        )


def _names(text: str, call: ast.Call, rule: Rule) -> list[Edit]:
    """The names for a method's arguments; none where there are more of them, or an axis is something else."""
    words = list(zip((rule.new or "").split(), call.args, strict=False))
    axes = [getattr(argument, "value", None) for word, argument in words if word == "axis"]
    is_starred = any(isinstance(argument, ast.Starred) for argument in call.args)
    if is_starred or len(words) < len(call.args) or not all(f"{axis!r}" in AXES for axis in axes):
        return []
    starts = [(cells.span(text, argument)[0], word) for word, argument in words if word != "_"]
    return [Edit(at, at, f"{word}=") for at, word in starts]


def _of_arguments(
    text: str, call: ast.Call, by_kind: partial[Iterable[Rule]], names: Mapping[str, str]
) -> Iterator[Place]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    for keyword in call.keywords:
        for rule in by_kind("keyword"):
            if _matches(rule.old, name, keyword):
                yield _place(text, call, rule, _keyword(text, keyword, rule.new or ""))
        for rule in by_kind("fill"):
            if _matches(rule.old, name, keyword) and isinstance(call.func, ast.Attribute) and not call.args:
                end = cells.span(text, call.func)[1]
                method = Edit(end - len(name), end, rule.new or "")
                yield _place(text, call, rule, method, _keyword(text, keyword, ""))
    for value in (*call.args, *(keyword.value for keyword in call.keywords)):
        for rule in by_kind("string"):
            words = rule.old.split()
            if words[0] == name and isinstance(value, ast.Constant) and value.value == words[-1]:
                yield _place(text, call, rule, Edit(*cells.span(text, value), f'"{rule.new}"'))
    yield from _positional(text, call, cells.dotted(call.func, names))
    yield from _called(text, call, by_kind, cells.dotted(call.func, names))


def _called(text: str, call: ast.Call, by_kind: partial[Iterable[Rule]], name: str) -> Iterator[Place]:
    """The rule for a function that is another one with something after its call, or with it in a keyword's place."""
    start, end = cells.span(text, call)
    for rule in by_kind("called"):
        if rule.old == name and isinstance(call.func, ast.Attribute):
            function, after = (rule.new or "").split()
            stop = cells.span(text, call.func)[1]
            yield rule, start, (Edit(stop - len(call.func.attr), stop, function), Edit(end, end, after))
    for rule in by_kind("after"):
        for keyword in call.keywords:
            value = getattr(keyword.value, "value", None)
            is_plain = value is True or (isinstance(value, str) and value.isidentifier())
            if is_plain and _matches(rule.old, cells.last_name(call), keyword):
                yield rule, start, (cells.without(text, keyword), Edit(end, end, (rule.new or "").format(value)))


def _positional(text: str, call: ast.Call, name: str) -> Iterator[Place]:
    """The rule for arguments without names: of one alone that is not said to be a column, it may be the data."""
    has_data = any(keyword.arg == "data" for keyword in call.keywords)
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return
    for rule in rules.rules():
        is_plot = rule.kind == "positional" and len(call.args) >= (1 if has_data else 2)
        if rule.old == name and (is_plot or rule.kind == "named"):
            new = (rule.new or "").split()
            starts = [cells.span(text, argument)[0] for argument in call.args]
            words = [*new, *["data"] * (rule.kind == "positional" and not has_data)]
            edits = [Edit(at, at, f"{word}=") for at, word in zip(starts, words, strict=False) if word != "_"]
            if edits or rule.new is None:
                yield _place(text, call, rule, *edits)


def _matches(old: str, name: str, keyword: ast.keyword) -> bool:
    called, _, wanted = old.partition(" ")
    key, equals, value = wanted.partition("=")
    if called not in (name, "*") or keyword.arg != key:
        return False
    return not equals or ast.unparse(keyword.value).strip("'\"") == value.strip("'\"")


def _keyword(text: str, keyword: ast.keyword, new: str) -> Edit:
    """The edit of one keyword: its name, all of it, or away with its comma."""
    start, end = cells.span(text, keyword)
    if new.endswith("="):
        return Edit(start, start + text[start:].index("=") + 1, new)
    if new:
        return Edit(start, end, new)
    return cells.without(text, keyword)
