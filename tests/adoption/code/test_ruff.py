"""What ruff's own rules find in old code is found here too, and what they change is changed to the same."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy import _expired_attrs_2_0 as expired

from samebook.adoption.code import cells, renames, rules

RULES = "NPY001,NPY003,NPY201,PD007"
# Names that numpy had: those that it says itself are gone, those of the rules here, and some that it warns of.
GONE = (*expired.__expired_attributes__, *np.__former_attrs__, "round_", "row_stack", "trapz", "disp", "bool", "long")
OWN = (rule.old.removeprefix("numpy.") for rule in rules.rules() if rule.old.startswith("numpy."))
NAMES = sorted({name for name in (*GONE, *OWN) if name.isidentifier()})
EXAMPLES = {
    **{name: f"import numpy as np\n\nx = np.{name}\n" for name in NAMES},
    **{f"from {name}": f"from numpy import {name}\n\nx = {name}\n" for name in NAMES},
    "in1d": "import numpy as np\n\nx = np.in1d([1], [2])\n",
    "call": "import numpy as np\n\nx = np.round_(np.cumproduct(np.array([1], dtype=np.int)), 2)\n",
    "ix": "import pandas as pd\n\nd = pd.read_csv('a.csv')\nx = d.ix['a']\n",
}


@pytest.fixture(scope="module")
def ruff(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    """What ruff says of the examples that it finds old code in, and all of them as it has changed them, by name."""
    folder = tmp_path_factory.mktemp("ruff")
    for name, text in EXAMPLES.items():
        cell = {"cell_type": "code", "source": text, "metadata": {}, "outputs": [], "execution_count": None}
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook))

    def check(*options: str) -> str:
        command = ("ruff", "check", "--isolated", "--no-cache", "--exit-zero", "--select", RULES, *options, folder)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    found = {Path(one["filename"]).stem: one["message"] for one in json.loads(check("--output-format", "json"))}
    check("--fix", "--unsafe-fixes")
    return found, {name: source(folder / f"{name}.ipynb") for name in EXAMPLES}


def source(path: Path) -> str:
    return "".join(json.loads(path.read_text())["cells"][0]["source"])


def meaning(text: str) -> str:
    """What `x` is, with each name in full that the code imports, or assigns before."""
    names = {"np": "numpy", **cells.imported_names([text])}  # which ruff writes without importing it
    values: dict[str, ast.expr] = {}

    class Full(ast.NodeTransformer):
        def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
            name = cells.dotted(node, names).removeprefix("builtins.")
            return ast.Name(name) if name else ast.Attribute(self.visit(node.value), node.attr)

        def visit_Name(self, node: ast.Name) -> ast.expr:
            return values.get(node.id) or ast.Name(cells.dotted(node, names) or node.id)

    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign):
            values[ast.unparse(node.targets[0])] = Full().visit(node.value)
    return ast.unparse(values["x"])


def test_found_and_changed_as_by_ruff(ruff: tuple[dict[str, str], dict[str, str]]) -> None:
    """Each name that ruff finds is found; each example that it changes means the same as it is changed here."""
    found, changed = ruff
    assert len(found) > 60
    assert sum(changed[name] != text for name, text in EXAMPLES.items()) > 40
    missed = [name for name in found if not renames.find([EXAMPLES[name]])]
    assert missed == []
    other = {
        name: (changed[name], renames.mend([text])[0][0])
        for name, text in EXAMPLES.items()
        if changed[name] != text and meaning(changed[name]) != meaning(renames.mend([text])[0][0])
    }
    assert other == {}


def test_changed_names_are_there(ruff: tuple[dict[str, str], dict[str, str]]) -> None:
    """What old code is changed to, by ruff and here, is a name of today's libraries."""
    mended = {name: renames.mend([text])[0][0] for name, text in EXAMPLES.items() if name in ruff[0]}
    code = [text for name, text in mended.items() if text != EXAMPLES[name] and "numpy" in EXAMPLES[name]]
    assert len(code) > 80
    subprocess.run([sys.executable, "-c", "\n".join(code)], check=True)
