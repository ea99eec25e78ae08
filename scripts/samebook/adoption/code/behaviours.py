"""Old code that has another behaviour today, where the shape of the code tells it: its rules, and the code as it was.

grouped   a call without arguments of a method of `….groupby(…)`, which gets `new`
add       a call that gets `new`, where it has no argument of that name
position  a whole number as the index of an attribute, which is a position, also where that is a Series
inplace   a statement that changes a part of a frame in place, which gets a copy today
frequency an old alias among the frequencies that a call takes
period    an old alias among the frequencies of periods, which keep theirs for ends
splitter  a class that was given the data: `new` has its arguments, with the defaults that are others today
joined    columns that a reader made one date of, by their positions
compared  a text that a version is compared with, which is a version, too
unshuffled a `random_state` of a class that does not shuffle, where it never had an effect
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from samebook.adoption.code import cells
from samebook.adoption.code.cells import Edit
from samebook.adoption.code.rules import Rule

type Place = tuple[Rule, int, tuple[Edit, ...]]
type ByKind = Callable[[str], Any]

# The place of a frequency among the arguments of a call that takes one, and its names there.
FREQUENCIES = {
    **dict.fromkeys(("resample", "asfreq", "floor", "ceil", "to_offset"), 0),
    **dict.fromkeys(("date_range", "bdate_range"), 3),
    "Grouper": 2,
}
PERIODS = {"to_period": 0, "Period": 1, "period_range": 3}
NAMES = ("freq", "rule")
ALIAS = re.compile(r"((?<![-A-Za-z])[A-Za-z]+)")


def places(text: str, by_kind: ByKind, names: Mapping[str, str]) -> Iterator[Place]:
    """The rules that apply to a cell, where they begin, and their edits; `names` are the imported ones."""
    for node in ast.walk(cells.read_tree(text)):
        if isinstance(node, ast.Call):
            yield from _of_call(text, node, by_kind)
            yield from _of_frequency(text, node, by_kind)
            yield from _of_dates(text, node, by_kind, cells.dotted(node.func, names))
            yield from _of_splitter(text, node, by_kind, cells.dotted(node.func, names))
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Call):
            yield from _of_version(text, node, by_kind, cells.dotted(node.left.func, names))
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and _is_whole(node.slice):
            yield from _of_index(text, node.value, by_kind)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _of_statement(text, node.value, by_kind)


def _of_call(text: str, call: ast.Call, by_kind: ByKind) -> Iterator[Place]:
    name, start, end = cells.last_name(call), *cells.span(text, call)
    inner = call.func.value if isinstance(call.func, ast.Attribute) else None
    is_plain = isinstance(inner, ast.Call) and not (call.args or call.keywords) and "axis=" not in ast.unparse(inner)
    if is_plain and isinstance(inner, ast.Call) and re.search(r"(?<!\.T)\.groupby$", ast.unparse(inner.func)):
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


def _of_frequency(text: str, call: ast.Call, by_kind: ByKind) -> Iterator[Place]:
    """The rules for `resample("10AS")`, which is `resample("10YS")`: the letters after a hyphen are another thing."""
    name = cells.last_name(call)
    for kind, places in (("frequency", FREQUENCIES), ("period", PERIODS)):
        if name not in places:
            continue
        values = [*call.args[places[name] :][:1], *(word.value for word in call.keywords if word.arg in NAMES)]
        for value in values:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                aliases = {rule.old: rule for rule in by_kind(kind)}
                old = [aliases[alias] for alias in ALIAS.findall(value.value) if alias in aliases]
                new = "".join(aliases[part].new if part in aliases else part for part in ALIAS.split(value.value))
                start, end = cells.span(text, value)
                yield from ((rule, start, (Edit(start, end, f'"{new}"'),)) for rule in old)


def _of_splitter(text: str, call: ast.Call, by_kind: ByKind, name: str) -> Iterator[Place]:
    """The rules for `KFold(n, 3)`, the list of whose splits is that of `KFold(n_splits=3).split(range(n))`."""
    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    start, end = cells.span(text, call)
    for rule in by_kind("splitter"):
        signature = [word.partition("=") for word in rule.new.split()]
        is_old = name == rule.old or name == rule.old.replace("cross_validation", "model_selection")
        if (
            not is_old
            or (name != rule.old and not {"n_folds", "n_iter"} & given.keys())
            or len(given) < len(call.keywords)
            or any(isinstance(argument, ast.Starred) for argument in call.args)
        ):
            continue
        values = {word: default for word, _, default in signature if default}
        values |= {word: cells.source(text, value) for (word, _, _), value in zip(signature, call.args, strict=False)}
        values |= {word: cells.source(text, value) for word, value in given.items()}
        first = signature[0][0]
        if first in values:
            data = values.pop(first)
            options = {_today(word): value for word, value in values.items()}
            if options.get("shuffle", "False") == "False" and "Shuffle" not in name:
                options.pop("random_state", "")
            subject = f"range({data})" if first == "n" else f"{data}, {data}"
            made = ", ".join(f"{word}={value}" for word, value in options.items())
            new = f"list({cells.source(text, call.func)}({made}).split({subject}))"
            yield rule, start, (Edit(start, end, new),)
    for rule in by_kind("unshuffled"):
        shuffles = given.get("shuffle")
        is_ordered = shuffles is None or (isinstance(shuffles, ast.Constant) and shuffles.value is False)
        if name == rule.old and is_ordered and len(call.args) < 2:
            seeds = [keyword for keyword in call.keywords if keyword.arg == "random_state"]
            yield from ((rule, start, (cells.without(text, seed),)) for seed in seeds)


# The date of some columns, joined by blanks, and named after them, comes first, in their place.
DATES = (
    ".pipe(lambda d, at={0}: {1}.concat([{1}.to_datetime(d.iloc[:, at].astype(str).agg(' '.join, axis=1),"
    " format='mixed').rename('_'.join(d.columns[at])), d.drop(columns=d.columns[at])], axis=1))"
)


def _of_dates(text: str, call: ast.Call, by_kind: ByKind, name: str) -> Iterator[Place]:
    """The rule for `pd.read_csv(…, parse_dates=[[0, 1, 2]])`, where nothing else is done with dates or the index."""
    option = next((word for word in call.keywords if word.arg == "parse_dates"), None)
    others = {word.arg for word in call.keywords} & {None, "index_col", "keep_date_col", "date_parser", "dayfirst"}
    outer = option.value.elts if option and isinstance(option.value, ast.List) else []
    is_one = len(outer) == 1 and isinstance(outer[0], ast.List) and all(map(_is_whole, outer[0].elts))
    for rule in by_kind("joined"):
        if rule.old == name and option and is_one and not others and isinstance(call.func, ast.Attribute):
            start, end = cells.span(text, call)
            piped = DATES.format(cells.source(text, outer[0]), cells.source(text, call.func.value))
            yield rule, start, (cells.without(text, option), Edit(end, end, piped))


def _of_version(text: str, node: ast.Compare, by_kind: ByKind, name: str) -> Iterator[Place]:
    """The rule for `Version(a) < "0.18"`, which is `Version(a) < Version("0.18")`."""
    for rule in by_kind("compared"):
        for value in node.comparators:
            is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
            if is_text and name in (rule.old, "distutils.version.LooseVersion") and isinstance(node.left, ast.Call):
                start, end = cells.span(text, value)
                called = cells.source(text, node.left.func)
                yield rule, start, (Edit(start, start, f"{called}("), Edit(end, end, ")"))


def _today(word: str) -> str:
    return "n_splits" if word in ("n_folds", "n_iter") else word
