"""The canonical form of an executed notebook: its result, without the parts that differ between two equal runs.

For each cell the form has, in this order: name and type; source and attachments; printed text (all of stdout, then
all of stderr, because timing decides how the text is split into messages); displayed data, in order, by MIME type.
Images and other binary data are replaced by the sha256 of their bytes; JSON stays as it is. A text of more than 1 MB
keeps as many bytes of its beginning, and a line with the number of bytes and the sha256 of all of it.

The form leaves out: metadata, ids and execution counts; papermill's timings and error banners; the overwritten text of
a progress bar (with a percentage, a count such as 3/5, a rate, or ETA), its times and its rate; colours and other
terminal codes. It replaces inside text:

    run ids                     20130630T120000Z-train-1a2b3c           -> <run>
    memory addresses            <object at 0x7f3a5c0d1e80>              -> <object at 0x…>
    threads' ids                <Thread(Thread-1, started 1404…)>       -> <Thread(Thread-1, started …)>
    a cell's temporary file     /tmp/ipykernel_42/123456.py             -> <cell>
    temporary files' names      /tmp/tmpk3_x9a0b, /tmp/samebook-k3_x9a0b -> <temporary>
    folder of packages          /opt/samebook/lib/python3.13/site-packages/ -> <packages>/
    folder of Python itself     /usr/lib/python3.13/                    -> <python>/
    process ids                 (pid=42)                                -> (pid=…)
    folder of the environment   /opt/samebook                           -> <environment>
    folder of the checkout      /workspace                              -> <workspace>
    ids of styled tables        <table id="T_0a1b2">, in text/html      -> <table id="T_">
    ids of widgets, random                                              -> removed

Only a hexadecimal number after `at` inside <…> is a memory address, and only an id at the start of a <style> or <table>
is that of a styled table: a hash, or a column's name, that looks alike stays. The environment is that of the process
that makes the canonical form, which is the runner's; its kernels run in the same.

A notebook that sets out to hide a difference can put a number into the form of one of these parts, or on an overwritten
line that looks like a progress bar.

Everything else stays: two runs of a cell that prints the time differ, and should.
"""

import base64
import itertools
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from samebook.core.digest import json_chunks, sha256, text_sha256
from samebook.core.text import ESCAPES
from samebook.environment import machine

RAISES = "raises-exception"
RESERVED = (RAISES, "skip-execution")  # tags that Jupyter defines; they do not name a cell
BANNER = "papermill-error-cell-tag"
BINARY = ("image/png", "image/jpeg", "image/gif", "application/pdf")
WIDGET = "application/vnd.jupyter.widget-view+json"
# Characters of a text that stay.
LONGEST = 10**6
CURSOR = re.compile(r"(\n|\r|\x1b\[\d{0,4}A|\x1b\[2K)")
UP = re.compile(r"\x1b\[(\d{0,4})A")
# The environment that .venv shows, by whose paths some packages name their files.
SHOWN = os.path.realpath(f"{sys.prefix}/{machine.SHOWN}")
PREFIX = r"(?:<environment>|<workspace>)?"  # a folder that is replaced before the rules apply
# Word, pattern, replacement. A text without the word cannot match, and finding a word is much cheaper than matching.
RULES = (
    ("Z-", re.compile(r"\d{8}T\d{6}Z-[\w.-]+?-[0-9a-f]{6}\b"), "<run>"),
    # In a path, where a notebook's name may hold anything.
    ("Z-", re.compile(r"(?<=/)\d{8}T\d{6}Z-[^/\n]+?-[0-9a-f]{6}\b"), "<run>"),
    # Of an object that describes itself, <object at 0x…>, once or twice: <weakref at 0x…; to 'A' at 0x…>.
    ("at 0x", re.compile(r"((?:<|&lt;)[^<>\n]*\bat )0x[0-9a-f]{6,16}\b"), r"\g<1>0x…"),
    ("at 0x", re.compile(r"((?:<|&lt;)[^<>\n]*\bat )0x[0-9a-f]{6,16}\b"), r"\g<1>0x…"),
    (", st", re.compile(r"(<\w+\([^<>()\n]*, (?:started|stopped)(?: daemon)? )\d{6,}(?=\))"), r"\1…"),
    ("/ipykernel_", re.compile(PREFIX + r"/\S*?/ipykernel_\d+/\d+\.py"), "<cell>"),
    ("/", re.compile(re.escape(tempfile.gettempdir()) + r"/(tmp|samebook-)[a-z0-9_]{8}(?![\w-])"), "<temporary>"),
    ("/site-packages/", re.compile(PREFIX + r"/[^\s:'\"]*?/site-packages/"), "<packages>/"),
    ("/lib/python3.", re.compile(r"(<environment>|<workspace>|/[^\s:'\"]*?)/lib/python3\.\d+/"), "<python>/"),
    ("pid=", re.compile(r"(?<=[( ])pid=\d{1,7}\b"), "pid=…"),
    # tqdm's times and rate: [00:01<00:02, 9.51it/s, and without a total [00:01, 1.05s/it
    ("/", re.compile(r"\[(\d+:)?\d\d:\d\d(<[\d:?]+)?, +[\d.?]+ ?[^\s,/\]]*/\w+"), "[…"),
)
# Text that a progress bar draws: a share, a count of a whole, a rate, or the time that is left.
PROGRESS = re.compile(r"\d ?%|\d+/\d+|[\d.?]+ ?\w+/s\b|\bETA\b")
STYLED = re.compile(r"""(?:<style[^>]*>\s*#|<table id=["'])(T_[0-9a-f]{5})(?![0-9a-zA-Z])""")


def cells(notebook: Mapping[str, Any], workspace: str) -> list[dict[str, Any]]:
    """The canonical cells of an executed notebook (nbformat 4, as plain JSON); `workspace` is its checkout's path."""
    return list(each(notebook["cells"], workspace))


def each(
    executed: Iterable[Mapping[str, Any]], workspace: str, redact: Callable[[Any], Any] = lambda cell: cell
) -> Iterator[dict[str, Any]]:
    """The canonical cells of executed cells, one after the other; `redact` replaces the secrets in one.

    A secret that was printed in two parts is whole only here; the sha256 of a long text is that of the redacted one.
    """
    for cell in executed:
        if BANNER not in _tags(cell):
            yield _shortened(redact(_cell(cell, workspace)))


def numbers(types: Iterable[str]) -> list[int]:
    """The number of each cell of these types: code is counted from 1, and prose has the number of the code below it."""
    kinds = list(types)
    code_cells = itertools.accumulate(kind == "code" for kind in kinds)
    return [count + (kind != "code") for kind, count in zip(kinds, code_cells, strict=True)]


def name(tags: Iterable[str], number: int) -> str:
    """The name of a cell: its first tag that Jupyter does not reserve, else `cell-<number>`."""
    return next((tag for tag in tags if tag not in RESERVED), f"cell-{number}")


def failed_cell(canonical: list[dict[str, Any]]) -> str:
    """The name of the first cell that ended with an error though it is not there to raise; "" where there is none.

    Only a run of an older samebook can have one.
    """
    for number, cell in zip(numbers(cell["type"] for cell in canonical), canonical, strict=True):
        if RAISES not in cell["tags"] and any("error" in output for output in cell["displayed"]):
            return name(cell["tags"], number)
    return ""


def content(canonical: Iterable[dict[str, Any]]) -> bytes:
    """The canonical notebook's bytes."""
    return b"".join(json_chunks(canonical))


def _shortened(value: Any) -> Any:
    """The JSON value with its long texts shortened."""
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if not isinstance(value, str) or len(value) <= LONGEST:
        return value
    size, digest = text_sha256(value)
    return f"{value[:LONGEST]}…\n<{size:,} bytes in all, with the sha256 {digest}>"


def _cell(cell: Mapping[str, Any], workspace: str) -> dict[str, Any]:
    outputs = cell.get("outputs", ())
    content = {
        "type": cell["cell_type"],
        "tags": _tags(cell),
        "source": _joined(cell["source"]),
        "printed": {name: text for name in ("stdout", "stderr") if (text := _printed(outputs, name, workspace))},
        "displayed": [_displayed(output, workspace) for output in outputs if output["output_type"] != "stream"],
    }
    if attachments := cell.get("attachments"):
        content["attachments"] = {
            name: {kind: _data(kind, value, workspace) for kind, value in data.items()}
            for name, data in attachments.items()
        }
    return content


def _tags(cell: Mapping[str, Any]) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", ()))


def _printed(outputs: Iterable[Mapping[str, Any]], name: str, workspace: str) -> str:
    text = "".join(_joined(output["text"]) for output in outputs if output.get("name") == name)
    return _plain(_screen(text), workspace)


def _screen(text: str) -> str:
    """The text that a terminal shows in the end, after progress bars moved back in a line, and up.

    Other text that was overwritten stands below it: it was printed, whether it can still be seen or not.
    """
    if "\r" not in text and "\x1b" not in text:
        return text
    lines, wiped, row, returned = [""], list[str](), 0, False
    for part in _moves(text):
        if part == "\n":
            row, returned = row + 1, False
            lines += [""] * (row == len(lines))
        elif part == "\x1b[2K":
            wiped += _told(lines[row])
            lines[row] = ""
        elif up := UP.fullmatch(part):
            row = max(0, row - int(up[1] or 1))
        elif part == "\r":
            returned = True
        elif part:
            # A progress bar pads a shorter text with blanks, to overwrite the longer one before it.
            wiped += _told(lines[row]) if returned else []
            lines[row] = part.rstrip() if returned else lines[row] + part
            returned = False
    return "\n".join((*lines, *wiped))


def _moves(text: str) -> Iterator[str]:
    """The parts of a text, each before a movement of the cursor, and the movements. There may be millions."""
    end = 0
    for match in CURSOR.finditer(text):
        yield text[end : match.start()]
        yield match[0]
        end = match.end()
    yield text[end:]


def _told(text: str) -> list[str]:
    """The line that tells what was overwritten; none for what a progress bar draws."""
    return [f"<wiped> {text}"] if text.strip() and not PROGRESS.search(text) else []


def _displayed(output: Mapping[str, Any], workspace: str) -> dict[str, Any]:
    if output["output_type"] == "error":
        return {"error": output["ename"], "value": _plain(output["evalue"], workspace)}
    data = output["data"].items()
    return {kind: _data(kind, value, workspace) for kind, value in data if kind != WIDGET}


def _data(kind: str, value: Any, workspace: str) -> Any:
    is_json = kind == "application/json" or kind.endswith("+json")
    is_lines = isinstance(value, list) and not is_json and all(isinstance(line, str) for line in value)
    if not (isinstance(value, str) or is_lines):
        return value
    if kind in BINARY:
        return {"sha256": sha256(_bytes(_joined(value)))}
    text = _plain(_joined(value), workspace)
    return _without_style_ids(text) if kind == "text/html" else text


def _bytes(text: str) -> bytes:
    """The bytes of binary data, whose base64 is the text; those of the text where it is not base64."""
    try:
        return base64.b64decode(text)
    except ValueError:
        return text.encode()


def _without_style_ids(html: str) -> str:
    """HTML without the random id of each pandas Styler, which also begins the ids of its cells."""
    for style_id in set(STYLED.findall(html)):
        html = re.sub(rf"\b{style_id}(?![0-9a-zA-Z])", "T_", html)
    return html


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _plain(text: str, workspace: str) -> str:
    # In this order, because the environment may be in the checkout, and the checkout in the temporary folder.
    text = _without(sys.prefix, "<environment>", ESCAPES.sub("", text))
    text = _without(SHOWN, "<environment>", text)
    text = _without(workspace, "<workspace>", text)
    for word, pattern, replacement in RULES:
        if word in text:
            text = pattern.sub(replacement, text)
    return text


def _without(path: str, name: str, text: str) -> str:
    if path not in text:
        return text
    return re.sub(rf"(?<![\w.-]){re.escape(path)}(?![\w-])", name, text)
