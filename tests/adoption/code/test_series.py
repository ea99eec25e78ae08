"""Old code on series of pandas is changed where it is surely one, and on anything else left alone."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

from samebook.adoption.code import renames

S = "s = pd.Series([1, 2], index=['a', 'b'])\n"
FRAME = "import pandas as pd\nd = pd.read_csv(f)\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x.nonzero(); (d.a > 3).nonzero()", "x.nonzero(); (d.a > 3).to_numpy().nonzero()"),
        ("m = d['a'].isnull() & d.b\nm.nonzero()[0]", "m = d['a'].isnull() & d.b\nm.to_numpy().nonzero()[0]"),
        ("d.isnull().any(axis=1).nonzero()", "d.isnull().any(axis=1).to_numpy().nonzero()"),
        ("d.a[d.a > 1].nonzero()", "d.a[d.a > 1].to_numpy().nonzero()"),
        ("d.values.nonzero(); d.iloc[0].nonzero()", "d.values.nonzero(); d.iloc[0].nonzero()"),
        ("m = d.a\nm = x\nm.nonzero()", "m = d.a\nm = x\nm.nonzero()"),
        ("m = d.a\ndef g(m): m.nonzero()", "m = d.a\ndef g(m): m.nonzero()"),
        ("d.t.apply(lambda t: t.weekday_name)", "d.t.apply(lambda t: t.day_name())"),
        ("pd.Timestamp('2020').weekday_name; d.weekday_name", "pd.Timestamp('2020').day_name(); d.weekday_name"),
        ("x['weekday_name'] = 1; x.weekday_name", "x['weekday_name'] = 1; x.weekday_name"),
        ("t.weekday_name = 1", "t.weekday_name = 1"),
        ("d.index.is_monotonic", "d.index.is_monotonic_increasing"),
        ("d.t.dt.week; x.week", 'd.t.dt.isocalendar().week.astype("int64"); x.week'),
        ("d.resample('W', how='sum').a", "d.resample('W').sum().a"),
        ("d.resample('W', how=['sum'])", "d.resample('W', how=['sum'])"),
        ("d.sort('a'); rows.sort(key=g)", "d.sort_values('a'); rows.sort(key=g)"),
        ("pd.set_option('max_columns', 5)", 'pd.set_option("display.max_columns", 5)'),
        ("pd.set_option('a.b', -1, 'max_colwidth', -1)", "pd.set_option('a.b', -1, 'max_colwidth', None)"),
        ("pd.options.display.max_colwidth = -1; x = -1", "pd.options.display.max_colwidth = None; x = -1"),
        ("d = d[d.a != 'x']\nd.sort('a')", "d = d[d.a != 'x']\nd.sort_values('a')"),
        ("e = e[e.a != 'x']\ne.sort('a')", "e = e[e.a != 'x']\ne.sort('a')"),
        (S + "s[0] + s['a'] + s[-1]\ns[1] = 2", S + "s.iloc[0] + s['a'] + s.iloc[-1]\ns.iloc[1] = 2"),
        ("v = {'a': 1}\ns = pd.Series(v)\ns[0]; v[0]", "v = {'a': 1}\ns = pd.Series(v)\ns.iloc[0]; v[0]"),
        (S + "t = s ** 2 / s\nt[0]; (s + d.a)[0]", S + "t = s ** 2 / s\nt.iloc[0]; (s + d.a)[0]"),
        ("m = d.max()\nm[0]; d.max(axis=1)[0]", "m = d.max()\nm.iloc[0]; d.max(axis=1)[0]"),
        ("m = d.max().apply(g)\nm[-1]; d.apply(g).max()[0]", "m = d.max().apply(g)\nm.iloc[-1]; d.apply(g).max()[0]"),
        ("import numpy as np\nd.apply(np.log).max()[0]", "import numpy as np\nd.apply(np.log).max().iloc[0]"),
        ("d.columns = [1, 2]\nm = d.max()\nm[0]", "d.columns = [1, 2]\nm = d.max()\nm[0]"),
        ("e = pd.read_csv(f, header=None)\nm = e.max()\nm[0]", "e = pd.read_csv(f, header=None)\nm = e.max()\nm[0]"),
        ("s = pd.Series(['a', 'b'])\ns[0]", "s = pd.Series(['a', 'b'])\ns[0]"),
        ("s = s / s\ns[0]", "s = s / s\ns[0]"),
        (S + "s.index = [1, 2]\ns[1]", S + "s.index = [1, 2]\ns[1]"),
        (S + "s.reset_index(drop=True, inplace=True)\ns[1]", S + "s.reset_index(drop=True, inplace=True)\ns[1]"),
        (S + "s = s[s > 1]\ns[0]", S + "s = s[s > 1]\ns[0]"),
        ("s = pd.Series([1, 2], index=[1, 2])\ns[1]", "s = pd.Series([1, 2], index=[1, 2])\ns[1]"),
        ("pd.read_excel(f, skip_footer=1)", "pd.read_excel(f, skipfooter=1)"),
    ],
)
def test_mended(old: str, new: str) -> None:
    """What surely is a series or a frame gets today's names; what may be an array, a list or a column stays."""
    mended, _ = renames.mend([FRAME + old])
    assert mended == [FRAME + new]
    assert renames.mend(mended) == (mended, renames.find(mended))


def test_constructors_make_the_same(tmp_path: Path) -> None:
    """Frames of pairs and of a file's own dates are as the constructors that are gone made them."""
    old = "import io, pandas as pd\na = pd.DataFrame.from_items([('b', [1]), ('a', [2])])\n"
    old += "d = pd.DataFrame.from_csv(io.StringIO('t,x\\n2020-01-02,1'))"
    (tmp_path / "cell.py").write_text(renames.mend([old])[0][0])
    made = runpy.run_path(str(tmp_path / "cell.py"))
    assert list(made["a"].columns) == ["b", "a"]
    assert made["d"].index[0] == pd.Timestamp("2020-01-02")


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("AttributeError: 'Series' object has no attribute 'nonzero'", "series.to_numpy().nonzero()"),
        ("KeyError: 1", "a whole number in brackets is a label: a position takes .iloc[…]"),
        ("SpecificationError: nested renamer is not supported", 'agg(name=("column", "function"))'),
    ],
)
def test_error_names_its_rule(message: str, advice: str) -> None:
    """Where only a run can tell what an object is, its error names what to write."""
    rule = renames.of_error(message, [FRAME])
    assert rule is not None
    assert rule.advice == advice


REMOVED = """d.index.week d.lookup(a,b) pd.datetime pd.np pd.Panel() d.as_matrix() d.get_value(1,2) d.set_value(1,2,3)
pd.util.testing.assert_frame_equal(d,d) d.iteritems() d.mad() d.groupby(g,axis=1) s.ix[1] pd.rolling_mean(s,3)
pd.read_csv(f,error_bad_lines=False) pd.read_csv(f,squeeze=True) pd.to_datetime(s,infer_datetime_format=True)
d.to_csv(f,line_terminator=x) d.a.dt.weekofyear d.a.is_monotonic (d.a>1).nonzero() d.applymap(g) d.append(x)
d.clip_upper(3)"""


@pytest.mark.parametrize("code", REMOVED.split())
def test_removals_are_found(code: str) -> None:
    """Each of pandas' removals that old notebooks use is found, with a rule that says where pandas says so."""
    changes = renames.find([f"{FRAME}y = {code}"])
    assert [change for change in changes if "pandas" in change.rule.source or change.rule.library == "pandas"]
    assert not hasattr(pd, "Panel")
