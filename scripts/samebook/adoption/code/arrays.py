"""Old code on arrays that today's libraries refuse, where it can be written so that they take it as they did.

matrix    a matrix of numpy that goes into a model: scikit-learn made an array of it
hashed    texts that go into a FeatureHasher of texts, of which each is the list of its letters
flat      what a model predicts, scaled back: an array of one dimension was one column
scalar    an array of one number, which a text takes by `%`
counted   a number of bins that is a quotient, of which the whole part counted
iterated  a function of numpy that is given a generator, which it gave to Python's own: `new`
ticks     labels that may be fewer than their ticks, the rest of which had none
wrapped   a model of liblinear, which fits one class against the rest, also where there are more than two
"""

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

from samebook.adoption.code import cells
from samebook.adoption.code.cells import Code, Edit
from samebook.adoption.code.rules import Rule

type Place = tuple[Rule, int, tuple[Edit, ...]]
type ByKind = Callable[[str], Any]

# Methods of models and transformers that take data.
METHODS = ("fit", "predict", "predict_proba", "score", "transform", "fit_transform", "fit_predict")
MATRICES = ("numpy.matrix", "numpy.mat", "numpy.asmatrix")
NUMBER = re.compile(r"%[-+0-9.]*[dfeg]")
# Libraries whose models predict columns already.
COLUMNS = {"keras", "tensorflow", "torch"}
# What a wrapped model has not, and what searches for its options by their names.
OWN = re.compile(
    r"\.(coef_|intercept_|n_iter_|C|set_params|get_params|named_steps|densify|predict_log_proba)\b|__C\b|sample_weight"
    r"|\w+(Grid|Search)\w*\(|\bSelectFromModel\b|\bRFE|OneVsRestClassifier\("
)


def places(text: str, by_kind: ByKind, code: Code) -> Iterator[Place]:
    """The rules that apply to a cell of this code, where they begin, and their edits."""
    for call in cells.calls(text):
        if isinstance(call.func, ast.Attribute) and call.func.attr in METHODS:
            yield from _of_matrices(text, call, by_kind, code)
            yield from _of_hasher(text, call, call.func, by_kind, code)
        yield from _of_flat(text, call, by_kind, code)
        yield from _of_ticks(text, call, by_kind, code)
        yield from _of_generator(text, call, by_kind, code)
        yield from _of_liblinear(text, call, by_kind, code)
        for bins in (word.value for word in call.keywords if word.arg == "bins" and _is_quotient(word.value, code)):
            start, end = cells.span(text, bins)
            edits = (Edit(start, start, "int("), Edit(end, end, ")"))
            yield from ((rule, cells.span(text, call)[0], edits) for rule in by_kind("counted"))
    for node in ast.walk(cells.read_tree(text)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            yield from _of_text(text, node, by_kind, code)


def _of_generator(text: str, call: ast.Call, by_kind: ByKind, code: Code) -> Iterator[Place]:
    """The rule for `np.sum(x for x in y)`, where Python's own function has its name."""
    is_alone = len(call.args) == 1 and isinstance(call.args[0], ast.GeneratorExp) and not call.keywords
    for rule in by_kind("iterated"):
        is_own = rule.new not in (*code.names, *code.values)
        if is_alone and is_own and cells.dotted(call.func, code.names) == rule.old:
            span = cells.span(text, call.func)
            yield rule, span[0], (Edit(*span, rule.new),)


def _is_quotient(node: ast.expr, code: Code) -> bool:
    """Whether an expression is one number by another, and no array."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_number(node, code)


def _is_number(node: ast.expr, code: Code, depth: int = 0) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_number(node.left, code, depth) and _is_number(node.right, code, depth)
    if isinstance(node, ast.Name):
        return depth < 4 and code.all_are(node, lambda value: _is_number(value, code, depth + 1))
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", "") in ("max", "min", "len", "int", "float", "round")
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _numpy(text: str, code: Code) -> tuple[str, tuple[Edit, ...]]:
    """The name of numpy, and the edit that imports it where no cell does."""
    name = next((name for name, module in code.names.items() if module == "numpy"), "")
    return (name, ()) if name else ("numpy", (cells.first_line(text, "import numpy"),))


def _of_matrices(text: str, call: ast.Call, by_kind: ByKind, code: Code) -> Iterator[Place]:
    for rule in by_kind("matrix"):
        numpy, needed = _numpy(text, code)
        for value in call.args:
            values = code.values.get(value.id, []) if isinstance(value, ast.Name) else []
            made = [node.func for node in values if isinstance(node, ast.Call)]
            if any(cells.dotted(function, code.names) in MATRICES for function in made):
                start, end = cells.span(text, value)
                new = f"{numpy}.{rule.new}({text[start:end]})"
                yield rule, cells.span(text, call)[0], (*needed, Edit(start, end, new))


def _of_hasher(text: str, call: ast.Call, method: ast.Attribute, by_kind: ByKind, code: Code) -> Iterator[Place]:
    is_map = bool(call.args) and isinstance(call.args[0], ast.Call) and cells.last_name(call.args[0]) == "map"
    if not call.args or is_map or not code.all_are(method.value, _hashes_texts):
        return
    start, end = cells.span(text, call.args[0])
    edits = (Edit(start, start, "map(list, "), Edit(end, end, ")"))
    yield from ((rule, cells.span(text, call)[0], edits) for rule in by_kind("hashed"))


def _hashes_texts(node: ast.expr) -> bool:
    """Whether an expression makes a FeatureHasher of texts."""
    if not (isinstance(node, ast.Call) and cells.last_name(node) == "FeatureHasher"):
        return False
    return any(word.arg == "input_type" and ast.unparse(word.value) == "'string'" for word in node.keywords)


def _is_predicted(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and cells.last_name(node) == "predict"


def _of_flat(text: str, call: ast.Call, by_kind: ByKind, code: Code) -> Iterator[Place]:
    """The rule for `scaler.inverse_transform(model.predict(X))`: the result has the shape of its argument."""
    is_name = len(call.args) == 1 and isinstance(call.args[0], ast.Name) and not call.keywords
    if not is_name or code.libraries & COLUMNS:
        return
    for rule in by_kind("flat"):
        if rule.old == cells.last_name(call) and code.all_are(call.args[0], _is_predicted):
            numpy, needed = _numpy(text, code)
            (start, end), inner = cells.span(text, call), cells.span(text, call.args[0])
            values = text[slice(*inner)]
            column = Edit(*inner, f"{numpy}.reshape({values}, (len({values}), -1))")
            shaped = Edit(start, start, f"{numpy}.reshape("), Edit(end, end, f", {numpy}.shape({values}))")
            yield rule, start, (*needed, shaped[0], column, shaped[1])


def _of_text(text: str, node: ast.BinOp, by_kind: ByKind, code: Code) -> Iterator[Place]:
    """The rule for `"%.3f" % model.predict(x)`."""
    is_text = isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)
    for rule in by_kind("scalar"):
        if is_text and NUMBER.search(ast.unparse(node.left)) and code.all_are(node.right, _gives_array):
            numpy, needed = _numpy(text, code)
            start, end = cells.span(text, node.right)
            yield rule, start, (*needed, Edit(start, start, f"{numpy}.asarray("), Edit(end, end, f"){rule.new}"))


def _gives_array(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and cells.last_name(node) in ("predict", "reshape")


def _of_ticks(text: str, call: ast.Call, by_kind: ByKind, code: Code) -> Iterator[Place]:
    """The rule for `plt.xticks(range(n), labels)`, where nothing says that there are n labels."""
    for rule in by_kind("ticks"):
        if cells.dotted(call.func, code.names) != rule.old or len(call.args) != 2:
            continue
        ticks, labels = (cells.source(text, value) for value in call.args)
        is_range = isinstance(call.args[0], ast.Call) and cells.last_name(call.args[0]) in ("range", "arange")
        if is_range and isinstance(call.args[1], ast.Name) and f"len({labels})" not in ticks:
            new = f'[*{labels}, *[""] * len({ticks})][:len({ticks})]'
            yield rule, cells.span(text, call)[0], (Edit(*cells.span(text, call.args[1]), new),)


def _of_liblinear(text: str, call: ast.Call, by_kind: ByKind, code: Code) -> Iterator[Place]:
    """The rule for `LogisticRegression(solver="liblinear")`, where no cell asks it for what only it has."""
    for rule in by_kind("wrapped"):
        options = {word.arg: word for word in call.keywords}
        values = {name: ast.unparse(word.value) for name, word in options.items()}
        is_named = cells.dotted(call.func, code.names) == rule.old.split()[0]
        is_liblinear = is_named and values.get("solver") == "'liblinear'" and "class_weight" not in values
        if is_liblinear and not any(map(OWN.search, code.texts)):
            start, end = cells.span(text, call)
            is_ovr = values.get("multi_class") == "'ovr'"
            scheme = [cells.without(text, options["multi_class"])] if is_ovr else []
            edits = (Edit(start, start, f"{rule.new}("), *scheme, Edit(end, end, ")"))
            yield rule, start, (cells.first_line(text, rule.imports), *edits)
