"""Pieces of files: with none chosen a file is as before, with all of them as after, and any mixture is whole."""

import itertools
import json
from typing import Any

import pytest

from samebook.bisection.pieces import FileChange, mixed_lock


def notebook(*cells: tuple[str, str, str], kernel: str = "python3") -> bytes:
    """A notebook of cells: id, tag, source."""
    content: list[dict[str, Any]] = [
        {"id": key, "cell_type": "code", "metadata": {"tags": [tag]}, "source": source, "outputs": []}
        for key, tag, source in cells
    ]
    metadata = {"kernelspec": {"name": kernel}}
    return json.dumps({"cells": content, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}).encode()


BEFORE = notebook(("1", "parameters", "n = 1"), ("2", "read", "a"), ("3", "old", "b"), ("4", "end", "c"))
AFTER = notebook(("1", "parameters", "n = 2"), ("2", "read", "a"), ("5", "new", "d"), ("4", "end", "c\nd"), kernel="x")


def test_cells() -> None:
    """Each cell that differs is a piece with its name, and so is what stands beside the cells."""
    change = FileChange.of("notebooks/sum.ipynb", BEFORE, AFTER)
    assert list(change.names().values()) == [
        *("metadata", "cell 1 `parameters`", "cell 3 `old`, removed", "cell 3 `new`, added", "cell 4 `end`"),
    ]
    numbers = list(change.names())
    assert change.mixed([]) == BEFORE
    assert change.mixed(numbers) == AFTER
    for size in range(1, len(numbers)):
        for chosen in itertools.combinations(numbers, size):
            mixed = json.loads(change.mixed(chosen) or b"")
            assert mixed["nbformat"] == 4
            assert (mixed["cells"][0]["source"] == "n = 2") == (numbers[1] in chosen)
    added = json.loads(change.mixed(numbers[3:4]) or b"")
    assert [cell["source"] for cell in added["cells"]] == ["n = 1", "a", "b", "d", "c"]


def test_outputs_are_no_change() -> None:
    """Cells that differ by outputs and execution numbers alone are the same."""
    ran = json.loads(BEFORE)
    ran["cells"][1] |= {"outputs": [{"output_type": "stream", "name": "stdout", "text": "1"}], "execution_count": 3}
    assert FileChange.of("a.ipynb", BEFORE, json.dumps(ran).encode()).names() == {0: ""}


def test_lines() -> None:
    """Stretches of lines are pieces, also where the last line has no end."""
    change = FileChange.of("a.py", b"one\ntwo\nthree\nfour", b"one\n2\nthree\n4\n5")
    assert list(change.names().values()) == ["line 2", "lines 4-5"]
    second = list(change.names())[1]
    assert change.mixed([second]) == b"one\ntwo\nthree\n4\n5"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.bin", b"\xff\x00", b"\xff\x01"),
        ("new.py", None, b"x"),
        ("gone.py", b"x", None),
        ("broken.ipynb", b"{}", b"[]"),
        ("cells.ipynb", b'{"cells": 3}', b'{"cells": null}'),
    ],
)
def test_whole_files(path: str, before: bytes | None, after: bytes | None) -> None:
    """A file that is no text, came or went changes as a whole."""
    change = FileChange.of(path, before, after)
    assert (change.names(), change.mixed([]), change.mixed([0])) == ({0: ""}, before, after)


def test_locks() -> None:
    """A package goes into a lock with its hashes, for each platform; one that is gone leaves it."""
    before = "# made by uv\na==1 \\\n    --hash=sha256:aa\n    # via b\nb==1 ; python_version < '3.13'\nb==2\n"
    after = "a==2 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\nc==1\n"
    assert mixed_lock(before, after, {"a"}) == (
        "a==2 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\nb==1 ; python_version < '3.13'\nb==2\n"
    )
    assert mixed_lock(before, after, {"b", "c"}) == "a==1 \\\n    --hash=sha256:aa\nc==1\n"
