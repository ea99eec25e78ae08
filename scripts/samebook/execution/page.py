"""The page of a run: its notebook as HTML, by nbconvert. A process has one exporter, as it takes long to make."""

import re
import sys
from contextlib import suppress
from copy import deepcopy
from functools import cache, lru_cache
from pathlib import Path
from textwrap import indent
from typing import Any, override

import ipython_pygments_lexers
from mistune.util import escape_url
from nbconvert.exporters.html import HTMLExporter
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters.strings import clean_html
from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbformat.v4.rwbase import rejoin_lines

from samebook.execution.cells.executed import Executed

# Characters of an output's text.
LONGEST = 10**6
# Characters of a cell's source, as HTML, that is kept for the next page.
CELL = 10**5
# A cell's source as Pygments writes it, in which nbconvert's filter, which parses it, changes nothing. It has no
# character that means something to a parser: of control characters tab and line feed alone.
_TEXT = r"(?:[^<>&\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]|&(?:amp|lt|gt);)"
_SPAN = rf'<span class="\w+">{_TEXT}*+</span>'
HIGHLIGHTED = re.compile(
    rf'<div class=" highlight hl-[\w-]+"><pre><span></span>(?:{_TEXT}|{_SPAN})*+</pre></div>\n?', re.ASCII
)
NO_ALT = 'alt="No description has been provided for this image"'
SCRIPT = re.compile(r"(<script\b.*?</script\s*>)", re.DOTALL | re.IGNORECASE)
# Changes for people who can't see a picture, and for those who go through a page with the keyboard.
CHANGES = (
    (re.compile(r"<img\b(?![^>]*\salt(?=[\s=>/]))", re.IGNORECASE), f"<img {NO_ALT}"),
    (
        re.compile(r'<div (?=[^>]*class="(?:[^"]* )?jp-(?:Cell-inputWrapper|OutputArea-output)[ "])'),
        '<div tabindex="0" ',
    ),
)


def write(path: Path, executed: Executed, name: str) -> None:
    """Write the page of an executed notebook, with this title."""
    path.write_text(html(executed.with_cells(shortened), name))


def html(notebook: Any, name: str) -> str:
    """The page of an executed notebook, with this title.

    Where nbconvert cannot make it, the cells that it cannot show are plain text, and a note says so.
    """
    node = rejoin_lines(deepcopy(notebook))
    for cell in node.cells:
        # A picture is looked up by its URL, where its name is quoted.
        pictures = cell.get("attachments", {})
        pictures.update({escape_url(name): data for name, data in pictures.items()})
    try:
        return _html(node, name)
    except Exception as error:  # the libraries that take part raise errors of any class
        return _html(_in_part(node, error), name)


def shortened(cell: NotebookNode) -> NotebookNode:
    """A cell without the middle of a text that is too long for a page, which browsers would take minutes to show."""
    for output in cell.get("outputs", ()):
        texts = output if output.output_type == "stream" else output.get("data", {})
        for kind in texts.keys() & {"text", "text/plain"}:
            texts[kind] = _ends(texts[kind])
    return cell


def _ends(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    note = f"[… {len(text) - 2 * half:,} characters are left out of this page; notebook.ipynb has them …]"
    return f"{text[:half]}\n\n{note}\n\n{text[-half:]}"


def _html(notebook: Any, name: str) -> str:
    try:
        page, _ = _exporter().from_notebook_node(notebook, {"metadata": {"name": name}})
    except _PageMade as made:
        page = made.page
    return accessible(page)


def _in_part(notebook: Any, error: Exception) -> Any:
    """A notebook of the cells that nbconvert can show, and the text of the others, without the state of widgets."""
    metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info") if key in notebook.metadata}
    bare = {**notebook, "metadata": metadata}
    note = new_markdown_cell(f"*This page is not shown in full, the notebook has all. The cause:*\n\n{_text(error)}")
    cells = [cell if _is_shown({**bare, "cells": [cell]}) else _plain(cell) for cell in notebook.cells]
    return from_dict({**bare, "cells": [note, *cells]})


def _is_shown(notebook: dict[str, Any]) -> bool:
    try:
        return bool(_html(from_dict(notebook), "cell"))
    except Exception:
        return False


def _plain(cell: Any) -> Any:
    """A cell with its text only: its source, and what it printed and displayed as plain text."""
    if cell.cell_type != "code":
        return new_markdown_cell(_text(cell.source))
    texts = (output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
    return new_code_cell(cell.source, outputs=[new_output("stream", text=str(text)) for text in texts])


def _text(text: object) -> str:
    """Markdown that shows a text as it is."""
    return indent(str(text), "    ", lambda _: True)


def accessible(page: str) -> str:
    """The page with a text for each picture, and with cells and outputs that the keyboard can reach."""
    parts = SCRIPT.split(page)
    for pattern, replacement in CHANGES:
        parts[::2] = [pattern.sub(replacement, part) for part in parts[::2]]
    return "".join(parts)


@cache
def warm_up() -> None:
    """Make a page, so that the templates are compiled and all imports of nbconvert are done."""
    cells = [new_markdown_cell("# A page"), new_code_cell("print(1)", outputs=[new_output("stream", text="1\n")])]
    with suppress(Exception):  # the first real page will raise it again
        html(new_notebook(cells=cells), "page")


class _PageMade(Exception):
    """The end of nbconvert's work: the page that its templates have made."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page


class _PageMaker(TemplateExporter):
    """Makes the page, and raises it as `_PageMade`."""

    @override
    def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> Any:
        raise _PageMade(super().from_notebook_node(nb, resources, **kw)[0])


class _Exporter(HTMLExporter, _PageMaker):
    """nbconvert's exporter of HTML, without its own changes for accessibility, which come after `_PageMade`.

    For these it would parse the whole page, which takes three times as long as `accessible`.
    """

    @override
    def get_prefix_root_dirs(self) -> list[str]:
        """The environment's own folder alone: a template of a user's folder would run in this process."""
        return [str(Path(sys.prefix, "share", "jupyter"))]

    @override
    def _validate_preprocessor(self, nbc: Any, preprocessor: Any) -> None:
        """Check nothing: nbconvert's own preprocessors leave a notebook valid, and the check takes longer."""


@cache
def _exporter() -> _Exporter:
    # nbconvert would import all of IPython for the same classes.
    sys.modules.setdefault("IPython.lib.lexers", ipython_pygments_lexers)
    exporter = _Exporter(extra_template_basedirs=[], extra_template_paths=[])
    exporter.register_filter("clean_html", _clean)
    return exporter


def _clean(text: str) -> str:
    """A text without unsafe HTML, as nbconvert's own filter gives it: the pages of a sweep have the same cells."""
    if HIGHLIGHTED.fullmatch(text):
        return text
    return _cleaned(text) if len(text) < CELL else clean_html(text)


_cleaned = lru_cache(maxsize=512)(clean_html)
