"""The page of a run: its notebook as HTML, made by nbconvert. What makes pages is made once in a process."""

from contextlib import suppress
from functools import cache
from typing import Any

import nbformat
from nbconvert.exporters.html import HTMLExporter


def html(notebook: Any, name: str) -> str:
    """The page of an executed notebook, with this title."""
    text, _ = _exporter().from_notebook_node(notebook, {"metadata": {"name": name}})
    return text


@cache
def warm_up() -> None:
    """Make a page, so that the templates are compiled and all that pages need is imported."""
    cells = [nbformat.v4.new_markdown_cell("# A page"), nbformat.v4.new_code_cell("print(1)")]
    cells[1].outputs = [nbformat.v4.new_output("stream", text="1\n")]
    with suppress(Exception):  # what is wrong is told where it counts
        html(nbformat.v4.new_notebook(cells=cells), "page")


@cache
def _exporter() -> HTMLExporter:
    return HTMLExporter()
