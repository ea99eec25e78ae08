"""The page of a run: it is nbconvert's own, made faster."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert.exporters.html import HTMLExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.strings import clean_html
from nbformat import NotebookNode

from samebook.execution import page

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ODD = "<p>x<script>const a = '<img src=1>';</script><IMG src='b.png'><img src='c.png' alt='c'><div class='own'>y</div>"


def shown() -> NotebookNode:
    """A notebook with every kind of output."""
    cells = [nbformat.v4.new_markdown_cell("# Title\n![a](b.png)"), nbformat.v4.new_code_cell("1 < 2")]
    new, data = nbformat.v4.new_output, {"image/png": PIXEL, "text/plain": "<Figure>"}
    cells[1].outputs = [
        new("stream", text="a < b\n\x1b[31mred\x1b[0m\n"),
        new("stream", name="stderr", text="<img src='no picture'>\n"),
        new("display_data", data=data),
        new("display_data", data={"text/html": ODD}),
        new("execute_result", data={"text/plain": "True"}, execution_count=1),
        new("error", ename="ValueError", evalue="no", traceback=["\x1b[0;31mValueError\x1b[0m: no"]),
    ]
    return nbformat.v4.new_notebook(cells=cells)


def test_same_page_as_nbconvert() -> None:
    """Every element, attribute and text is that of nbconvert's own page, with those for people who can't see."""
    notebook = shown()
    expected, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": "shown"}})
    actual, wanted = (BeautifulSoup(html, "html.parser") for html in (page.html(notebook, "shown"), expected))
    assert [(tag.name, tag.attrs) for tag in actual.find_all()] == [(tag.name, tag.attrs) for tag in wanted.find_all()]
    assert actual.get_text() == wanted.get_text()
    assert len(actual.select("img[alt]")) == len(actual.select("img")) == 4
    assert len(actual.select("[tabindex]")) > 5


# Parts of sources: those that the pattern admits, and those that it leaves to the filter.
PIECES = 9 * ("if ", "x", "0", " ", "\n", "'", '"""', "#", "%", "é", "&lt;", "<", "\u2028", "\ufffe", "\U0001f600")
ODD_PIECES = (*"\x00\x0c\r\x1b\x7f\x85\xa0", "&copy;", "&#0;", "</b>")
MARKUP = ("</pre>", "</div>", "<div>", "<span>", "</span>", "<script>a</script>", "<img src=a>", "<!--", "&", "<")


def test_source_is_as_safe_as_by_nbconvert() -> None:
    """A cell's source is what nbconvert's filter of unsafe HTML makes of it, where it is not asked, too."""
    highlight, chance = Highlight2HTML(pygments_lexer="ipython3"), random.Random(1)
    assert page.HIGHLIGHTED.fullmatch(highlight("x = 'a < b' & 1  # é\n%time f(x)\n"))
    asked = 0
    for _ in range(300):
        text = highlight("".join(chance.choices(PIECES + ODD_PIECES, k=chance.randrange(1, 20))))
        at = chance.randrange(len(text))
        for found in (text, text[:at] + chance.choice(MARKUP) + text[at:], text[: len(text) - 1 - at]):
            asked += page.HIGHLIGHTED.fullmatch(found) is None
            assert page._clean(found) == clean_html(found)
    assert 600 < asked < 800


def test_scripts_stay() -> None:
    """A text in a script that looks like a picture stays as it is."""
    assert page.accessible(ODD).count("alt=") == 2
    assert "const a = '<img src=1>';" in page.accessible(ODD)


def test_pages_in_turns() -> None:
    """A second page has nothing of the first."""
    first, second = shown(), nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("other")])
    alone = page.html(second, "second")
    page.html(first, "first")
    assert page.html(second, "second") == alone


@pytest.mark.parametrize(
    ("url", "name"), [("größe.png", "größe.png"), ("a%20b.png", "a b.png"), ("a%20b.png", "a%20b.png")]
)
def test_picture_of_any_name(url: str, name: str) -> None:
    """An attached picture is on the page, however its name is written in the text."""
    cell = nbformat.v4.new_markdown_cell(f"![x](attachment:{url})", attachments={name: {"image/png": PIXEL}})
    assert PIXEL in page.html(nbformat.v4.new_notebook(cells=[cell]), "attached")


MISSING = nbformat.v4.new_markdown_cell("# Prose\n![x](attachment:gone.png)")
ODD_DATA = nbformat.v4.new_code_cell("show()")
ODD_DATA.outputs = [
    nbformat.v4.new_output("stream", text="printed"),
    nbformat.v4.new_output("display_data", data={"text/plain": "W", "image/png": ""}, metadata={"image/png": 3}),
]


@pytest.mark.parametrize(("cell", "kept"), [(MISSING, "![x](attachment:gone.png)"), (ODD_DATA, "W")])
def test_cell_that_cannot_be_shown(cell: NotebookNode, kept: str) -> None:
    """A cell that nbconvert cannot show is plain text on the page, which says so; all others are as ever."""
    html = page.html(nbformat.v4.new_notebook(cells=[*shown().cells, cell]), "odd")
    text = BeautifulSoup(html, "html.parser").get_text()
    assert kept in text
    assert "not shown in full" in text
    assert PIXEL in html


@pytest.mark.parametrize("state", [{"abc": {}}, {}, None])
def test_widget_without_state(state: object) -> None:
    """A widget whose state the notebook does not hold is the text that it displayed."""
    cells = [nbformat.v4.new_code_cell("widget")]
    data = {"application/vnd.jupyter.widget-view+json": {"model_id": "abc"}, "text/plain": "W"}
    cells[0].outputs = [nbformat.v4.new_output("display_data", data=data)]
    metadata = {"widgets": {"application/vnd.jupyter.widget-state+json": state}}
    assert "<pre>W</pre>" in page.html(nbformat.v4.new_notebook(cells=cells, metadata=metadata), "widget")


@pytest.mark.secrets
@pytest.mark.parametrize("place", ["home/.local/share/jupyter/nbconvert/templates", "jupyter/nbconvert/templates", "."])
def test_no_template_of_a_user(place: str, tmp_path: Path) -> None:
    """A template that a notebook has left in a folder of the user is not used: it would run beside the signing key."""
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'stolen')!r}, 'w')")
    templates = tmp_path / place / "lab"
    templates.mkdir(parents=True)
    preprocessors = {"9": {"type": "runpy.run_path", "path_name": str(tmp_path / "own.py")}}
    (templates / "conf.json").write_text(json.dumps({"base_template": "base", "preprocessors": preprocessors}))
    (templates / "index.html.j2").write_text("another page")
    script = """
from samebook.execution import page
from nbformat.v4 import new_notebook
page.warm_up()
print(page.html(new_notebook(), "page"))
"""
    home = str(tmp_path / "home")
    env = {**os.environ, "HOME": home, "JUPYTER_PATH": str(tmp_path / "jupyter"), "JUPYTER_PREFER_ENV_PATH": "0"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == page.html(nbformat.v4.new_notebook(), "page").strip()
    assert not (tmp_path / "stolen").exists()
