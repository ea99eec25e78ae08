"""Generators without a seed, by which two runs of a notebook differ: the code with a seed for each."""

import ast
import re
from collections.abc import Sequence

from samebook.adoption.code import cells
from samebook.adoption.code.cells import Edit
from samebook.adoption.code.renames import Change
from samebook.adoption.code.rules import Rule

SEED = 0
RULE = Rule("seed", "no seed", "https://scikit-learn.org/stable/common_pitfalls.html#controlling-randomness", str(SEED))
# Generators of their own, which take a seed.
MADE = ("numpy.random.default_rng", "numpy.random.RandomState", "random.Random")
# What draws from the one generator of numpy where it is given no other.
DRAWS = re.compile(
    r"numpy\.random\.(?!seed|default_rng|RandomState|Generator|SeedSequence)\w+"
    r"|(scipy\.stats|sklearn|seaborn|networkx|statsmodels|mlxtend)\..*"
)
# The plots of seaborn that resample for an interval, by a generator of their own.
PLOT = Rule("seed", "seed=None", "https://seaborn.pydata.org/generated/seaborn.barplot.html", f"seed={SEED}")
RESAMPLES = re.compile(r"seaborn\.(bar|point|line|reg|lm|cat)plot")
METHODS = ("sample", "rvs", "resample")
GLOBAL = {"numpy": "import numpy as np\nnp.random.seed(0)", "random": "import random\nrandom.seed(0)"}


def mended(texts: Sequence[str]) -> tuple[list[str], list[Change]]:
    """The code cells with a seed wherever they have none, and each change.

    The generator of numpy, and that of `random`, get theirs at the top, where code draws from them and seeds them
    nowhere. One seed more changes no result but those that differ from run to run.
    """
    names = cells.imported_names(texts)
    called = [(number, text, call) for number, text in enumerate(texts, start=1) for call in cells.calls(text)]
    edits: dict[int, list[Edit]] = {}
    changes: list[Change] = []
    for number, text, call in called:
        if cells.dotted(call.func, names) in MADE and _is_empty(call):
            start, end = cells.span(text, call)
            edit = Edit(start, end, f"{cells.source(text, call.func)}({SEED})")
            edits.setdefault(number, []).append(edit)
            changes.append(Change(number, RULE, cells.source(text, call), (edit,)))
        if RESAMPLES.fullmatch(cells.dotted(call.func, names)) and not _names_seed(call):
            end = cells.span(text, call)[1] - 1
            comma = "" if text[:end].rstrip().endswith((",", "(")) else ", "
            edit = Edit(end, end, f"{comma}seed={SEED}")
            edits.setdefault(number, []).append(edit)
            changes.append(Change(number, PLOT, cells.source(text, call).splitlines()[0], (edit,)))
    for library in _unseeded([cells.dotted(call.func, names) or cells.last_name(call) for _, _, call in called], texts):
        first = next(number for number, text in enumerate(texts, start=1) if text.strip())
        edit = cells.first_line(texts[first - 1], GLOBAL[library])
        edits.setdefault(first, []).append(edit)
        changes.append(Change(first, RULE, GLOBAL[library].splitlines()[1], (edit,)))
    changed = [cells.edited(text, edits.get(number, [])) for number, text in enumerate(texts, start=1)]
    return changed, changes


def _names_seed(call: ast.Call) -> bool:
    """Whether a call has a seed, or may have one among options that it takes from elsewhere."""
    return any(keyword.arg in ("seed", None) for keyword in call.keywords)


def _is_empty(call: ast.Call) -> bool:
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return all(isinstance(value, ast.Constant) and value.value is None for value in values)


def _unseeded(names: Sequence[str], texts: Sequence[str]) -> list[str]:
    """The generators that are drawn from and seeded nowhere, by the names of all calls."""
    code = "\n".join(texts)
    of_numpy = any(DRAWS.fullmatch(name) or name in METHODS for name in names)
    of_random = any(name.startswith("random.") and name not in MADE for name in names)
    return [
        *["numpy"] * (of_numpy and not re.search(r"\b(random|np)\.seed\(|\bset_seed\(", code)),
        *["random"] * (of_random and not re.search(r"\brandom\.seed\(", code)),
    ]
