"""Defaults that were others when old code was written are set back, once."""

import subprocess
import sys
from pathlib import Path

import pytest

from samebook.adoption.code import defaults

OPTION = '.set_option("future.infer_string", False)'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import os\nimport pandas as pd  # ü\npd.x", f"import os\nimport pandas as pd  # ü\npd{OPTION}\npd.x"),
        ("try:\n    import pandas\nexcept E: 0", f"try:\n    import pandas\n    pandas{OPTION}\nexcept E: 0"),
        ("from pandas import DataFrame", f"from pandas import DataFrame\nimport pandas\npandas{OPTION}"),
        ("import numpy", "import numpy"),
        ("import pandas.plotting", "import pandas.plotting"),
        ("if x: import pandas", "if x: import pandas"),
    ],
)
def test_strings_of_pandas(old: str, new: str) -> None:
    """Strings have the type that they had, from the import of pandas on."""
    texts, changes = defaults.mended(["", old])
    assert texts == ["", new]
    assert [change.cell for change in changes] == [2] * (old != new)


def test_what_stays() -> None:
    """The option is set once, and not where the code itself sets it."""
    texts, changes = defaults.mended(["import pandas", "import pandas as pd"])
    assert texts == [f"import pandas\npandas{OPTION}", "import pandas as pd"]
    assert len(changes) == 1
    assert defaults.mended(texts) == (texts, [])


def test_option_is_one() -> None:
    """The environment's pandas has the option, and columns of text have the type object with it."""
    (text,), _ = defaults.mended(["import pandas as pd"])
    text += "\nprint(pd.Series(['a']).dtype)"
    printed = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True).stdout
    assert printed == "object\n"


def test_summaries_without_a_date() -> None:
    """Summaries of statsmodels show no clock, where code shows one; without summaries nothing changes."""
    texts = ["from statsmodels.formula import api as smf  # ü", "smf.ols('a ~ b', d).fit().summary()"]
    mended, (change,) = defaults.mended(texts)
    assert mended[0].splitlines()[0] == texts[0]
    assert "statsmodels.iolib.summary.time = " in mended[0]
    assert mended[1] == texts[1]
    assert change.rule.source.startswith("https://www.statsmodels.org/")
    assert defaults.mended(mended) == (mended, [])
    assert defaults.mended(texts[:1]) == (texts[:1], [])
    assert defaults.mended(["model.summary()"]) == (["model.summary()"], [])


def test_clock_of_summaries(tmp_path: Path) -> None:
    """The line that takes the clock from summaries takes it from them alone, as their module uses it."""
    (tmp_path / "statsmodels" / "iolib").mkdir(parents=True)
    code = "import time\ndef clock(): return time.strftime('%H:%M:%S', time.localtime())\n"
    (tmp_path / "statsmodels" / "iolib" / "summary.py").write_text(code)
    (text, _), _ = defaults.mended(["import statsmodels", "x.summary()"])
    text += "\nimport time\nprint([statsmodels.iolib.summary.clock()], len(time.strftime('%H', time.localtime())))"
    words = [sys.executable, "-c", text]
    printed = subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert printed == "[''] 2\n"
