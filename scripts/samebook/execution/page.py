"""The page of a run: its notebook as HTML, by nbconvert. A process has one exporter, as it takes long to make."""

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
# Changes for people who can't see a picture, and for those who go through a page with the keyboard.
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
    return accessible(_exporter().page)


def accessible(page: str) -> str:
    """The page with a text for each picture, and with cells and outputs that the keyboard can reach."""
    parts = SCRIPT.split(page)
    for pattern, replacement in CHANGES:
        parts[::2] = [pattern.sub(replacement, part) for part in parts[::2]]
    return "".join(parts)


@cache
def warm_up() -> None:
    """Make a page, so that the templates are compiled and all imports of nbconvert are done."""
    cells = [nbformat.v4.new_markdown_cell("# A page"), nbformat.v4.new_code_cell("print(1)")]
    cells[1].outputs = [nbformat.v4.new_output("stream", text="1\n")]
    with suppress(Exception):  # the first real page will raise it again
        html(nbformat.v4.new_notebook(cells=cells), "page")


class _PageKeeper(TemplateExporter):
    """Keeps the page that the templates make, and hands nothing on."""

    page = ""

    @override
    def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> Any:
        self.page, resources = super().from_notebook_node(nb, resources, **kw)
        return "", resources


class _Exporter(HTMLExporter, _PageKeeper):
    """nbconvert's exporter of HTML, without its own changes for accessibility.

    For these it would parse the whole page, which takes three times as long as `accessible`: it gets an empty one.
    """


@cache
def _exporter() -> _Exporter:
    return _Exporter()
