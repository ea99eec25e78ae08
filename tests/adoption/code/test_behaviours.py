"""Old code whose behaviour has changed is found by its shape, and keeps the behaviour that it had."""

import pytest

from samebook.adoption.code import renames

PANDAS, MODELS = "import pandas as pd\n", "import pandas as pd, statsmodels.api as sm\n"


@pytest.mark.parametrize(
    ("code", "mended"),
    [
        ("d.groupby('a').mean()", "d.groupby('a').mean(numeric_only=True)"),
        ("pd.get_dummies(d, drop_first=True)", "pd.get_dummies(d, drop_first=True, dtype=int)"),
        ("d['a'].fillna(0, inplace=True)", "d['a'] = d['a'].fillna(0)"),
        ("d.a.replace('ü', 'u', inplace = True)  # x", "d.a = d.a.replace('ü', 'u')  # x"),
        ("d.groupby(k, axis=0).size()", "d.groupby(k).size()"),
    ],
)
def test_behaviour_is_kept(code: str, mended: str) -> None:
    """A change in what a call does by default is written out."""
    assert renames.mend([PANDAS + code])[0] == [PANDAS + mended]


def test_plots() -> None:
    """A plot that was one of points by default says so, and a colour's name goes with any call."""
    text = "import seaborn as sns, matplotlib.pyplot as plt\n"
    old = "sns.factorplot('a', 'b', data=d)\nf.add_subplot(1, axisbg='w')"
    new = "sns.catplot(x='a', y='b', data=d, kind=\"point\")\nf.add_subplot(1, facecolor='w')"
    assert renames.mend([text + old])[0] == [text + new]


def test_positions() -> None:
    """The parameters of a statsmodels model are read by position, whether they are a Series or an array."""
    text = "import numpy\n" + MODELS + "numpy.asarray(r.params)[0] + numpy.asarray(f(x).pvalues)[-1] + r.params['a']"
    assert renames.mend([MODELS + "r.params[0] + f(x).pvalues[-1] + r.params['a']"])[0] == [text]


@pytest.mark.parametrize(
    "code",
    [
        "d.fillna(0, inplace=True)",
        "x = d['a'].fillna(0, inplace=False)",
        "d.groupby('a').mean(numeric_only=False); x.mean(); d.groupby('a').size()",
        "pd.get_dummies(d, dtype=bool)",
    ],
)
def test_what_stays(code: str) -> None:
    """A frame that is changed in place itself, and a call that says what it wants, stay."""
    assert renames.mend([PANDAS + code])[0] == [PANDAS + code]


@pytest.mark.parametrize(
    ("message", "library", "word"),
    [
        ("run 0 failed: cell `a` raised KeyError: 0\n  line 2: x[0]", "pandas", ".iloc"),
        ("raised TypeError: dtype 'str' does not support operation 'mean'", "pandas", "numeric_only"),
        (
            "raised ValueError: The 'liblinear' solver does not support multiclass",
            "sklearn",
            "OneVsRest",
        ),
    ],
)
def test_rule_of_an_error(message: str, library: str, word: str) -> None:
    """An error that a rule is about names its advice, where the notebook imports the library."""
    rule = renames.of_error(message, [f"import {library}"])
    assert rule
    assert word in rule.advice
    assert renames.of_error(message, ["import os"]) is None
    assert renames.of_error("raised KeyError: 'a'", [f"import {library}"]) is None
