"""`frame.append(other)` becomes what gives the rows that it gave, whatever `other` is, or stays."""

from typing import Any

import pandas as pd
import pytest

from samebook.adoption.code import renames

FRAME = """import pandas as pd
def more(): return pd.DataFrame({"a": [3], "b": ["z"]})
def row(): return pd.Series({"a": 3, "b": "z"})
d = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
"""
ROWS = [(1, "x"), (2, "y"), (3, "z")]


def result(code: str) -> Any:
    """What the last cell's `out` is, after the rules' changes."""
    changed, _ = renames.mend([FRAME, code])
    assert ".append(" not in changed[1].replace("found.append(", ""), changed[1]
    names = dict[str, Any]()
    for text in changed:
        exec(text, names)  # noqa: S102 - the code of this test
    return names["out"]


@pytest.mark.parametrize(
    "code",
    [
        "out = d.append({'a': 3, 'b': 'z'}, ignore_index=True)",
        "new = {'a': 3, 'b': 'z'}\nout = d.append(new, ignore_index=True)",
        "new = dict(a=3, b='z')\nout = d.append(new, ignore_index=True)",
        "new = pd.Series({'a': 3, 'b': 'z'})\nout = d.append(new, ignore_index=True)",
        "new = more().iloc[0]\nout = d.append(new, ignore_index=True)",
        "out = d.append(row(), ignore_index=True)",
        "out = d.append(more(), ignore_index=True)",
        "new = more()\nout = d.append(new).reset_index(drop=True)",
        "out = d.append([pd.DataFrame({'a': [3], 'b': ['z']})], ignore_index=True)",
        "new = [more()]\nout = d\nfor one in new: out = out.append(one, ignore_index=True)",
        "def add(frame, one): return frame.append(one, ignore_index=True)\nout = add(d, row())",
        "def add(frame, one): return frame.append(one, ignore_index=True)\nout = add(d, more())",
    ],
)
def test_rows_are_those_of_append(code: str) -> None:
    """A frame, a dictionary and a series, sure or only known in the run, each become the rows that they were."""
    out = result(code)
    assert list(out.itertuples(index=False, name=None)) == ROWS
    assert [str(kind) for kind in out.dtypes] == [str(kind) for kind in result("out = d.append(more())").dtypes]


@pytest.mark.parametrize(
    "code",
    [
        "out = d['a'].append(d['a'])",
        "def add(one, other): return one.append(other)\nout = add(d['a'], d['a'])",
        "s = d['a']\nout = s.append([s])",
    ],
)
def test_series_stay_series(code: str) -> None:
    """What a series appends goes below it, not beside."""
    out = result(code)
    assert isinstance(out, pd.Series)
    assert out.tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize(
    "code", ["x = d.append([e, f])", "x = d.append([])", "x = f(d).append(e)", "found.append(d)", "x = d.append(e, 1)"]
)
def test_unsure_is_left(code: str) -> None:
    """Where nothing says what is appended, and nothing can ask it in the run, a person has to."""
    changed, _ = renames.mend([FRAME, code])
    assert changed == [FRAME, code]
