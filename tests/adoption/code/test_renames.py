"""Old code is found by rules, each with a source, and changed to what today's libraries take."""

import ast
import inspect

import pandas as pd
import pytest

from samebook.adoption.code import arrays, behaviours, frames, renames, rules, series

PD, NP, SNS = "import pandas as pd\n", "import numpy as np\n", "import seaborn as sns\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (NP + "x = np.float(3) + np.float64(1) + np.Inf", NP + "x = float(3) + np.float64(1) + np.inf"),
        (NP + "x = np.NINF", NP + "x = -np.inf"),
        (NP + "x = np.NZERO + np.math.pi", NP[:0] + "import math\n" + NP + "x = -0.0 + math.pi"),
        (NP + "x[np.in1d(a, b, invert=True)]", NP + "x[np.isin(a, b, invert=True).ravel()]"),
        (PD + "pd.read_csv(f, squeeze=True, sep=';').sum()", PD + "pd.read_csv(f, sep=';').squeeze(\"columns\").sum()"),
        (NP + "np.sum(i for i in a); np.sum([i for i in a])", NP + "sum(i for i in a); np.sum([i for i in a])"),
        (NP + "sum = 3\nnp.sum(i for i in a)", NP + "sum = 3\nnp.sum(i for i in a)"),
        ("from numpy import product, sum", "from numpy import sum\nfrom numpy import prod as product"),
        ("from sklearn.externals import joblib", "import joblib as joblib"),
        ("from sklearn.cross_validation import KFold", "from sklearn.model_selection import KFold"),
        ("from sklearn import grid_search", "from sklearn import model_selection as grid_search"),
        ("import cPickle", "import pickle as cPickle"),
        ("from collections import Mapping", "from collections.abc import Mapping"),
        (
            PD + "d = d.append({'ü': 1}, ignore_index=True)",
            PD + "d = pd.concat([d, pd.DataFrame([{'ü': 1}])], ignore_index=True)",
        ),
        (PD + "names.append(d)", PD + "names.append(d)"),
        (
            PD + "x = d.append(row())",
            PD + "x = pd.concat([d, pd.DataFrame([appended]) if isinstance((appended := row()), "
            "(dict, pd.Series)) and isinstance(d, pd.DataFrame) else appended])",
        ),
        (PD + "d.drop(['ü'], 1).any(1)", PD + "d.drop(['ü'], axis=1).any(axis=1)"),
        (PD + "d.drop('a', 1, inplace=True)", PD + "d.drop('a', axis=1, inplace=True)"),
        (PD + "d.drop(a, b); s.sort_values(0, False)", PD + "d.drop(a, b); s.sort_values(0, False)"),
        (PD + "d.drop(*a); d.any(False); d.all(axis)", PD + "d.drop(*a); d.any(False); d.all(axis)"),
        (PD + "d.pivot('a', 'b', 'c')", PD + "d.pivot(index='a', columns='b', values='c')"),
        (PD + "d.a.str.split(' ', 1); t.split(' ', 1)", PD + "d.a.str.split(' ', n=1); t.split(' ', 1)"),
        (PD + "pd.concat([a, b], 1); pd.read_csv(f, ';')", PD + "pd.concat([a, b], axis=1); pd.read_csv(f, sep=';')"),
        ("rows.drop('a', 1)", "rows.drop('a', 1)"),
        (PD + "d.ix[3]", PD + "d.loc[3]"),
        (PD + "for a, b in d.iteritems(): d.corr()", PD + "for a, b in d.items(): d.corr(numeric_only=True)"),
        (PD + "d.fillna(method='ffill', inplace=True)", PD + "d.ffill(inplace=True)"),
        (PD + "pd.read_csv('ü', error_bad_lines=False)", PD + "pd.read_csv('ü', on_bad_lines=\"skip\")"),
        (PD + "d.resample('M').sum()", PD + 'd.resample("ME").sum()'),
        ("import sklearn\nOneHotEncoder(sparse=False)", "import sklearn\nOneHotEncoder(sparse_output=False)"),
        (
            "import matplotlib.pyplot as plt\nplt.style.use('seaborn')",
            'import matplotlib.pyplot as plt\nplt.style.use("seaborn-v0_8")',
        ),
        (
            "import matplotlib.pyplot as plt\nplt.savefig('a', frameon=False)",
            "import matplotlib.pyplot as plt\nplt.savefig('a', facecolor=\"none\")",
        ),
        (
            NP + "import sklearn\nSGDRegressor(max_iter=1, tol=-np.infty)",
            NP + "import sklearn\nSGDRegressor(max_iter=1, tol=None)",
        ),
        (SNS + "sns.barplot(a, b)\nsns.boxplot(d)", SNS + "sns.barplot(x=a, y=b)\nsns.boxplot(d)"),
        (SNS + "sns.countplot('a', data=d)", SNS + "sns.countplot(x='a', data=d)"),
        ("import xgboost as xgb\nxgb.XGBRegressor(silent=1)", "import xgboost as xgb\nxgb.XGBRegressor()"),
    ],
)
def test_mended(old: str, new: str) -> None:
    """Each kind of rule changes old code, and only that; what it makes has nothing more to mend."""
    mended, changes = renames.mend([old])
    assert mended == [new]
    assert bool(changes) == (old != new)
    assert renames.mend(mended) == (mended, [])


def test_new_names_are_imported() -> None:
    """A function that is a method of a class today brings the import of that class."""
    old = "from sklearn.metrics import plot_roc_curve, auc\nplot_roc_curve(m, X, y)"
    assert renames.mend([old])[0][0].splitlines() == [
        "from sklearn.metrics import auc",
        "from sklearn.metrics import RocCurveDisplay",
        "plot_roc_curve = RocCurveDisplay.from_estimator",
        "plot_roc_curve(m, X, y)",
    ]


def test_advice() -> None:
    """Where a person has to decide, nothing changes, and the rule says what to write; a failed run names the rule."""
    text = "from sklearn.datasets import load_boston"
    mended, changes = renames.mend(["load_boston()", text])
    assert mended[1] == text
    assert [(change.cell, change.line) for change in changes] == [(2, text)]
    helping = renames.helping("ImportError: `load_boston` has been removed", changes)
    assert helping is not None
    assert helping.rule.advice
    assert renames.helping("KeyError: 'x'", changes) is None
    assert renames.helping(f"TypeError: y\n  line 1: {text}\n  kept", changes) == changes[0]


def test_what_is_used_nowhere() -> None:
    """What is gone, and used nowhere, is imported no more."""
    assert renames.mend(["from operator import idiv, add\nadd(1, 2)"])[0] == ["from operator import add\nadd(1, 2)"]


def test_rules_are_whole() -> None:
    """Each rule has a source, a known kind, and a replacement or advice; none stands twice."""
    tables = (rules.Rule, behaviours, frames, series, arrays)
    kinds = {word for table in tables for word in (table.__doc__ or "").split()}
    table = rules.rules()
    assert all(rule.source.startswith("https://") and rule.kind in kinds for rule in table)
    assert all(rule.advice or rule.new is not None for rule in table)
    assert len({(rule.kind, rule.old) for rule in table}) == len(table)
    for rule in table:
        ast.parse(rule.imports)


def test_names_are_those_of_pandas() -> None:
    """Each name that a method's argument gets is one that today's pandas takes, and takes by its name alone."""
    for rule in rules.of("arguments", ["pandas"]):
        owner, name = (pd.Series.str, rule.old[4:]) if rule.old.startswith("str.") else (pd.DataFrame, rule.old)
        parameters = inspect.signature(getattr(owner, name)).parameters
        named = [word for word in (rule.new or "").split() if word != "_"]
        assert [word for word in named if parameters[word].kind is not inspect.Parameter.KEYWORD_ONLY] == [], rule.old
