"""Old code whose behaviour has changed is found by its shape, and keeps the behaviour that it had."""

import subprocess
import sys

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


SKLEARN = "from sklearn.cross_validation import KFold, StratifiedKFold, ShuffleSplit\n"
TODAY = "from sklearn.model_selection import KFold, StratifiedKFold, ShuffleSplit\n"


@pytest.mark.parametrize(
    ("code", "mended"),
    [
        ("KFold(len(y), n_folds=5, shuffle=True)", "list(KFold(n_splits=5, shuffle=True).split(range(len(y))))"),
        ("KFold(9)", "list(KFold(n_splits=3).split(range(9)))"),
        (
            "StratifiedKFold(y=y, n_folds=5, shuffle=False, random_state=1)",
            "list(StratifiedKFold(n_splits=5, shuffle=False).split(y, y))",
        ),
        (
            "ShuffleSplit(9, 4, random_state=0)",
            "list(ShuffleSplit(n_splits=4, random_state=0).split(range(9)))",
        ),
        ("KFold(*a, n_folds=2)", "KFold(*a, n_folds=2)"),
    ],
)
def test_splits(code: str, mended: str) -> None:
    """A splitter that was given the data is the list of its splits, with the defaults that it had."""
    assert renames.mend([SKLEARN, code])[0] == [TODAY, mended]


def test_splits_are_the_same() -> None:
    """The splits of today's class are those that the old one made, as its page has them."""
    old = "from sklearn.cross_validation import KFold\nfor train, test in KFold(4, n_folds=2): print(train, test)"
    (text,), _ = renames.mend([old])
    printed = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True).stdout
    assert printed == "[2 3] [0 1]\n[0 1] [2 3]\n"


@pytest.mark.parametrize(
    ("code", "mended"),
    [
        ("d.resample('10AS').sum()", 'd.resample("10YS").sum()'),
        ("d.resample(rule='Q-NOV')", 'd.resample(rule="QE-NOV")'),
        ("d.resample('1H30T')", 'd.resample("1h30min")'),
        (
            "pd.date_range('2000-01-01T00', periods=3, freq='M')",
            "pd.date_range('2000-01-01T00', periods=3, freq=\"ME\")",
        ),
        ("d.to_period('M'); d.to_period('A-DEC')", "d.to_period('M'); d.to_period(\"Y-DEC\")"),
        ("d.resample('W-MON'); d.asfreq('D'); d.astype('M')", "d.resample('W-MON'); d.asfreq('D'); d.astype('M')"),
    ],
)
def test_frequencies(code: str, mended: str) -> None:
    """An old alias of a frequency gets its new name, with its number and its anchor, and periods keep theirs."""
    assert renames.mend([PANDAS + code])[0] == [PANDAS + mended]


@pytest.mark.parametrize(
    ("code", "mended"),
    [
        ("RFE(m, 10)", "RFE(m, n_features_to_select=10)"),
        ("confusion_matrix(a, b)", "confusion_matrix(a, b)"),
        ("confusion_matrix(a, b, [1, 0])", "confusion_matrix(a, b, labels=[1, 0])"),
        ("KFold(10, random_state=7)", "KFold(10)"),
        ("KFold(10, shuffle=True, random_state=7)", "KFold(10, shuffle=True, random_state=7)"),
    ],
)
def test_arguments(code: str, mended: str) -> None:
    """Arguments that need a name today have one, and a seed that never had an effect goes."""
    imports = "from sklearn.feature_selection import RFE\nfrom sklearn.metrics import confusion_matrix\n"
    imports += "from sklearn.model_selection import KFold\n"
    assert renames.mend([imports + code])[0] == [imports + mended]


def test_graphs() -> None:
    """The attributes of nodes and edges are read by the views of today."""
    old, new = "G.node[1]['a'] = 2; G.edge[1][2]; x.node", "G.nodes[1]['a'] = 2; G.adj[1][2]; x.node"
    assert renames.mend(["import networkx as nx\n" + old])[0] == ["import networkx as nx\n" + new]


def test_versions() -> None:
    """A version is compared with a version; as text, one would fail."""
    old = "from distutils.version import LooseVersion as V\nif V(x) < '0.18': 1\nif V(x) < V('2'): 2"
    new = "from packaging.version import Version as V\nif V(x) < V('0.18'): 1\nif V(x) < V('2'): 2"
    assert renames.mend([old])[0] == [new]


@pytest.mark.parametrize(
    "code",
    [
        "from sklearn.mixture import GMM\nGMM(2)",
        "LogisticRegression(multi_class='ovr')",
        "AdaBoostClassifier(algorithm='SAMME.R')",
        "DecisionTreeClassifier(min_impurity_split=0.5)",
        "GridSearchCV(m, p, iid=True)",
    ],
)
def test_meaning_is_left_to_a_person(code: str) -> None:
    """What would compute another thing without a word stays, and the rule says what to write."""
    mended, changes = renames.mend(["import sklearn\n" + code])
    assert mended == ["import sklearn\n" + code]
    assert [bool(change.rule.advice) for change in changes] == [True]


def test_epochs() -> None:
    """As many epochs as old code asked for, without today's early end."""
    assert renames.mend(["import sklearn\nPerceptron(n_iter=40)"])[0] == [
        "import sklearn\nPerceptron(tol=None, max_iter=40)"
    ]


def test_joined_dates() -> None:
    """Columns that made one date are joined, parsed and named as they were; with other options they are left."""
    old = "import io\nimport pandas as pd\nf = io.StringIO('Y M D A\\n61 1 2 3')\n"
    old += "d = pd.read_csv(f, sep=' ', parse_dates=[[0, 1, 2]])"
    (text,), _ = renames.mend([old])
    text += "\nprint(*d.columns, d.iloc[0, 0], d.iloc[0, 1])"
    printed = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True).stdout
    assert printed == "Y_M_D A 2061-01-02 00:00:00 3\n"
    for code in ("pd.read_csv(f, parse_dates=[0])", "pd.read_csv(f, parse_dates=[[0, 1]], index_col=0)"):
        assert renames.mend([PANDAS + code])[0] == [PANDAS + code]
