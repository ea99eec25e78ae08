"""A foreign notebook is read in any format, and one that can't be is refused by one sentence."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from samebook.adoption import foreign, plan
from samebook.core.errors import UsageError


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_format_3_is_upgraded(tmp_path: Path) -> None:
    """A notebook of format 3 becomes a valid one of 4.5: code without outputs, a heading as markdown."""
    code = {"cell_type": "code", "input": ["x = 1\n", "x"], "outputs": [{"output_type": "pyout"}], "language": "python"}
    sheet = {"cells": [{"cell_type": "heading", "level": 2, "source": "Title", "metadata": {}}, code]}
    path = write(tmp_path / "a.ipynb", {"nbformat": 3, "metadata": {"name": ""}, "worksheets": [sheet]})
    content = foreign.content(foreign.read(path), {"source": "a.ipynb"})
    notebook = nbformat.reads(content.decode(), as_version=4)
    nbformat.validate(notebook)
    assert [cell.source for cell in notebook.cells] == ["## Title", "x = 1\nx"]
    assert notebook.metadata.samebook.adoption == {"source": "a.ipynb"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "found no JSON"),
        ([1], "no list of cells"),
        ({"cells": 3}, "no list of cells"),
        ({"cells": [], "metadata": {"kernelspec": {"name": "ir", "language": "R"}}}, "a notebook of R;"),
        ({"cells": [], "metadata": {"kernelspec": {"name": "julia-1.9"}}}, "a notebook of Julia;"),
    ],
)
def test_refused(tmp_path: Path, content: Any, words: str) -> None:
    """What is not JSON, not a notebook, or not Python is refused."""
    with pytest.raises(UsageError, match=words):
        foreign.read(write(tmp_path / "ü --x.ipynb", content))


def test_unreadable_is_refused(tmp_path: Path) -> None:
    """A missing notebook and a folder in its place are refused by name."""
    for path, words in ((tmp_path / "a.ipynb", "there is no notebook"), (tmp_path, "can't be read")):
        with pytest.raises(UsageError, match=words):
            foreign.read(path)


def test_kernel_of_another_machine(tmp_path: Path) -> None:
    """A kernel of Python under any name, or none, becomes python3."""
    for kernel in ({"name": "conda-base-py"}, {"name": "python2", "language": "python"}, None):
        path = write(tmp_path / "a.ipynb", {"cells": [], "metadata": {"kernelspec": kernel} if kernel else {}})
        assert b'"name": "python3"' in foreign.content(foreign.read(path), {})


def test_syntax_error_is_told() -> None:
    """A cell that is not Python 3 is named with its line; IPython's own lines and other languages' cells are not."""
    foreign.check_syntax(["%matplotlib inline\nx = !ls\nhelp?\nawait x\n;", "%%bash\nls -l", "%%time\nx = 1"])
    with pytest.raises(UsageError, match=r"code cell 2 is not Python 3: .*line 1"):
        foreign.check_syntax(["x = 1", 'print "x"'])


def test_saved_errors(tmp_path: Path) -> None:
    """A cell whose saved output is an error may fail here; one that a person has stopped may not."""
    outputs = [{"output_type": kind, "ename": name} for kind, name in (("pyerr", "KeyError"), ("error", "ValueError"))]
    cells = [{"cell_type": "code", "source": "x", "outputs": [output]} for output in outputs]
    stopped = {"output_type": "error", "ename": "KeyboardInterrupt"}
    cells.append({"cell_type": "code", "source": "x", "outputs": [{"output_type": "stream"}, stopped]})
    path = write(tmp_path / "a.ipynb", {"cells": cells, "metadata": {}})
    assert [cell.error for cell in foreign.read(path)] == ["KeyError", "ValueError", ""]
    planned = plan.plan(plan.Source(path, tmp_path), "a", plan.Project(tmp_path, {}, {}), mend=False)
    assert [cell.tags for cell in planned.after] == [["raises-exception"], ["raises-exception"], []]
    assert "2 cells are expected to fail, by the tag raises-exception: `cell-1` (KeyError), `cell-2` (" in plan.text(
        planned
    )


def test_rules_of_one_line_are_one(tmp_path: Path) -> None:
    """Old code that two rules say the same of stands once in the plan; what differs stands for itself."""
    sources = ["from sklearn.externals import joblib", "import numpy as np\nnp.float(1), np.int(1)"]
    path = write(tmp_path / "a.ipynb", {"cells": [{"cell_type": "code", "source": source} for source in sources]})
    text = plan.text(plan.plan(plan.Source(path, tmp_path), "a", plan.Project(tmp_path, {}, {}), mend=False))
    assert len(plan.plan(plan.Source(path, tmp_path), "a", plan.Project(tmp_path, {}, {}), mend=False).unmended) > 3
    assert text.count("old code in code cell 1: from sklearn.externals import joblib") == 1
