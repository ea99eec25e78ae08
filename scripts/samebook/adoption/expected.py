"""Cells that are expected to fail, since their saved output is an error, and what became of each in a run.

The tag that lets a cell fail would hide another error than the saved one: a missing package, a renamed function.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from samebook.adoption import foreign
from samebook.adoption.foreign import Cell
from samebook.records import canonical

NONE = "no error"


def errors(cells: Sequence[Cell]) -> dict[str, str]:
    """The error that each such cell's saved output is, by the cell's name in runs."""
    code = [cell for cell in cells if cell.kind == foreign.CODE]
    return {canonical.name(cell.tags, number): cell.error for number, cell in enumerate(code, start=1) if cell.error}


def summary(expected: Mapping[str, str]) -> str:
    """The line that says how many cells are expected to fail, and which; "" where none is."""
    names = ", ".join(f"`{name}` ({error})" for name, error in expected.items())
    one = "1 cell is" if len(expected) == 1 else f"{len(expected)} cells are"
    return f"{one} expected to fail, by the tag {canonical.RAISES}: {names}" if expected else ""


def deviations(expected: Mapping[str, str], executed: bytes) -> list[str]:
    """A line for each such cell of an executed notebook that did not fail, or failed with another error."""
    found = dict(_raised(json.loads(executed)))
    return [
        f"warning: `{name}` was expected to fail with {error}; found {found.get(name, NONE)}"
        + (": without the tag the cells after it count on it" if found.get(name, NONE) == NONE else ", which it hides")
        for name, error in expected.items()
        if found.get(name, NONE) != error
    ]


def _raised(notebook: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names of cells that end with an error, each with the name of that error."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == foreign.CODE]
    for number, cell in enumerate(code, start=1):
        errors = [output["ename"] for output in cell["outputs"] if output["output_type"] == "error"]
        if errors:
            yield canonical.name(cell["metadata"].get("tags", []), number), errors[-1]
