"""The page of a run: its notebook as HTML, made by nbconvert. What makes pages is made once in a process."""

import re
from contextlib import suppress
from copy import deepcopy
from functools import cache
from typing import Any, override

import nbformat
from nbconvert.exporters.html import HTMLExporter
from nbconvert.exporters.templateexporter import TemplateExporter
from nbformat.v4.rwbase import rejoin_lines

NO_ALT = 'alt="No description has been provided for this image"'
SCRIPT = re.compile(r"(<script\b.*?</script\s*>)", re.DOTALL | re.IGNORECASE)
# What is changed for people who can't see a picture, and for those who go through a page with the keyboard.
CHANGES = (
    (re.compile(r"<img\b(?![^>]*\salt(?=[\s=>/]))", re.IGNORECASE), f"<img {NO_ALT}"),
    (
        re.compile(r'<div (?=[^>]*class="(?:[^"]* )?jp-(?:Cell-inputWrapper|OutputArea-output)[ "])'),
        '<div tabindex="0" ',
    ),
)


def html(notebook: Any, name: str) -> str:
    """The page of an executed notebook, with this title."""
    _exporter().from_notebook_node(rejoin_lines(deepcopy(notebook)), {"metadata": {"name": name}})
    return accessible(_exporter().made)


def accessible(page: str) -> str:
    """A page in which each picture has a text, and cells and outputs can be reached with the keyboard."""
    parts = SCRIPT.split(page)
    for pattern, replacement in CHANGES:
        parts[::2] = [pattern.sub(replacement, part) for part in parts[::2]]
    return "".join(parts)


@cache
def warm_up() -> None:
    """Make a page, so that the templates are compiled and all that pages need is imported."""
    cells = [nbformat.v4.new_markdown_cell("# A page"), nbformat.v4.new_code_cell("print(1)")]
    cells[1].outputs = [nbformat.v4.new_output("stream", text="1\n")]
    with suppress(Exception):  # what is wrong is told where it counts
        html(nbformat.v4.new_notebook(cells=cells), "page")


class _Kept(TemplateExporter):
    """Keeps what the templates make, and hands on nothing."""

    made = ""

    @override
    def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> Any:
        self.made, found = super().from_notebook_node(nb, resources, **kw)
        return "", found


class _Exporter(HTMLExporter, _Kept):
    """As nbconvert's, which parses the whole page for what `accessible` does, and so takes thrice the time."""


@cache
def _exporter() -> _Exporter:
    return _Exporter()
