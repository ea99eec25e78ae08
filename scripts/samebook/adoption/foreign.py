"""A notebook of another project, as its file has it: any format from 3 on, any kernel of Python, any outputs.

It is read with the standard library alone: this works in the light environment beside the image, too.
"""

import html
import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samebook.adoption.code import cells
from samebook.core.errors import UsageError
from samebook.core.text import word
from samebook.environment import kernels

CODE = "code"
# Outputs that are errors, in formats 4 and 3; those by which a person has stopped a cell.
ERRORS = ("error", "pyerr")
STOPPED = ("KeyboardInterrupt", "")
# Characters that are read of what a cell has printed.
PRINTED = 50_000


@dataclass(frozen=True)
class Cell:
    """A cell: its type (code, markdown, raw), its text, its metadata, and its attachments.

    `error` is the name of the error that its saved output ends with: a course shows some on purpose. `printed` is the
    text of its saved outputs.
    """

    kind: str
    text: str
    metadata: dict[str, Any]
    attachments: dict[str, Any]
    error: str = ""
    printed: str = ""

    @property
    def tags(self) -> list[str]:
        tags = self.metadata.get("tags")
        return [str(tag) for tag in tags] if isinstance(tags, list) else []


def read(path: Path) -> list[Cell]:
    """The cells of a notebook's file. Raises UsageError where it is not a notebook of Python that can be read."""
    mend = f"jupyter nbconvert --to notebook {word(path)}, where Jupyter opens it"
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"there is no notebook {path}", mend="ls *.ipynb, and the path again") from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}; expected a notebook's file", mend="ls -l") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not a notebook: found no JSON ({error})", mend=mend) from None
    try:
        _check_language(path, content)
        sheets = content.get("worksheets", [content])
        found = [_cell(cell) for sheet in sheets for cell in sheet["cells"]]
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"{path} is not a notebook: its JSON has no list of cells ({reason})", mend=mend) from None
    return [cell for cell in found if "injected-parameters" not in cell.tags]


def is_python2(path: Path) -> bool:
    """Whether a notebook's file, which `read` accepts, says that it is of Python 2."""
    metadata = json.loads(path.read_text("utf-8-sig")).get("metadata") or {}
    kernel, info = metadata.get("kernelspec") or {}, metadata.get("language_info") or {}
    return kernel.get("name") == "python2" or str(info.get("version", "")).startswith("2")


def _check_language(path: Path, content: dict[str, Any]) -> None:
    """Raise UsageError for a notebook of another language."""
    if language := kernels.other_language(content.get("metadata") or {}):
        raise UsageError(
            f"{path} is a notebook of {language}; samebook runs Python alone",
            mend="a notebook of Python: its work would have to be written again",
        )


def _cell(cell: dict[str, Any]) -> Cell:
    """A cell of any format. In format 3 code has `input`, and a heading is a type of its own."""
    text = cell.get("source", cell.get("input", ""))
    text = text if isinstance(text, str) else "".join(text)
    kind = cell["cell_type"]
    if kind in ("heading", "html"):
        kind, text = "markdown", f"{'#' * int(cell.get('level', 1))} {text}" if kind == "heading" else text
    metadata = {key: value for key, value in (cell.get("metadata") or {}).items() if key in ("tags", "jupyter")}
    errors = [output.get("ename", "") for output in cell.get("outputs") or [] if output.get("output_type") in ERRORS]
    error = next((str(name) for name in errors if name not in STOPPED), "") if kind == CODE else ""
    printed = "\n".join(map(_printed, cell.get("outputs") or [])) if kind == CODE else ""
    kind = kind if kind in (CODE, "markdown") else "raw"
    return Cell(kind, text, metadata, cell.get("attachments") or {}, error, printed)


def _printed(output: dict[str, Any]) -> str:
    """The text of an output: what was printed, or the plain form of a result and what its HTML shows as printed.

    In format 3 a result has its forms beside its type.
    """
    data = output.get("data") or {}
    plain, page = (
        part if isinstance(part, str) else "".join(map(str, part)) if isinstance(part, list) else ""
        for part in (
            data.get("text/plain", output.get("text", "")),
            data.get("text/html", output.get("html", "")),
        )
    )
    preformatted = (part.rpartition("<pre")[2].partition(">")[2] for part in page[:PRINTED].split("</pre>")[:-1])
    shown = (html.unescape(re.sub(r"<[^<>]*>", "", part)) for part in preformatted)
    return "\n".join((plain[:PRINTED], *shown))


def check_syntax(texts: list[str], mend: str = "mend that cell in a copy of the notebook, and adopt the copy") -> None:
    """Raise UsageError for the first cell that is not Python 3; `mend` is what mends it."""
    for number, text in enumerate(texts, start=1):
        try:
            cells.tree(text)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", 1)
            raise UsageError(
                f"code cell {number} is not Python 3: {getattr(error, 'msg', error)}, line {line}",
                mend=mend,
            ) from None


def content(cells: list[Cell], record: dict[str, Any]) -> bytes:
    """The file of a notebook in format 4.5 without outputs, with the record of its adoption in its metadata."""
    metadata = {
        "kernelspec": {**kernels.KERNEL, "language": "python"},
        "language_info": {"name": "python"},
        "samebook": {"adoption": record},
    }
    # As the lines of a run count cells: those with code.
    numbers = {cell.kind: itertools.count(1) for cell in cells}
    nodes = [_node(f"{'cell' if cell.kind == CODE else cell.kind}-{next(numbers[cell.kind])}", cell) for cell in cells]
    document = {"cells": nodes, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "replace") + b"\n"


def _node(name: str, cell: Cell) -> dict[str, Any]:
    node: dict[str, Any] = {"cell_type": cell.kind}
    if cell.kind == CODE:
        node["execution_count"] = None
    node |= {"id": name, "metadata": cell.metadata}
    if cell.kind == CODE:
        node |= {"outputs": list[Any]()}
    elif cell.attachments:
        node["attachments"] = cell.attachments
    return node | {"source": cell.text.splitlines(keepends=True)}
