"""The executed notebook: it is written as nbformat writes it, and long outputs come back from their file."""

from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from samebook.execution.cells import executed
from samebook.execution.cells.executed import FAST, LONG, LONGEST_BY_LINE, Executed, Kept
from samebook.redaction.redactor import Redaction

pytestmark = pytest.mark.fast

OUTPUTS = (
    new_output("stream", name="stdout", text="one\ntwo \u20ac \x1b[31mthree\r\nfour"),
    new_output("display_data", data={"text/html": "<b>\n</b>", "application/json": {"b": [1], "a": "x\ny"}}),
    new_output("execute_result", data={"text/plain": "1\n2", "image/png": "aGVsbG8="}, execution_count=1),
    new_output("error", ename="E", evalue="v", traceback=["a\nb", "c"]),
)


def notebook(*outputs: nbformat.NotebookNode) -> nbformat.NotebookNode:
    prose = new_markdown_cell("# A\nb", attachments={"a.png": {"image/png": "aGVsbG8="}})
    cells = [prose, new_code_cell("x = 1\ny", outputs=[*outputs], execution_count=1), new_code_cell("")]
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "a\nb"}})


def test_same_bytes_as_nbformat(tmp_path: Path) -> None:
    """A notebook, and one without a cell, is written in the bytes of nbformat."""
    for node in (notebook(*OUTPUTS), new_notebook()):
        Executed(node, tmp_path, Redaction({})).write(tmp_path / "a.ipynb")
        assert (tmp_path / "a.ipynb").read_text() == nbformat.writes(node)


@pytest.mark.parametrize("encoder", [executed.USUAL, FAST])
def test_long_outputs_come_back(encoder: object, tmp_path: Path) -> None:
    """Long outputs of a cell that has ended leave memory, and are in the notebook's file as they were."""
    line = "\u20ac " + "x" * 77 + "\n"
    long = (
        new_output("stream", name="stdout", text=line * (2 * LONGEST_BY_LINE // len(line))),
        new_output("display_data", data={"text/html": "h" * LONG, "text/plain": "short"}),
    )
    node = notebook(*OUTPUTS, *long)
    expected = deepcopy(node)
    result = Executed(node, tmp_path, Redaction({}))
    for cell in node.cells:
        result.keep(cell)
        result.keep(cell)  # a second time changes nothing
    assert isinstance(node.cells[1].outputs[-2].text, Kept)
    assert len(nbformat.writes(node)) < LONG
    result.write(tmp_path / "a.ipynb", encoder)
    assert nbformat.read(tmp_path / "a.ipynb", as_version=4) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["a.ipynb"]


def test_parts_are_one_text(tmp_path: Path) -> None:
    """A text that is printed in many parts is one text, in which a secret is found that lies across them."""
    outputs = list[nbformat.NotebookNode]()
    for text in ("a", *(3 * ["x" * LONG + "hunter", "2-secret\n"])):
        outputs.append(new_output("stream", name="stdout", text=text))
        executed.merge(outputs)
    result = Executed(notebook(*outputs), tmp_path, Redaction({"KEY": "hunter2-secret"}))
    result.write(tmp_path / "a.ipynb", FAST)
    text = (tmp_path / "a.ipynb").read_text()
    assert "hunter" not in text
    assert text.count("[redacted KEY]") == 3
