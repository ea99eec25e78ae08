"""Versions that a notebook's saved outputs show are its wish, and other numbers beside a package's name are not."""

import json
from pathlib import Path
from typing import Any

import pytest

from samebook.adoption import foreign, imports, plan, printed

IMPORTS = "import pandas as pd, numpy as np, sklearn, torch, seaborn\nfrom tensorflow import keras"


def shown(code: str, output: str) -> dict[str, str]:
    return printed.versions([IMPORTS, code], ["", output])


@pytest.mark.parametrize(
    ("code", "output", "versions"),
    [
        ("%watermark -v -p pandas,numpy", "CPython 3.4.3\n\npandas 0.16\nnumpy     : 1.9.2", "pandas 0.16 numpy 1.9.2"),
        (
            "session_info.show(html=False)",
            "-----\npandas              1.3.3\nsession_info        1.0.0",
            "pandas 1.3.3",
        ),
        ("print(pd.__version__)", "1.5.3\n", "pandas 1.5.3"),
        ("pd.__version__", "'0.23.dev0'", "pandas 0.23.dev0"),
        ("print(f'{np.__version__} {torch.__version__}')", "1.9.2 1.9.0+cu102", "numpy 1.9.2 torch 1.9.0"),
        ("print('Torch is v' + torch.__version__ + '.')", "Torch is v1.9.0.", "torch 1.9.0"),
        ("for m in (np, pd):\n  print(m.__name__, m.__version__)", "numpy 1.9\npandas 0.23", "numpy 1.9 pandas 0.23"),
        ("sklearn.show_versions()", "System:\n    python: 3.7.3\n   sklearn: 0.24.1\n", "scikit-learn 0.24.1"),
        ("!pip freeze", "sklearn==0.0\noddity==1.0\nscikit-learn==1.0\nPandas==1.5.3", "scikit-learn 1.0 pandas 1.5.3"),
        ("!pip list", "Package  Version\n-------- ---\nseaborn   0.11\nxlrd  1.2.0", "seaborn 0.11"),
        ("!conda list", "numpy     1.21.2   py39h20f2e39_0    conda-forge", "numpy 1.21.2"),
        ("show()", "pandas version: 1.5.3", "pandas 1.5.3"),
    ],
)
def test_shown(code: str, output: str, versions: str) -> None:
    """Lists of all kinds, and what code shows of `__version__`, by the package that its module has."""
    words = versions.split()
    assert shown(code, output) == {name: f"=={version}" for name, version in zip(words[::2], words[1::2], strict=True)}


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("frame", "pandas   1.25\nseaborn  12\nnumpy 0.5"),
        ("frame", "numpy 1.5.3 2.0.1"),
        ("print(np.mean(x), pd.__version__)", "1.5 1.5.3"),
        ("if np.__version__ < '1.8': print('1.7 is too old')", "1.7 is too old"),
        ("print(keras.__version__)", "2.4.0"),
        ("print(other.__version__)", "1.2.3"),
        ("print(pd.__version__)\nprint('needs pandas 1.0')", "0.25.1\nneeds pandas 1.0"),
        ("!pip list", "xlrd  1.2.0\npandas-profiling 2.8.0\npandas 10.0.0.1.example"),
        ("!pip freeze", "pandas==1.5.3\npandas==1.5.1"),
    ],
)
def test_not_shown(code: str, output: str) -> None:
    """A number in a table, a version of what it does not import, and one that may be another's, are no wish."""
    assert shown(code, output) == {}


@pytest.mark.parametrize("output", ["pandas" + " " * 50_000, "pandas " + "1." * 25_000, "a" * 50_000, "1 " * 25_000])
def test_output_takes_no_time(output: str) -> None:
    """A long output of a stranger's shows nothing, however it is written."""
    assert shown("print(pd.__version__)", output) == {}


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "stream", "text": ["seaborn==0.11.2\n", "pandas==1.0.5"]},
        {"output_type": "pyout", "text": "seaborn==0.11.2\npandas==1.0.5"},
        {
            "output_type": "display_data",
            "data": {
                "text/plain": ["<IPython.core.display.HTML object>"],
                "text/html": ["<details><pre>\n<b>seaborn</b>==0.11.2\npandas==1.0.5\n</pre></details>"],
            },
        },
        {"output_type": "stream", "text": "seaborn==0.11.2\npandas==1.0.5\n" + "x" * 1_000_000},
    ],
)
def test_wish_of_a_plan(tmp_path: Path, output: dict[str, Any]) -> None:
    """What is shown is wished for, where no file asks for another version, and where the lock has one, is told."""
    cells = [{"cell_type": "code", "source": "import seaborn, pandas, oddity", "outputs": [output, {}]}]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    project = plan.Project(tmp_path, {"pandas": "3.0.5"}, {})

    def planned() -> imports.Imports:
        return plan.plan(plan.Source(tmp_path / "a.ipynb", tmp_path), "a", project, mend=False).imports

    assert planned().wanted == ("seaborn==0.11.2",)
    assert planned().notes[1:] == (
        "its outputs show seaborn 0.11.2, which is taken where it fits; "
        'where the notebook fails on it, make add PACKAGE="seaborn>0.11.2"',
        "it was written for pandas 1.0.5; the environment has 3.0.5",
    )
    (tmp_path / "requirements.txt").write_text("seaborn>=0.12\npandas")
    assert planned().wanted == ("seaborn>=0.12",)
    assert planned().notes[1:] == ("it was written for pandas 1.0.5; the environment has 3.0.5",)


def test_shown_name_vouches_for_nothing(tmp_path: Path) -> None:
    """An output with a name that nobody knows makes no package of it."""
    found = imports.find(["import oddity"], (tmp_path, tmp_path), {}, {}, {"oddity": "==1.0.0"})
    assert (found.wanted, found.unknown) == ((), ("oddity",))


def test_odd_outputs_are_read(tmp_path: Path) -> None:
    """Outputs of no known form show nothing, and end nothing."""
    odd = [{"text": 3}, {"data": {"text/plain": [1, None], "text/html": {"a": 1}}}, {"data": None, "html": None}]
    odd += [{"data": {"text/html": text}} for text in ("<pre" * 20_000 + "</pre>", "<pre>" + "<" * 40_000 + "</pre>")]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": "", "outputs": odd}]}))
    assert "pandas" not in foreign.read(tmp_path / "a.ipynb")[0].printed
