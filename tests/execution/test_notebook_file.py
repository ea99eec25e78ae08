"""A notebook is read from its file as Lab and papermill read it: flaws are mended in memory, and told."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from samebook.core.errors import UsageError
from samebook.execution import notebook_file

CODE: dict[str, Any] = {
    "cell_type": "code",
    "id": "a",
    "metadata": {"tags": ["parameters"]},
    "source": ["x = 1\n", "y"],
    "outputs": [],
    "execution_count": None,
}
WHOLE: dict[str, Any] = {
    "cells": [CODE, {"cell_type": "markdown", "id": "b", "metadata": {}, "source": "# Title"}],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def read(path: Path, content: dict[str, Any]) -> tuple[nbformat.NotebookNode, list[str]]:
    """The notebook of this content, and the lines that are said about it."""
    lines: list[str] = []
    path.write_text(json.dumps(content))
    return notebook_file.read(path, lines.append), lines


def changed(**changes: Any) -> dict[str, Any]:
    """The notebook with other values in its first cell, without those that are None."""
    cell = {name: value for name, value in {**CODE, **changes}.items() if value is not None}
    return {**WHOLE, "cells": [cell, *WHOLE["cells"][1:]]}


FLAWS = {
    "an id in format 4.2": {**WHOLE, "nbformat_minor": 2},
    "no minor format": {name: value for name, value in WHOLE.items() if name != "nbformat_minor"},
    "an extra key": {**WHOLE, "author": "me"},
    "an extra key of a cell": changed(theme="dark"),
    "attachments of code": changed(attachments={}),
    "outputs of prose": {**WHOLE, "cells": [CODE, {**WHOLE["cells"][1], "outputs": [], "execution_count": None}]},
    "an id with a blank": changed(id="a b"),
    "a tag twice": changed(metadata={"tags": ["parameters", "parameters"]}),
    "odd metadata of a cell": changed(metadata={"tags": ["parameters"], "collapsed": "no"}),
    "an empty language": {**WHOLE, "metadata": {"language_info": {}}},
    "an empty kernel": {**WHOLE, "metadata": {"kernelspec": {}}},
    "half a character of prose": {**WHOLE, "cells": [CODE, {**WHOLE["cells"][1], "source": "\ud83d"}]},
}


@pytest.mark.parametrize("content", FLAWS.values(), ids=FLAWS)
def test_flawed_notebook_is_read(content: dict[str, Any], tmp_path: Path) -> None:
    """A notebook that Lab opens is read, is valid then, and one line says what is not valid in its file."""
    notebook, lines = read(tmp_path / "odd.ipynb", content)
    nbformat.validate(notebook)
    nbformat.writes(notebook).encode()
    assert [cell.source for cell in notebook.cells[:1]] == ["x = 1\ny"]
    assert notebook.cells[0].metadata.tags == ["parameters"]
    assert notebook.metadata.kernelspec["name"] == "python3"
    assert [line.partition(": ")[0] for line in lines] == ["odd.ipynb is read as Lab reads it, though it is not valid"]


OLDER = {name: value for name, value in CODE.items() if name != "id"}
OLD = {"output_type": "stream", "name": "stdout", "text": "\ud83d"}


@pytest.mark.parametrize(
    "content",
    [
        WHOLE,
        changed(outputs=[OLD]),
        changed(outputs=None, execution_count=None),
        {**WHOLE, "cells": [OLDER], "nbformat_minor": 4},
    ],
)
def test_old_outputs_are_nothing(content: dict[str, Any], tmp_path: Path) -> None:
    """Outputs of before are left out without a word, whatever they hold, because the run makes its own."""
    notebook, lines = read(tmp_path / "odd.ipynb", content)
    assert (notebook.cells[0].outputs, lines) == ([], [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(source="'\ud83d'"), "half a character"),
        (changed(metadata={"tags": "parameters"}), "is not a notebook"),
        (changed(cell_type="heading"), "is not a notebook"),
    ],
)
def test_doubtful_notebook_is_refused(content: dict[str, Any], message: str, tmp_path: Path) -> None:
    """What would change the run is not mended in memory, and no command that throws edits away is named."""
    with pytest.raises(UsageError, match=message) as raised:
        read(tmp_path / "odd.ipynb", content)
    assert "checkout" not in str(raised.value.mend)


def test_injected_parameters_are_left_out(tmp_path: Path) -> None:
    """The parameters that an earlier run has injected don't win over the notebook's own, and a line says so."""
    injected = {**CODE, "id": "b", "source": "x = 99", "metadata": {"tags": ["injected-parameters"]}}
    notebook, lines = read(tmp_path / "work.ipynb", {**WHOLE, "cells": [CODE, injected]})
    assert [cell.source for cell in notebook.cells] == ["x = 1\ny"]
    assert lines == ["work.ipynb holds a cell of parameters that an earlier run injected: it is left out"]
