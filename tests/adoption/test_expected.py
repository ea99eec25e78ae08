"""A cell that is expected to fail is named, and so is one that does not, or fails with another error."""

import nbformat

from samebook.adoption import expected
from samebook.adoption.foreign import CODE, Cell

CELLS = [
    Cell("markdown", "# Errors", {}, {}),
    Cell(CODE, "x", {}, {}, "NameError"),
    Cell(CODE, "1 / 0", {"tags": ["raises-exception", "division"]}, {}, "ZeroDivisionError"),
    Cell(CODE, "1", {}, {}),
]


def executed(*names: str) -> bytes:
    """An executed notebook of these cells, each with the error of this name; "" for none."""
    cells = [nbformat.v4.new_code_cell(metadata={"tags": cell.tags}) for cell in CELLS[1:]]
    for cell, name in zip(cells, names, strict=True):
        cell.outputs = [nbformat.v4.new_output("error", ename=name, evalue="", traceback=[])] * bool(name)
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode()


def test_summary() -> None:
    """The summary counts the cells, and names each with its error."""
    line = expected.summary(expected.errors(CELLS))
    assert line.startswith("2 cells are expected to fail")
    assert line.endswith("`cell-1` (NameError), `division` (ZeroDivisionError)")
    assert expected.summary(expected.errors(CELLS[3:])) == ""


def test_deviations() -> None:
    """Another error is told as one that the tag hides, and so is none; as saved, nothing is told."""
    errors = expected.errors(CELLS)
    assert expected.deviations(errors, executed("NameError", "ZeroDivisionError", "")) == []
    other, none = expected.deviations(errors, executed("ModuleNotFoundError", "", ""))
    assert "`cell-1` was expected to fail with NameError; found ModuleNotFoundError" in other
    assert "`division` was expected to fail with ZeroDivisionError; found no error" in none
