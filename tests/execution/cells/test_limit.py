"""The limit of a cell's output: the same is left out however a kernel has split the output into messages."""

import random
from collections.abc import Iterable
from typing import Any

import pytest

from samebook.execution.cells.limit import CUT, LONGEST_ERROR, Limit

pytestmark = pytest.mark.fast

TEXT = "".join(chr(code) for code in (*range(32, 127), 0xE9, 0x20AC, 0x1F600)) * 3 + "\n"


def printed(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"msg_type": "stream", "content": {"name": name, "text": text}}


def displayed(size: int, display: str | None = None, kind: str = "display_data") -> dict[str, Any]:
    transient = {"display_id": display} if display else {}
    return {"msg_type": kind, "content": {"data": {"text/plain": "x" * size}, "transient": transient}}


def kept(limit: Limit, messages: Iterable[dict[str, Any]]) -> str:
    return "".join(message["content"]["text"] for message in messages if limit.admits(message))


def parts(text: str, seed: int) -> list[str]:
    generator = random.Random(seed)
    ends = sorted(generator.choices(range(len(text) + 1), k=generator.randrange(12)))
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


@pytest.mark.parametrize("most", [1, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, len(TEXT.encode()) - 1])
def test_cut_is_that_of_whole_text(most: int) -> None:
    """What is kept of a text, and the bytes that are left out, do not depend on its parts; no character is cut."""
    whole = Limit(most)
    expected = kept(whole, [printed(TEXT)])
    assert expected.removesuffix(CUT).encode() == TEXT.encode()[:most].decode(errors="ignore").encode()
    assert whole.left_out == {"stdout": len(TEXT.encode()) - most}
    for seed in range(50):
        limit = Limit(most)
        assert kept(limit, map(printed, parts(TEXT, seed))) == expected
        assert limit.left_out == whole.left_out


def test_text_within_limit_stays() -> None:
    """A text of just as many bytes as there may be stays whole, and stderr has room of its own."""
    limit = Limit(len(TEXT.encode()))
    assert kept(limit, [printed(TEXT), printed(TEXT, "stderr")]) == TEXT + TEXT
    assert list(limit.notices("dev.yml", is_whole=True)) == []


def test_displays_end_with_first_without_room() -> None:
    """After the first display for which there is no room none is kept, be it small; the text has room of its own."""
    limit = Limit(100)
    assert [limit.admits(displayed(size)) for size in (60, 41, 1)] == [True, False, False]
    assert limit.left_out == {"displays": 42}
    assert limit.admits(printed("x" * 100))
    (notice,) = limit.notices("environments/dev.yml", is_whole=True)
    assert notice.data["text/plain"].startswith("42 bytes more of displays are left out: output_limit in environments/")


def test_update_takes_place_of_display() -> None:
    """A display that is updated without end has the size of its last form."""
    limit = Limit(100)
    assert limit.admits(displayed(90, "a"))
    assert all(limit.admits(displayed(80 + number % 20, "a", "update_display_data")) for number in range(1000))
    assert not limit.admits(displayed(101, "a", "update_display_data"))


def test_cleared_output_counts_no_more() -> None:
    """A cell that clears its output, as a live picture does, begins anew."""
    limit = Limit(100)
    for _ in range(5):
        assert limit.admits(displayed(90))
        assert limit.admits({"msg_type": "clear_output", "content": {"wait": True}})
    assert limit.left_out == {}


def test_error_is_shortened() -> None:
    """The message and the traceback of an error keep a megabyte each."""
    content = {"ename": "E", "evalue": "v" * 3 * LONGEST_ERROR, "traceback": ["t" * LONGEST_ERROR] * 3}
    assert Limit(10 * LONGEST_ERROR).admits({"msg_type": "error", "content": content})
    assert len(content["evalue"]) == len("".join(content["traceback"])) == LONGEST_ERROR + len(CUT)


def test_count_of_kernel_is_added() -> None:
    """What a kernel has not sent counts as left out; a cell that has not ended says `at least`."""
    limit = Limit(10)
    assert kept(limit, [printed("x" * 11)]) == "x" * 10 + CUT
    assert not limit.admits({"msg_type": "stream", "content": {"name": "stdout", "text": "", "left_out": 89}})
    assert [notice.text.partition(" bytes")[0] for notice in limit.notices("", is_whole=False)] == ["at least 90"]
