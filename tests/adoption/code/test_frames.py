"""Old code on frames of pandas keeps its meaning, where the code itself says what it works on."""

import subprocess
import sys

import pytest

from samebook.adoption.code import renames

FRAME = 'import pandas as pd\nd = pd.DataFrame({"a": [1, 3], "b": ["x", "y"], "c": [2.0, 4.0]}, index=["r", "s"])\n'


def printed(*texts: str) -> str:
    code = "\n".join(renames.mend(texts)[0])
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("code", "mended"),
    [
        ("d.mean()", "d.mean(numeric_only=True)"),
        ("d.head(2).std(axis=1)", "d.head(2).std(axis=1, numeric_only=True)"),
        ("d[['a', 'b']].median()", "d[['a', 'b']].median(numeric_only=True)"),
        ("d['a'].mean(); d.values.mean(); unknown.mean()", "d['a'].mean(); d.values.mean(); unknown.mean()"),
        ("d.mean(numeric_only=False)", "d.mean(numeric_only=False)"),
        ("d.groupby(k, axis=1).sum()", "d.T.groupby(k).sum().T"),
        ("d.groupby(k, axis='columns').mean()", "d.T.groupby(k).mean().T"),
        ("d.loc[:, 'a'] = d['a'].map(float)", "d['a'] = d['a'].map(float)"),
        ("d.loc[:, 'a':'c'] = d.loc[:, 'a':'c'].map(f)", "d[d.loc[:, 'a':'c'].columns] = d.loc[:, 'a':'c'].map(f)"),
        ("d.loc[:, ['a', 'c']] = d[['c', 'a']] + 1", "d.loc[:, ['a', 'c']] = d[['c', 'a']] + 1"),
        ("d.loc[:, ['a', 'c']] = f(d)", "d.loc[:, ['a', 'c']] = f(d)"),
        ("d.loc[:, 'a'] = 0; d.loc[d.a > 0, 'a'] = f(d)", "d.loc[:, 'a'] = 0; d.loc[d.a > 0, 'a'] = f(d)"),
        ("t.dt.weekday_name; d.weekday_name", "t.dt.day_name(); d.weekday_name"),
        (
            "t.astype('category', categories=['x'], ordered=True)",
            "t.astype(pd.CategoricalDtype(categories=['x'], ordered=True))",
        ),
        ("t.astype('category')", "t.astype('category')"),
    ],
)
def test_mended(code: str, mended: str) -> None:
    """What the code surely says is written out; what may be something else stays."""
    assert renames.mend([FRAME, code])[0] == [FRAME, mended]


@pytest.mark.parametrize(
    "other", ["d = f()", "def g(d): return d", "for d in x: 1", "d = d['a']", "d, e = x", "import d"]
)
def test_name_of_more_than_frames(other: str) -> None:
    """A name that may stand for something else than a frame is none."""
    assert renames.mend([FRAME, other, "d.mean()"])[0][2] == "d.mean()"


def test_reader_of_no_frame() -> None:
    """A reader that may give a Series, or parts, is no frame's."""
    texts = ["import pandas as pd\nd = pd.read_csv('a', chunksize=3)", "d.mean()"]
    assert renames.mend(texts)[0] == texts


def test_ix() -> None:
    """Each axis of `.ix` goes by labels where these are numbers, and else by positions."""
    code = "print(d.ix['s', 0], d.ix[1, 'b'], *d.ix['r':'s', 0:2].columns, *d.ix[:, [0, -1]].columns)\n"
    assert printed(FRAME + code) == "3 y a b a c\n"
    numbers = "import pandas as pd\nd = pd.DataFrame([[1, 2], [3, 4]], index=[1, 0], columns=[7, 0])\n"
    assert printed(numbers + "print(d.ix[0, 0], d.ix[0, 7], *d.ix[1:0, 0])\n") == "4 3 2 4\n"


def test_groups_of_columns() -> None:
    """Groups of columns that have a name are those of the transposed frame, up to what takes the name next."""
    first = FRAME + "g = d.groupby({'a': 'n', 'b': 't', 'c': 'n'}, axis=1)"
    loop = "for key, part in g: print(key, *part.columns, *part.dtypes)"
    last = "print(*g.count().columns, g.count().shape)\ng = d.groupby('b')\nprint(g.size().sum())"
    assert printed(first, loop, last) == "n a c int64 float64\nt b object\nn t (2, 2)\n2\n".replace("object", "str")


@pytest.mark.parametrize("use", ["g.apply(f)", "def f(): return g.sum()", "for x in y:\n    g.sum()\n    g = x"])
def test_groups_that_stay(use: str) -> None:
    """Groups of columns with which something else is done stay, with the rule's advice."""
    texts = [FRAME, "g = d.groupby(k, axis=1)", use]
    mended, changes = renames.mend(texts)
    assert mended == texts
    assert [change.rule.advice for change in changes] == ["frame.T.groupby(…)"]
