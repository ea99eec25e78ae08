"""The house rules of notebooks, which make them readable for others: what breaks them, and what can be put right."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Code cells of a notebook that one reads in one go.
MOST_CELLS = 20
PARAMETERS, INJECTED = "parameters", "injected-parameters"
# What says how a cell is shown or run, and names none.
SPECIAL = {"raises-exception", "hide-input", "hide-output", "hide-cell", "remove-cell", "remove-input", "remove-output"}


@dataclass(frozen=True)
class Finding:
    """A broken rule: the number of the cell, from 1, or 0 for the notebook; and whether `fixed` puts it right."""

    cell: int
    text: str
    is_fixable: bool = False


def findings(notebook: dict[str, Any]) -> Iterator[Finding]:
    """What breaks the house rules, in the order of the cells. An adopted notebook keeps its author's cells, however
    many, and whether they have tags or not.
    """
    is_adopted = _is_adopted(notebook)
    names: dict[str, int] = {}
    code = [(number, cell) for number, cell in enumerate(notebook["cells"], 1) if cell["cell_type"] == "code"]
    for number, cell in code:
        yield from _cell(number, cell, is_first=number == code[0][0], needs_tag=not is_adopted)
        for name in _names(cell):
            if name in names:
                yield Finding(number, f"the tag {name!r} is cell {names[name]}'s already")
            names.setdefault(name, number)
    if len(code) > MOST_CELLS and not is_adopted:
        yield Finding(0, f"{len(code)} cells of code; at most {MOST_CELLS}: functions in a module beside it are tested")


def _cell(number: int, cell: dict[str, Any], *, is_first: bool, needs_tag: bool) -> Iterator[Finding]:
    tags = _tags(cell)
    if INJECTED in tags:
        yield Finding(number, "parameters that a run has put in", is_fixable=True)
        return
    if cell.get("outputs") or cell.get("execution_count") is not None:
        yield Finding(number, "outputs or a number: a run has them, not the source", is_fixable=True)
    if PARAMETERS in tags and not is_first:
        yield Finding(number, "tagged `parameters`, and not the first cell of code")
    if needs_tag and not _names(cell):
        yield Finding(number, "no tag: by its tag a cell is named in errors, verdicts and tests")


def _is_adopted(notebook: dict[str, Any]) -> bool:
    metadata = notebook.get("metadata")
    own = metadata.get("samebook") if isinstance(metadata, dict) else None
    return isinstance(own, dict) and "adoption" in own


def _tags(cell: dict[str, Any]) -> list[str]:
    return [str(tag) for tag in cell["metadata"].get("tags") or []]


def _names(cell: dict[str, Any]) -> list[str]:
    return [tag for tag in _tags(cell) if tag not in SPECIAL]


def parse(content: bytes) -> dict[str, Any]:
    """A notebook of nbformat 4. Raises ValueError for anything else."""
    notebook = json.loads(content)
    try:
        if notebook["nbformat"] != 4:
            raise ValueError(f"nbformat {notebook['nbformat']}; expected 4")
        for cell in notebook["cells"]:
            cell["cell_type"], list(cell["metadata"].get("tags") or [])
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("it is no notebook") from error
    return notebook


def fixed(content: bytes) -> bytes:
    """The file of a notebook without outputs, numbers, and cells that a run has put in; all else stays, byte for byte
    where nothing is wrong. Raises ValueError where it is no notebook.
    """
    notebook = parse(content)
    if not any(finding.is_fixable for finding in findings(notebook)):
        return content
    notebook["cells"] = [cell for cell in notebook["cells"] if INJECTED not in _tags(cell)]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    indent = re.search(rb"\n( +|\t)\"", content)
    text = json.dumps(notebook, ensure_ascii=False, indent=indent[1].decode() if indent else None)
    return text.encode() + (b"\n" if content.endswith(b"\n") else b"")
