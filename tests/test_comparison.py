"""Verdicts, and what differs, for each kind of subject."""

import datetime
import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from PIL import Image

from samebook import canonical
from samebook.comparison import Comparison, Side, Verdict, compare, difference, overall, table
from samebook.digest import sha256


def compared(name: str, old: bytes | None, new: bytes | None, tolerance: float = 0.0) -> Comparison:
    """The verdict on one subject, given its bytes on both sides; None where a side lacks it."""
    before, after = (side({name: content} if content is not None else {}) for content in (old, new))
    (found,) = compare(before, after, tolerance)
    return found


def side(contents: dict[str, bytes]) -> Side:
    return Side({name: sha256(content) for name, content in contents.items()}, contents.get)


def parquet(**columns: list[Any]) -> bytes:
    return pd.DataFrame(columns).to_parquet()


def notebook(*printed: str) -> bytes:
    cells = [
        {
            "cell_type": "code",
            "metadata": {"tags": [f"step-{number}"]},
            "source": "",
            "outputs": [{"output_type": "stream", "name": "stdout", "text": text}],
        }
        for number, text in enumerate(printed, start=1)
    ]
    return canonical.content(canonical.cells({"cells": cells}, "/workspace"))


def png(*pixels: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.array([pixels], dtype=np.uint8)).save(stream, format="png")
    return stream.getvalue()


def model(label: float) -> bytes:
    import xgboost

    rows = xgboost.DMatrix(np.arange(20.0).reshape(-1, 1), np.arange(20.0) > label)
    return bytes(xgboost.train({"max_depth": 1, "nthread": 1}, rows, num_boost_round=1).save_raw("ubj"))


def test_same_bytes_are_identical() -> None:
    """The same sha256 is IDENTICAL, and nothing needs to be looked into."""
    before = Side({"a.json": "00"}, lambda _: None)
    assert compare(before, before) == [Comparison("a.json", Verdict.IDENTICAL)]


@pytest.mark.parametrize(("old", "new", "where"), [(b"{}", None, "original"), (None, b"{}", "reproduction")])
def test_one_sided_is_missing(old: bytes | None, new: bytes | None, where: str) -> None:
    """A subject that one side lacks is MISSING, and it is told which side has it."""
    assert compared("a.json", old, new) == Comparison("a.json", Verdict.MISSING, f"only in the {where}")


def test_lost_bytes_are_different() -> None:
    """Other hashes without the original's bytes are DIFFERENT, and it is told why no more is known."""
    (found,) = compare(Side({"a": "00"}, lambda _: None), side({"a": b"1"}))
    assert (found.verdict, found.detail) == (Verdict.DIFFERENT, "the original's bytes are not here to look into")


def test_numbers_within_tolerance() -> None:
    """Numbers within the tolerance are EQUIVALENT; beyond it, or with none, DIFFERENT; each with the largest gap."""
    old, new = b'{"auc": 0.81, "n": 5}', b'{"auc": 0.8100001, "n": 5}'
    found = compared("metrics.json", old, new, 1e-6)
    assert found.verdict == Verdict.EQUIVALENT
    assert found.detail == "auc: 0.81 became 0.8100001; largest difference 1e-07, within 1e-06"
    assert compared("metrics.json", old, new, 1e-8).verdict == Verdict.DIFFERENT
    assert compared("metrics.json", old, new).verdict == Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ({"a": "x"}, {"a": "y"}, 'a: "x" became "y"'),
        ({"a": True}, {"a": False}, "a: true became false"),
        ({"a": 1}, {}, "a: 1 became null"),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, "a: [1, 2] became [1, 2, 3]"),
        ({"a": [{"b": 1}]}, {"a": [{"b": "1"}]}, 'a[0].b: 1 became "1"'),
        ({"a": 1, "b": "x"}, {"a": 2, "b": "y"}, "a: 1 became 2, and 1 more"),
        ({"a": 1.0}, {"a": float("nan")}, "a: 1.0 became NaN"),
    ],
)
def test_more_than_numbers(old: Any, new: Any, detail: str) -> None:
    """What is more than a number's difference is DIFFERENT under any tolerance, and named by its place."""
    found = compared("a.json", json.dumps(old).encode(), json.dumps(new).encode(), tolerance=9)
    assert (found.verdict, found.detail) == (Verdict.DIFFERENT, detail)


def test_same_values_are_equivalent() -> None:
    """The same values written differently are EQUIVALENT, not IDENTICAL."""
    assert compared("a.json", b'{"a": 1}', b'{"a":1}').verdict == Verdict.EQUIVALENT


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, "2 rows became 3"),
        ({"a": [1], "b": [2]}, {"a": [1], "c": [2]}, "columns differ: without ['b'], with new ['c']"),
        ({"a": [1], "b": [2]}, {"b": [2], "a": [1]}, "the same columns in another order"),
        ({"a": [1, 2], "b": ["x", "y"]}, {"a": [1, 2], "b": ["x", "z"]}, "b in 1 of 2 rows"),
        ({"a": [1.0, None]}, {"a": [1.0, 2.0]}, "a in 1 of 2 rows"),
        ({"a": [True, False]}, {"a": [True, True]}, "a in 1 of 2 rows"),
        ({"a": [datetime.date(2013, 1, 1)]}, {"a": [datetime.date(2013, 1, 2)]}, "a in 1 of 1 rows"),
    ],
)  # fmt: skip
def test_tables_differ(old: dict[str, list[Any]], new: dict[str, list[Any]], detail: str) -> None:
    """Rows, columns and values that a table has otherwise are counted, column by column."""
    found = compared("a.parquet", parquet(**old), parquet(**new), tolerance=9)
    assert (found.verdict, found.detail) == (Verdict.DIFFERENT, detail)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_table_within_tolerance(kind: str) -> None:
    """Numbers of a table within the tolerance are EQUIVALENT, missing ones on both sides included."""
    old, new = (pd.DataFrame({"a": [1.0, 200.0, None], "b": ["x", "y", "z"]}) for _ in range(2))
    new.loc[1, "a"] = 200.0002
    written = [getattr(frame, f"to_{kind}")(index=False) for frame in (old, new)]
    contents = [each.encode() if isinstance(each, str) else each for each in written]
    found = compared(f"a.{kind}", *contents, tolerance=1e-5)
    assert (found.verdict, found.detail) == (
        Verdict.EQUIVALENT,
        "a in 1 of 3 rows; largest difference 1e-06, within 1e-05",
    )


def test_same_rows_are_equivalent() -> None:
    """The same rows in another compression are EQUIVALENT."""
    frame = pd.DataFrame({"a": [1, 2]})
    found = compared("a.parquet", frame.to_parquet(compression="gzip"), frame.to_parquet())
    assert (found.verdict, found.detail) == (Verdict.EQUIVALENT, "the same rows, written differently, within 0")


def test_first_cell_is_named() -> None:
    """Of a notebook the first cell that differs is named, with the first lines that do."""
    old, new = notebook("same", "a\nb\nc", "x"), notebook("same", "a\nB\nc", "y")
    assert difference("notebook.canonical.json", old, new).detail == (
        'first in cell 2 `step-2`, printed.stdout:\n    original   b\n    reproduced B'
    )  # fmt: skip


def test_long_line_is_cut_to_place() -> None:
    """A long line is cut to where it differs."""
    old, new = notebook("x" * 500 + "a"), notebook("x" * 500 + "b")
    lines = difference("notebook.canonical.json", old, new).detail.splitlines()[1:]
    assert [len(line.split()[1]) <= 162 for line in lines] == [True, True]
    assert [line[-1] for line in lines] == ["a", "b"]


def test_longer_output_is_shown() -> None:
    """Of two outputs of which one goes on, the line that only one has is shown."""
    assert "original   \n    reproduced b" in difference("n.canonical.json", notebook("a"), notebook("a\nb")).detail


def test_more_cells_are_counted() -> None:
    """A notebook with another number of cells is told so."""
    assert difference("notebook.canonical.json", notebook("a"), notebook("a", "b")).detail == "1 and 2 cells"


def test_images_differ_by_pixels() -> None:
    """Of two images the pixels that differ are counted, or the sizes told."""
    assert difference("a.png", png(0, 1, 2), png(0, 1, 3)).detail == "1 of 3 pixels differ"
    assert difference("a.png", png(0, 1), png(0)).detail == "an image of (2, 1) became one of (1, 1) pixels"


def test_near_models_are_equivalent() -> None:
    """Two xgboost models of nearly the same labels are EQUIVALENT within a tolerance, numbers in texts included."""

    def nearly(shift: float) -> bytes:
        inputs = np.random.default_rng(0).normal(size=(100, 3))
        labels = (inputs[:, 0] > 0) + shift
        return bytes(xgboost.train({"max_depth": 2}, xgboost.DMatrix(inputs, labels), 3).save_raw("ubj"))

    found = difference("model.ubj", nearly(0), nearly(1e-6))
    assert found.largest is not None
    assert 0 < found.largest < 1e-4


def test_models_differ_by_place() -> None:
    """Of two xgboost models the first place in their own JSON that differs is told, with both values."""
    found = compared("model.ubj", model(5), model(12))
    assert found.verdict == Verdict.DIFFERENT
    assert found.detail.startswith("learner.gradient_booster.model.trees[0].base_weights[0]: ")


def test_other_bytes_have_place() -> None:
    """Of any other file sizes and the first byte that differs are told."""
    assert difference("a.bin", b"abcd", b"abXde").detail == "4 and 5 bytes, first different at byte 2"
    assert difference("a", b"ab", b"abc").detail == "2 and 3 bytes, first different at byte 2"


@pytest.mark.parametrize("name", ["a.json", "a.parquet", "a.csv", "a.png", "a.ubj", "notebook.canonical.json"])
def test_unreadable_is_different(name: str) -> None:
    """Bytes that are not what their name promises are DIFFERENT under any tolerance, not an error."""
    found = compared(name, b"\x00\x01not", b"\xff\xfenor", tolerance=9)
    assert found.verdict == Verdict.DIFFERENT
    assert found.detail.startswith("not readable as ")


def test_worst_verdict_counts() -> None:
    """The verdict on all subjects is the worst of them."""
    verdicts = [Verdict.IDENTICAL, Verdict.EQUIVALENT, Verdict.DIFFERENT, Verdict.MISSING]
    for number, verdict in enumerate(verdicts, start=1):
        assert overall([Comparison(each, each) for each in verdicts[:number]]) == verdict
    assert overall([]) == Verdict.IDENTICAL


def test_table_has_line_each() -> None:
    """The table has a line a subject, with what differs below it."""
    found = [Comparison("a.json", Verdict.IDENTICAL), Comparison("metrics.json", Verdict.DIFFERENT, "n: 1 became 2")]
    assert table(found) == (
        "subject       verdict\na.json        IDENTICAL\nmetrics.json  DIFFERENT\n  n: 1 became 2"
    )  # fmt: skip
