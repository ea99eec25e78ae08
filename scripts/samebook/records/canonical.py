"""The canonical form of an executed notebook: what counts as its result, and nothing else.

It counts, in this order for each cell: its name and type, its source with its attachments, its printed text (all of
stdout, then all of stderr: how the text was split into messages is a matter of timing), then what it displays, in
order, by MIME type. Images and other binary data count by the sha256 of their bytes.

It does not count, because two runs of the same differ in it: metadata, ids and execution counts; papermill's
timings and error banners; what a progress bar overwrote, its times and its rate; colours and other codes for a
terminal; and inside text

    run ids                     20130630T120000Z-train-1a2b3c           -> <run>
    memory addresses            <object at 0x7f3a5c0d1e80>              -> <object at 0x…>
    threads' ids                <Thread(Thread-1, started 1404…)>       -> <Thread(Thread-1, started …)>
    a cell's temporary file     /tmp/ipykernel_42/123456.py             -> <cell>
    temporary files' names      /tmp/tmpk3_x9a0b, /tmp/samebook-k3_x9a0b -> <temporary>
    where packages are          /opt/samebook/lib/python3.13/site-packages/ -> <packages>/
    where Python's own are      /usr/lib/python3.13/                    -> <python>/
    process ids                 (pid=42)                                -> (pid=…)
    where the environment is    /opt/samebook                           -> <environment>
    where the checkout is       /workspace                              -> <workspace>
    ids of styled tables        <table id="T_0a1b2">, in text/html      -> <table id="T_">
    random ids of widgets                                               -> removed

A memory address is what follows `at`; the id of a styled table, what its <style> or <table> begins with: a hash
or a column's name that looks like one counts. The environment is that of the process that makes the canonical form:
the runner's, whose kernels run in the same.

Everything else counts: a time that a cell prints makes two runs differ, and should.
"""

import base64
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from samebook.core.digest import json_bytes, sha256

RESERVED = ("raises-exception", "skip-execution")  # Jupyter's: they say what to do with a cell, not what it is
BANNER = "papermill-error-cell-tag"
BINARY = ("image/png", "image/jpeg", "image/gif", "application/pdf")
WIDGET = "application/vnd.jupyter.widget-view+json"
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
CURSOR = re.compile(r"(\n|\r|\x1b\[\d{0,4}A|\x1b\[2K)")
UP = re.compile(r"\x1b\[(\d{0,4})A")
PLACE = r"(?:<environment>|<workspace>)?"  # what was already replaced
# A text that a rule would change holds these words: to look for them takes next to nothing.
RULES = (
    ("Z-", re.compile(r"\d{8}T\d{6}Z-[\w.-]+?-[0-9a-f]{6}\b"), "<run>"),
    # In a path, where a notebook's name may hold anything.
    ("Z-", re.compile(r"(?<=/)\d{8}T\d{6}Z-[^/\n]+?-[0-9a-f]{6}\b"), "<run>"),
    ("at 0x", re.compile(r"\bat 0x[0-9a-f]{6,16}\b"), "at 0x…"),
    (", st", re.compile(r"(?<=, )(started|stopped)( daemon)? \d{6,}(?=\))"), r"\1\2 …"),
    ("/ipykernel_", re.compile(PLACE + r"/\S*?/ipykernel_\d+/\d+\.py"), "<cell>"),
    ("/", re.compile(re.escape(tempfile.gettempdir()) + r"/(tmp|samebook-)[a-z0-9_]{8}(?![\w-])"), "<temporary>"),
    ("/site-packages/", re.compile(PLACE + r"/[^\s:'\"]*?/site-packages/"), "<packages>/"),
    ("/lib/python3.", re.compile(r"(<environment>|<workspace>|/[^\s:'\"]*?)/lib/python3\.\d+/"), "<python>/"),
    ("pid=", re.compile(r"\bpid=\d+"), "pid=…"),
    # tqdm's times and rate: [00:01<00:02, 9.51it/s, and without a total [00:01, 1.05s/it
    ("/", re.compile(r"\[(\d+:)?\d\d:\d\d(<[\d:?]+)?, +[\d.?]+ ?[^\s,/\]]*/\w+"), "[…"),
)
STYLED = re.compile(r"""(?:<style[^>]*>\s*#|<table id=["'])(T_[0-9a-f]{5})(?![0-9a-zA-Z])""")


@dataclass(frozen=True)
class Cell:
    """One cell of the canonical form; `digest` is over all of it."""

    name: str
    content: dict[str, Any]

    @property
    def digest(self) -> str:
        return sha256(json_bytes(self.content))


def cells(notebook: Mapping[str, Any], workspace: str) -> list[Cell]:
    """The canonical cells of an executed notebook, nbformat 4 as plain JSON; `workspace` is its checkout's path."""
    counted = [cell for cell in notebook["cells"] if BANNER not in _tags(cell)]
    return [_cell(cell, number, workspace) for number, cell in enumerate(counted, start=1)]


def name(tags: Iterable[str], number: int) -> str:
    """How people know a cell: by its first tag that is a name, else by its number."""
    return next((tag for tag in tags if tag not in RESERVED), f"cell-{number}")


def content(canonical: Iterable[Cell]) -> bytes:
    """The canonical notebook's bytes."""
    return json_bytes([cell.content for cell in canonical])


def _cell(cell: Mapping[str, Any], number: int, workspace: str) -> Cell:
    tags = _tags(cell)
    outputs = cell.get("outputs", ())
    found = {
        "type": cell["cell_type"],
        "tags": tags,
        "source": _joined(cell["source"]),
        "printed": {name: text for name in ("stdout", "stderr") if (text := _printed(outputs, name, workspace))},
        "displayed": [_displayed(output, workspace) for output in outputs if output["output_type"] != "stream"],
    }
    if attachments := cell.get("attachments"):
        found["attachments"] = {
            name: {kind: _data(kind, value, workspace) for kind, value in data.items()}
            for name, data in attachments.items()
        }
    return Cell(name(tags, number), found)


def _tags(cell: Mapping[str, Any]) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", ()))


def _printed(outputs: Iterable[Mapping[str, Any]], name: str, workspace: str) -> str:
    text = "".join(_joined(each["text"]) for each in outputs if each.get("name") == name)
    return _plain(_screen(text), workspace)


def _screen(text: str) -> str:
    """What a terminal would show in the end: progress bars go back in a line, and up."""
    if "\r" not in text and "\x1b" not in text:
        return text
    lines, row, returned = [""], 0, False
    for part in CURSOR.split(text):
        if part == "\n":
            row, returned = row + 1, False
            lines += [""] * (row == len(lines))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif up := UP.fullmatch(part):
            row = max(0, row - int(up[1] or 1))
        elif part == "\r":
            returned = True
        elif part:
            # Blanks at the end wipe what was longer.
            lines[row] = part.rstrip() if returned else lines[row] + part
            returned = False
    return "\n".join(lines)


def _displayed(output: Mapping[str, Any], workspace: str) -> dict[str, Any]:
    if output["output_type"] == "error":
        return {"error": output["ename"], "value": _plain(output["evalue"], workspace)}
    data = output["data"].items()
    return {kind: _data(kind, value, workspace) for kind, value in data if kind != WIDGET}


def _data(kind: str, value: Any, workspace: str) -> Any:
    if kind in BINARY:
        return {"sha256": sha256(base64.b64decode(_joined(value)))}
    if not isinstance(value, (str, list)):
        return value
    text = _plain(_joined(value), workspace)
    return _without_style_ids(text) if kind == "text/html" else text


def _without_style_ids(html: str) -> str:
    """Each pandas Styler has a random id, which begins the ids of its cells."""
    for found in set(STYLED.findall(html)):
        html = re.sub(rf"\b{found}(?![0-9a-zA-Z])", "T_", html)
    return html


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _plain(text: str, workspace: str) -> str:
    # The environment first: it may be in the checkout, as the checkout may be among temporary files.
    text = _without(sys.prefix, "<environment>", ESCAPES.sub("", text))
    text = _without(workspace, "<workspace>", text)
    for word, pattern, replacement in RULES:
        if word in text:
            text = pattern.sub(replacement, text)
    return text


def _without(path: str, name: str, text: str) -> str:
    if path not in text:
        return text
    return re.sub(rf"(?<![\w.-]){re.escape(path)}(?![\w-])", name, text)
