"""The modules that a notebook imports, read from its cells."""

import json
from pathlib import Path

import pytest

from samebook.execution.warm import imports


def modules(folder: Path, *cells: str) -> tuple[str, ...]:
    return imports.modules(cells, folder)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("import pandas as pd, numpy.linalg", ("pandas", "numpy.linalg")),
        (
            "from sklearn.metrics import roc_auc_score, log_loss",
            ("sklearn.metrics:roc_auc_score", "sklearn.metrics:log_loss"),
        ),
        ("import json, os\nfrom pathlib import Path", ()),
        ("%matplotlib inline\n!ls\nimport numpy", ("numpy",)),
        ("if True:\n    import numpy\ndef f():\n    import pandas", ()),
        ("try:\n    import numpy\nexcept ImportError:\n    pass", ()),
        ("import nowhere", ()),
        ("this is no python\nimport numpy", ()),
        ("from numpy import *", ()),
        ("from . import numpy", ()),
        ("import samebook\nfrom samebook import log_metric\nimport numpy", ("samebook.api.notebook", "numpy")),
    ],
)
def test_installed_packages(cell: str, expected: tuple[str, ...], tmp_path: Path) -> None:
    """Imports from installed packages that are sure to happen are read, and no others."""
    assert modules(tmp_path, cell) == expected


def test_modules_beside_the_notebook(tmp_path: Path) -> None:
    """A module beside the notebook, which somebody may edit, is left out; its own imports are read, in order, once."""
    (tmp_path / "flights.py").write_text("import pandas\nimport helper")
    (tmp_path / "helper.py").write_text("import flights\nimport xgboost")
    (tmp_path / "numpy.py").write_text("import sklearn")
    assert modules(tmp_path, "import flights", "import numpy\nimport pandas") == ("pandas", "xgboost", "sklearn")


@pytest.mark.parametrize("source", ["print('\ud83d')", "import latin", "-" * 99999 + "1"])
def test_what_cannot_be_read_is_left_to_the_run(source: str, tmp_path: Path) -> None:
    """A cell or a module that the parser cannot read stops no run before its check."""
    (tmp_path / "latin.py").write_bytes(b"# coding: latin-1\nname = '\xe9'")
    cell = {"cell_type": "code", "source": source}
    (tmp_path / "odd.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": "import numpy"}, cell]}))
    assert imports.of_notebook(tmp_path / "odd.ipynb") == ()
