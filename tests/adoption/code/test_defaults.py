"""Defaults that were others when old code was written are set back, once."""

import subprocess
import sys

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
