"""A notebook from its file, as Lab and papermill read it."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode, ValidationError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from samebook.core import head
from samebook.core.errors import UsageError
from samebook.core.text import Say
from samebook.environment import kernels
from samebook.environment.kernels import KERNEL

CELLS = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}
INJECTED = "injected-parameters"
# The kernels of this environment: a user's own, and one in JUPYTER_PATH, may be of another Python.
KERNELS = Path(sys.prefix) / "share" / "jupyter" / "kernels"
# The beginning of the name by which editors know the kernel of a checkout: `samebook kernel`.
OF_CHECKOUT = "samebook-"


def read(path: Path, say: Say = lambda _: None) -> NotebookNode:
    """A notebook from its file, as nbformat 4, without the outputs of before, and without the parameters that an
    earlier run injected, which would win over the notebook's own.

    A file that is not valid is mended in memory where that cannot change the run, and `say` hears what it is. Raises
    UsageError where the file is not a notebook.
    """
    try:
        notebook = _without_outputs(nbformat.convert(nbformat.reader.reads(path.read_text("utf-8-sig")), 4))
        if flaw := _flaw(notebook):
            notebook = _mended(notebook)
            nbformat.validate(notebook)
            say(f"{path.name} is read as Lab reads it, though it is not valid: {flaw}")
    except (ValidationError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise UsageError(
            f"{path.name} is not a notebook: {_first_line(error)}",
            mend=f"{_shown(path)} -- notebooks/{path.name}",
        ) from error
    cells = [cell for cell in notebook.cells if INJECTED not in cell.metadata.get("tags", [])]
    if len(cells) < len(notebook.cells):
        notebook.cells = cells
        say(f"{path.name} holds a cell of parameters that an earlier run injected: it is left out")
    _set_kernel(path, notebook, say)
    return notebook


def _shown(path: Path) -> str:
    """The command of git that shows what has become of a file: what was edited, or else what was committed."""
    root = path.parent.parent
    is_committed = head.is_repository(root) and head.content(root, f"notebooks/{path.name}") == path.read_bytes()
    return "git log --patch" if is_committed else "git diff"


def _set_kernel(path: Path, notebook: NotebookNode, say: Say) -> None:
    """Give the notebook the kernel of the environment. Raises UsageError for a notebook of another language."""
    if language := kernels.other_language(notebook.metadata):
        raise UsageError(
            f"{path.name} is a notebook of {language}; samebook runs Python alone",
            mend="a notebook of Python: its work would have to be written again",
        )
    name = (notebook.metadata.get("kernelspec") or KERNEL).get("name", KERNEL["name"])
    if name != KERNEL["name"] and not name.startswith(OF_CHECKOUT):
        say(f"{path.name} names the kernel {name!r}: it runs on the environment's Python, as python3")
    # Some tools leave the kernel or its language out, on which papermill insists.
    notebook.metadata.kernelspec = NotebookNode({**KERNEL, "language": "python"})


def _without_outputs(notebook: NotebookNode) -> NotebookNode:
    """The notebook without outputs, which a run makes anew. Raises ValueError for code that no kernel can read."""
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
            if any("\ud800" <= character <= "\udfff" for character in cell.source):
                raise ValueError(f"the code of cell {number} holds half a character")
    return notebook


def _flaw(notebook: NotebookNode) -> str:
    """The first reason why a notebook is not valid; "" where it is. nbformat gives cells ids where that is all."""
    try:
        with warnings.catch_warnings(action="ignore"):
            nbformat.validate(notebook)
        json.dumps(notebook, ensure_ascii=False).encode()
    except (ValidationError, UnicodeEncodeError) as error:
        return _first_line(error)
    return ""


def _first_line(error: Exception) -> str:
    return ascii(str(error).splitlines()[0])[1:-1][:200] if str(error) else type(error).__name__


def _mended(notebook: NotebookNode) -> NotebookNode:
    """The notebook as format 4.5: without keys and metadata that this does not have, and with U+FFFD for halves of
    characters.
    """
    cells = [_cell(cell) for cell in notebook.cells]
    metadata = {**notebook.metadata, "kernelspec": {**KERNEL, **notebook.metadata.get("kernelspec", {})}}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    text = json.dumps(content, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    with warnings.catch_warnings(action="ignore"):
        _, mended = nbformat.validator.normalize(nbformat.from_dict(json.loads(text)), strip_invalid_metadata=True)
    return mended


def _cell(cell: NotebookNode) -> dict[str, Any]:
    """A cell with the keys of its type. Raises ValueError for tags that are not a list: nobody knows what they mean."""
    blank = CELLS[cell.cell_type]()
    tags = cell.metadata.get("tags", [])
    if not isinstance(tags, list):
        raise ValueError(f"found {tags!r} as tags; expected a list")
    metadata = {**cell.metadata, "tags": list(dict.fromkeys(tags))}
    keys = {*blank, *(["attachments"] if cell.cell_type != "code" else [])} - {"id"}
    allowed = {key: value for key, value in cell.items() if key in keys}
    return {**blank, **allowed, "metadata": metadata}
