"""Old code on frames of pandas whose meaning has changed, where the code says what it works on.

reduced   a reduction of a frame, which left out columns that are no numbers, and gets `new`
across    `frame.groupby(…, axis=1)`, which is a groupby of the transposed frame
axes      a whole number in `.ix[rows, columns]`, which is a position where the labels are no numbers
whole     `frame.loc[:, columns] = …`, which put new columns in the place of the old ones
category  `astype("category", categories=…)`, whose categories have a type of their own today
"""

import ast
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from samebook.adoption.code import cells
from samebook.adoption.code.cells import Code, Edit
from samebook.adoption.code.rules import Rule

type Place = tuple[Rule, int, tuple[Edit, ...]]
type ByKind = Callable[[str], Any]
type Kind = Callable[[ast.expr, Code, frozenset[str]], bool]

# Names that lead from one to another, at most.
DEPTH = 4

READERS = ("DataFrame", "read_csv", "read_table", "read_excel", "read_fwf", "read_parquet", "read_json")
# Options of a reader with which its result may be no frame.
OTHER = ("squeeze", "chunksize", "iterator", "typ", None)
# Methods of a frame that give a frame, whatever their arguments.
SAME = (
    *("copy", "head", "tail", "sample", "dropna", "drop", "drop_duplicates", "rename", "sort_values", "sort_index"),
    *("set_index", "fillna", "merge", "query", "assign", "astype", "replace", "join", "append"),
)
AGGREGATES = ("count", "first", "last", "max", "mean", "median", "min", "prod", "std", "sum", "var")


def places(text: str, by_kind: ByKind, code: Code) -> Iterator[Place]:
    """The rules that apply to a cell of this code, where they begin, and their edits."""
    tree = cells.read_tree(text)
    grouped = _grouped_across(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _of_reduction(text, node, node.func, by_kind, code)
            yield from _of_groups(text, node, node.func, by_kind, grouped)
            yield from _of_category(text, node, by_kind, code)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute):
            yield from _of_axes(text, node, node.value, by_kind)
        elif isinstance(node, ast.Assign):
            yield from _of_assigned(text, node, by_kind, grouped)
        elif isinstance(node, ast.For | ast.comprehension):
            yield from _of_loop(text, node.iter, by_kind, grouped)


def is_frame(node: ast.expr, code: Code, known: frozenset[str] = frozenset()) -> bool:
    """Whether an expression is surely a frame; a name is where all that it is given is. `known` are names that are."""
    if isinstance(node, ast.Name):
        return node.id in known or is_always(node, code, known, is_frame)
    if isinstance(node, ast.Subscript):
        is_part = isinstance(node.slice, ast.List | ast.Compare)
        return is_part and is_frame(node.value, code, known)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    module, _, name = cells.dotted(node.func, code.names).rpartition(".")
    if module:
        return module == "pandas" and name in READERS and not any(word.arg in OTHER for word in node.keywords)
    return node.func.attr in SAME and is_frame(node.func.value, code, known)


def is_always(name: ast.Name, code: Code, known: frozenset[str], is_kind: Kind) -> bool:
    """Whether all that a name is given is of a kind, where what is made of its own earlier value counts on that."""
    values = code.values.get(name.id, [])
    has_origin = any(value and not _mentions(value, name.id) for value in values)
    return has_origin and len(known) < DEPTH and code.all_are(name, lambda one: is_kind(one, code, known | {name.id}))


def _mentions(value: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(value))


def _of_reduction(text: str, call: ast.Call, method: ast.Attribute, by_kind: ByKind, code: Code) -> Iterator[Place]:
    is_plain = not call.args and all(keyword.arg in ("axis", "skipna") for keyword in call.keywords)
    for rule in by_kind("reduced"):
        if rule.old == method.attr and is_plain and is_frame(method.value, code):
            start, end = cells.span(text, call)
            yield rule, start, (Edit(end - 1, end - 1, f"{', ' if call.keywords else ''}{rule.new}"),)


def _across(node: ast.expr | None) -> ast.keyword | None:
    """The axis of a call of `groupby` that groups columns."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "groupby"):
        return None
    options = (keyword for keyword in node.keywords if keyword.arg == "axis")
    return next((word for word in options if ast.unparse(word.value) in ("1", "'columns'")), None)


def _is_aggregate(call: ast.Call) -> bool:
    return cells.last_name(call) in AGGREGATES and not (call.args or call.keywords)


@lru_cache(maxsize=1)
def _grouped_across(code: Code) -> set[int]:
    """The nodes of groups of columns that are only aggregated or gone through: their assignments, and their names."""
    groups: list[tuple[ast.Assign, list[ast.Name]]] = []
    current: dict[str, list[ast.Name]] = {}
    uses: set[int] = set()
    for statement in (statement for text in code.texts for statement in cells.read_tree(text).body):
        names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
        is_plain = isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        is_function = any(isinstance(node, ast.FunctionDef | ast.Lambda) for node in ast.walk(statement))
        for name in names:
            if name.id in current and (isinstance(name.ctx, ast.Load) or not is_plain):
                current[name.id].append(name)
        uses |= set() if is_function else {id(name) for name in _group_uses(statement)}
        for name in names:
            if not isinstance(name.ctx, ast.Load):
                current.pop(name.id, None)
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and _across(statement.value):
            groups.append((statement, []))
            current[getattr(statement.targets[0], "id", "")] = groups[-1][1]
    safe = [(assigned, names) for assigned, names in groups if all(id(name) in uses for name in names)]
    return {id(node) for assigned, names in safe for node in (assigned, *names)}


def _group_uses(statement: ast.stmt) -> Iterator[ast.Name]:
    """The names in a statement that are only aggregated or gone through."""
    for node in ast.walk(statement):
        used = node.iter if isinstance(node, ast.For | ast.comprehension) else None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_aggregate(node):
            used = node.func.value
        if isinstance(used, ast.Name):
            yield used


def _transposed(text: str, call: ast.expr) -> tuple[Edit, ...]:
    """The edits that make a groupby of columns one of the transposed frame's rows."""
    axis = _across(call)
    assert axis is not None
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Attribute)
    end = cells.span(text, call.func.value)[1]
    return Edit(end, end, ".T"), cells.without(text, axis)


def _of_groups(text: str, call: ast.Call, method: ast.Attribute, by_kind: ByKind, grouped: set[int]) -> Iterator[Place]:
    if not _is_aggregate(call):
        return
    is_name = id(method.value) in grouped
    if is_name or _across(method.value):
        start, end = cells.span(text, call)
        edits = () if is_name else _transposed(text, method.value)
        yield from ((rule, start, (*edits, Edit(end, end, ".T"))) for rule in by_kind("across"))


def _of_assigned(text: str, node: ast.Assign, by_kind: ByKind, grouped: set[int]) -> Iterator[Place]:
    start = cells.span(text, node)[0]
    target = node.targets[0]
    if id(node) in grouped:
        yield from ((rule, start, _transposed(text, node.value)) for rule in by_kind("across"))
    if not (isinstance(target, ast.Subscript) and isinstance(target.value, ast.Attribute) and len(node.targets) == 1):
        return
    parts = target.slice.elts if isinstance(target.slice, ast.Tuple) else []
    if len(parts) == 2 and ast.unparse(parts[0]) == ":" and _is_label(parts[1]):
        for rule in by_kind("whole"):
            if rule.old == target.value.attr:
                frame = cells.source(text, target.value.value)
                labels = cells.source(text, parts[1])
                part = f"{frame}[{labels}]"
                if isinstance(parts[1], ast.Slice):
                    part = f"{frame}[{frame}.loc[:, {labels}].columns]"
                if _replaces(text, node.value, target, f"{frame}[{labels}]"):
                    yield rule, start, (Edit(*cells.span(text, target), part),)


def _replaces(text: str, value: ast.expr, target: ast.Subscript, part: str) -> bool:
    """Whether a value is computed for one column, or of the very columns that it replaces, in their order.

    A single value was written into the old column, which kept its type.
    """
    if not isinstance(value, ast.Call | ast.Subscript):
        return False
    is_one = isinstance(target.slice, ast.Tuple) and isinstance(target.slice.elts[1], ast.Constant)
    return is_one or cells.source(text, value).startswith((cells.source(text, target), part))


def _is_label(node: ast.expr) -> bool:
    """Whether an index is of texts: one, a list, or from one to another."""
    is_stepped = isinstance(node, ast.Slice) and node.step is not None
    return not is_stepped and _is_each(node, lambda one: isinstance(one, ast.Constant) and isinstance(one.value, str))


def _is_each(node: ast.expr, is_one: Callable[[ast.expr], bool]) -> bool:
    """Whether an index, each item of its list, or each end of its slice is one of these; an empty one is not."""
    if isinstance(node, ast.List):
        return bool(node.elts) and all(_is_each(item, is_one) for item in node.elts)
    if isinstance(node, ast.Slice):
        ends = [end for end in (node.lower, node.upper) if end]
        return bool(ends) and all(_is_each(end, is_one) for end in ends)
    return is_one(node)


def _of_loop(text: str, groups: ast.expr, by_kind: ByKind, grouped: set[int]) -> Iterator[Place]:
    if isinstance(groups, ast.Name) and id(groups) in grouped:
        start, end = cells.span(text, groups)
        new = f"((key, part.T.infer_objects()) for key, part in {groups.id})"
        yield from ((rule, start, (Edit(start, end, new),)) for rule in by_kind("across"))


def _of_axes(text: str, node: ast.Subscript, indexer: ast.Attribute, by_kind: ByKind) -> Iterator[Place]:
    """The rule for `frame.ix["a", 0]`: each axis has labels that are numbers, or takes numbers as positions."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    frame = cells.source(text, indexer.value)
    for rule in by_kind("axes"):
        if rule.old != indexer.attr or len(parts) != 2 or not frame.replace(".", "").isidentifier():
            continue
        for part, axis in zip(parts, ("index", "columns"), strict=True):
            if _is_position(part):
                start, end = cells.span(text, part)
                labels = text[start:end]
                if isinstance(part, ast.Slice):
                    bounds = (cells.source(text, bound) if bound else None for bound in (part.lower, part.upper))
                    labels = "slice({}, {})".format(*bounds)
                new = f"{labels} if {frame}.{axis}.inferred_type in {rule.new} else {frame}.{axis}[{text[start:end]}]"
                yield rule, cells.span(text, node)[0], (Edit(start, end, new),)


def _is_position(node: ast.expr) -> bool:
    return _is_each(node, is_whole_number)


def is_whole_number(node: ast.expr) -> bool:
    """Whether an index is one whole number, as it stands there."""
    number = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(number, ast.Constant) and type(number.value) is int


def _of_category(text: str, call: ast.Call, by_kind: ByKind, code: Code) -> Iterator[Place]:
    """The rule for `astype("category", categories=…, ordered=…)`."""
    first = call.args[0] if len(call.args) == 1 else None
    is_old = isinstance(first, ast.Constant) and first.value == "category" and call.keywords
    pandas = next((name for name, module in code.names.items() if module == "pandas"), "")
    if not (is_old and first and pandas and {word.arg for word in call.keywords} <= {"categories", "ordered"}):
        return
    for rule in by_kind("category"):
        if rule.old == cells.last_name(call):
            start, end = cells.span(text, first)[0], cells.span(text, call)[1] - 1
            options = ", ".join(f"{word.arg}={cells.source(text, word.value)}" for word in call.keywords)
            yield rule, start, (Edit(start, end, f"{pandas}.{rule.new}({options})"),)
