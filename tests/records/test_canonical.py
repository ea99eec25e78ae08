"""The canonical notebook: each rule of its specification."""

import base64
import copy
import io
import json
import sys
import tempfile
import time
from typing import Any

import pytest
from tqdm import tqdm

from samebook.core.digest import sha256
from samebook.records import canonical
from samebook.redaction.redactor import Redaction

HERE = "/home/me/checkout"
RAISES = ["raises-exception"]
TEMPORARY = tempfile.gettempdir()
STYLED = '<style type="text/css">\n#T_{0}_row0 {{}}</style><table id="T_{0}"><td id="T_{0}_row0">1</td>'
CELL: dict[str, Any] = {"cell_type": "code", "id": "a", "metadata": {"tags": ["work"]}, "source": "x", "outputs": []}


def printed(text: str | list[str], name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def displayed(**data: str) -> dict[str, Any]:
    return {
        "output_type": "display_data",
        "metadata": {},
        "data": {f"text/{kind}": text for kind, text in data.items()},
    }


def form(*outputs: dict[str, Any], **changes: Any) -> bytes:
    """The canonical bytes of a notebook with one cell."""
    cell = {**copy.deepcopy(CELL), "outputs": list(outputs), **changes}
    return canonical.content(canonical.cells({"cells": [cell]}, HERE))


def test_long_text_is_shortened() -> None:
    """A text of more than a megabyte stays as its beginning, its length and its sha256, which tells any change."""
    text = "0123456789" * (canonical.LONGEST // 10)
    assert json.loads(form(printed(text)))[0]["printed"]["stdout"] == text
    long = form(printed(f"{text}a"), displayed(plain=f"{text}\u20ac"))
    shown = json.loads(long)[0]["printed"]["stdout"]
    assert shown == f"{text}…\n<1,000,001 bytes in all, with the sha256 {sha256(f'{text}a'.encode())}>"
    assert form(printed(f"{text}b")) != form(printed(f"{text}a")) == form(printed([text, "a"]))
    assert form(printed(shown)) != form(printed(f"{text}a"))
    assert len(long) < 3 * canonical.LONGEST


def test_secret_in_long_text_is_not_hashed() -> None:
    """The sha256 of a long text is that of the redacted one, with which no secret can be guessed."""
    text = "x" * canonical.LONGEST + "secret"
    cells = [{**CELL, "outputs": [printed(text)]}]
    redacted = Redaction({"KEY": "secret-of-mine"})
    of = {
        name: canonical.content(canonical.each([{**CELL, "outputs": [printed(shown)]}], HERE, redacted.value))
        for name, shown in {"secret": f"{text}-of-mine", "other": f"{text[:-6]}[redacted KEY]"}.items()
    }
    assert of["secret"] == of["other"] != canonical.content(canonical.each(cells, HERE))


SAME = {
    "run ids": (
        printed("made by 20130630T120000Z-train-1a2b3c"),
        printed("made by 20140101T000000Z-train-ffffff"),
    ),
    "run ids of a notebook whose name has blanks": (
        printed(f"{HERE}/runs/20130630T120000Z-my notebook's 2nd-1a2b3c/outputs"),
        printed(f"{HERE}/runs/20140101T000000Z-my notebook's 2nd-ffffff/outputs"),
    ),
    "threads' ids": (
        printed("<_MainThread(MainThread, started 140412345678912)> <Thread(a, started daemon 1404123456)>"),
        printed("<_MainThread(MainThread, started 139912345678912)> <Thread(a, started daemon 1399123456)>"),
    ),
    "temporary files' names": (
        printed(f"{TEMPORARY}/tmpk3_x9a0b.csv {TEMPORARY}/samebook-k3_x9a0b/kernel.json"),
        printed(f"{TEMPORARY}/tmp00000000.csv {TEMPORARY}/samebook-00000000/kernel.json"),
    ),
    "memory addresses": (printed("<Model at 0x7f3a5c0d1e80>"), printed("<Model at 0x55d0aa00>")),
    "addresses in an address's object": (
        printed("<bound method A.f of <A object at 0x7f3a5c0d1e80>> <weakref at 0x7f00000000; to 'A' at 0x7f11111111>"),
        printed("<bound method A.f of <A object at 0x55d0aa00>> <weakref at 0x5500000000; to 'A' at 0x5511111111>"),
    ),
    "addresses in HTML": (
        displayed(html="<td>&lt;A at 0x7f3a5c0d1e80&gt;"),
        displayed(html="<td>&lt;A at 0x55d0aa00&gt;"),
    ),
    "bars that were wiped": (printed("\rdata: 12.5MB/s\r3/5 [=>  ]\r ETA 0:01 \r     \rdone\n"), printed("done\n")),
    "a cell's file": (
        printed("/tmp/ipykernel_42/123.py:1: UserWarning: few"),
        printed("/tmp/ipykernel_7/9.py:1: UserWarning: few"),
    ),
    "where packages are": (
        printed("/opt/samebook/lib/python3.13/site-packages/pandas/core.py:7: FutureWarning"),
        printed(f"{HERE}/.venv/lib/python3.13/site-packages/pandas/core.py:7: FutureWarning"),
    ),
    "where Python's own modules are, and process ids": (
        printed("/usr/lib/python3.13/multiprocessing/popen_fork.py:67: DeprecationWarning: This process (pid=42)"),
        printed("/opt/lib/python3.13/multiprocessing/popen_fork.py:67: DeprecationWarning: This process (pid=7)"),
    ),
    "ids of styled tables": (displayed(html=STYLED.format("0a1b2")), displayed(html=STYLED.format("c3d4e"))),
    "codes for a terminal": (displayed(plain="\x1b[?25l\x1b[1;2Ha\x1b[A\x1b[K"), displayed(plain="a")),
    "what was drawn over": (printed("1 %\n2 %\n\x1b[2A\x1b[2K3 %\n\x1b[2K4 %"), printed("3 %\n4 %\n")),
    "colours": (printed("\x1b[31mA\x1b[0m"), printed("A")),
    "what a line's return overwrote": (printed("10 %\r50 %\rdone\n"), printed("done\n")),
    "windows' line ends": (printed("a\r\nb"), printed("a\nb")),
    "a bar's times": (
        printed("100%|##| 5/5 [00:01<00:00, 4.99it/s]", "stderr"),
        printed("100%|##| 5/5 [1:00:02<00:00, 1.39s/it]", "stderr"),
    ),
    "a bar without a total": (printed("5it [00:01, 4.99it/s]", "stderr"), printed("5it [00:00, ?it/s]", "stderr")),
    "text in pieces": (printed("first\nsecond\n"), printed(["first\n", "second\n"])),
}


@pytest.mark.parametrize("rule", SAME)
def test_rule_removes(rule: str) -> None:
    """The parts in which two equal runs differ don't count."""
    first, second = SAME[rule]
    assert form(first) == form(second)


OTHER = {
    "text": (printed("1"), printed("2")),
    "what started, and when": (printed("a, started 2013"), printed("a, started 2014")),
    "names of files that are no temporary files'": (printed("/data/tmp00000000"), printed("/data/tmp11111111")),
    "a time that is printed": (printed("at 12:30:00"), printed("at 12:30:01")),
    "a list of times": (printed("[12:30, 14:00]"), printed("[12:30, 15:00]")),
    "what a bar says beside its times": (
        printed("5/5 [00:01<00:00, 4.99it/s, loss=0.25]"),
        printed("5/5 [00:01<00:00, 4.99it/s, loss=0.26]"),
    ),
    "an address without an object": (printed("at 0x7f3a5c0d1e80"), printed("at 0x55d0aa00")),
    "a thread without a thread": (printed("(a, started 20130630)"), printed("(a, started 20130701)")),
    "a number like a process's": (printed("spid=42"), printed("spid=43")),
    "what was wiped": (printed("0.25\rdone\n"), printed("0.26\rdone\n")),
    "what was cleared": (printed("0.25\n\x1b[1A\x1b[2Kdone"), printed("0.26\n\x1b[1A\x1b[2Kdone")),
    "which stream": (printed("a"), printed("a", "stderr")),
    "what is displayed": (displayed(plain="1"), displayed(plain="2")),
    "the order of what is displayed": (displayed(plain="1", html="2"), displayed(plain="2", html="1")),
    "short hex numbers": (printed("0xff"), printed("0xfe")),
    "a hash in hex": (printed("0x1d7a862a"), printed("0x3f36589f")),
    "a name that looks like a styled table's id": (
        displayed(html="<table><th>T_20130101"),
        displayed(html="<table><th>T_10000"),
    ),
    "such a name in a styled table": (
        displayed(html=STYLED.format("0a1b2") + "T_20130101"),
        displayed(html=STYLED.format("0a1b2") + "T_20130102"),
    ),
    "such a name in plain text": (printed("T_20130101"), printed("T_101")),
    "a folder beside the checkout": (printed(f"{HERE}-old/a"), printed(f"{HERE}/a")),
}


@pytest.mark.parametrize("rule", OTHER)
def test_rest_counts(rule: str) -> None:
    """Everything else counts."""
    first, second = OTHER[rule]
    assert form(first) != form(second)


def test_checkout_is_anywhere() -> None:
    """A path in the checkout is the same in every checkout, also that of the checkout itself."""
    content = form(printed(f"{HERE}\n{HERE}/data/a.csv\n'{HERE}'")).decode()
    assert r"<workspace>\n<workspace>/data/a.csv\n'<workspace>'" in content


def test_environment_is_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment, its packages and Python's own modules are the same wherever the environment is."""
    content = set()
    for prefix in ("/opt/samebook", f"{HERE}/.venv", "/home/my own/.venv"):
        monkeypatch.setattr(sys, "prefix", prefix)
        packages = f"{prefix}/lib/python3.13/site-packages/pandas/core.py"
        content.add(form(printed(f"{prefix}/bin/python\n{packages}\n{prefix}/lib/python3.13/json/decoder.py\n")))
    assert len(content) == 1
    assert r"<environment>/bin/python\n<packages>/pandas/core.py\n<python>/json/decoder.py" in content.pop().decode()


def test_checkout_among_temporary_files() -> None:
    """A checkout that is itself in a temporary folder is a checkout."""
    aside = f"{TEMPORARY}/samebook-k3_x9a0b/checkout"
    cell = {**CELL, "outputs": [printed(f"{aside}/data/a.csv")]}
    assert canonical.content(canonical.cells({"cells": [cell]}, aside)) == form(printed(f"{HERE}/data/a.csv"))


def test_attachments_count() -> None:
    """An image that is attached to prose counts by the sha256 of its bytes; a cell without one is as before."""
    first, second = ({"a.png": {"image/png": base64.b64encode(pixels).decode()}} for pixels in (b"1", b"2"))
    assert sha256(b"1") in form(attachments=first).decode()
    assert form(attachments=first) != form(attachments=second)
    assert form(attachments={}) == form()


def test_split_streams_are_one() -> None:
    """The split of printed text into messages, and the order of stdout and stderr, don't count."""
    together = form(printed("a\nb\n"), printed("x\n", "stderr"))
    assert form(printed("a\n"), printed("x\n", "stderr"), printed("b\n")) == together


def test_metadata_is_left_out() -> None:
    """Metadata but for tags, ids and execution counts don't count."""
    timed = {"tags": ["work"], "papermill": {"duration": 1.5}}
    assert form(id="b", execution_count=7, metadata=timed) == form()


def test_tags_and_source_count() -> None:
    """A cell's tags and source count."""
    assert len({form(), form(source="y"), form(metadata={"tags": ["other"]})}) == 3


def test_banner_is_left_out() -> None:
    """papermill's error banner is not a cell."""
    banner = {"cell_type": "markdown", "metadata": {"tags": [canonical.BANNER]}, "source": "An Exception…"}
    assert len(canonical.cells({"cells": [banner, CELL]}, HERE)) == 1


def test_image_counts_by_hash() -> None:
    """An image counts by the sha256 of its bytes, however its base64 is wrapped."""
    pixels = b"\x89PNG" * 40
    lines = base64.encodebytes(pixels).decode()
    output = {"output_type": "display_data", "data": {"image/png": lines}}
    assert sha256(pixels) in form(output).decode()
    assert form(output) == form({**output, "data": {"image/png": lines.replace("\n", "")}})


def test_widget_is_left_out() -> None:
    """A widget's random id doesn't count; the text that stands for it does."""
    data = {"text/plain": "bar", canonical.WIDGET: {"model_id": "f00"}}
    assert form({"output_type": "display_data", "data": data}) == form(displayed(plain="bar"))


def test_error_counts_without_traceback() -> None:
    """A displayed error counts by its name and value."""
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["a"]}
    assert form(error) == form({**error, "traceback": ["b", "c"]})
    assert form(error) != form({**error, "evalue": "yes"})


def test_nested_bars_are_same() -> None:
    """Nested progress bars are the same however often they were drawn."""
    assert form(printed(bars(0.0), "stderr")) == form(printed(bars(0.01), "stderr"))


def bars(seconds: float) -> str:
    stream = io.StringIO()
    for _ in tqdm(range(3), file=stream, desc="days"):
        for _ in tqdm(range(3), file=stream, desc="flights", leave=False, mininterval=0):
            time.sleep(seconds)
    return stream.getvalue()


def test_cell_is_named() -> None:
    """The name of a cell is its first tag that Jupyter does not reserve, else its number."""
    tags = (["work"], [], RAISES, [*RAISES, "shown"])
    assert [canonical.name(cell, number) for number, cell in enumerate(tags, start=1)] == [
        "work",
        "cell-2",
        "cell-3",
        "shown",
    ]


def test_code_is_counted() -> None:
    """Code cells are counted from 1, as in the progress of a run; prose has the number of the code below it."""
    assert canonical.numbers(["markdown", "code", "markdown", "raw", "code"]) == [1, 1, 2, 2, 2]


@pytest.mark.parametrize("value", [[1, 2, 3], ["a", "b"], [], {"a": [1]}, "a", 3, None, True])
def test_json_stays_itself(value: Any) -> None:
    """Displayed JSON is kept as it is, whatever its type."""
    output = {"output_type": "display_data", "metadata": {}, "data": {"application/json": value}}
    (cell,) = json.loads(form(output))
    assert cell["displayed"] == [{"application/json": value}]


@pytest.mark.parametrize("value", ["not base64", "größe", {"a": 1}, 3, ["iVBORw", "0KGgo="]])
def test_odd_picture_has_a_form(value: Any) -> None:
    """A picture that is not one is kept by what it is, and another one differs."""
    data = ({"image/png": picture} for picture in (value, "x"))
    output, other = ({"output_type": "display_data", "metadata": {}, "data": picture} for picture in data)
    assert form(output) != form(other)
