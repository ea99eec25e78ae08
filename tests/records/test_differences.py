"""Differences, for each kind of content."""

import datetime
import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from PIL import Image

from samebook.records import canonical
from samebook.records.differences import CellDifference, Difference, difference, first_cell


def parquet(**columns: Any) -> bytes:
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
    rows = xgboost.DMatrix(np.arange(20.0).reshape(-1, 1), np.arange(20.0) > label)
    return bytes(xgboost.train({"max_depth": 1, "nthread": 1}, rows, num_boost_round=1).save_raw("ubj"))


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ({"a": "x"}, {"a": "y"}, 'a: "x" became "y"'),
        ({"a": True}, {"a": False}, "a: true became false"),
        ({"a": 1}, {}, "a: 1 became nothing"),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, "a: [1, 2] became [1, 2, 3]"),
        ({"a": [{"b": 1}]}, {"a": [{"b": "1"}]}, 'a[0].b: 1 became "1"'),
        ({"a": 1, "b": "x"}, {"a": 2, "b": "y"}, "a: 1 became 2, and 1 more"),
        ({"a": 1.0}, {"a": float("nan")}, "a: 1.0 became NaN"),
        ({"a": None}, {}, "a: null became nothing"),
        ({"a": True, "n": float("nan")}, {"a": 1, "n": float("nan")}, "a: true became 1"),
    ],
)
def test_more_than_numbers(old: Any, new: Any, detail: str) -> None:
    """What is more than a number's difference has no size, and is named by its place."""
    assert difference("a.json", json.dumps(old).encode(), json.dumps(new).encode()) == Difference(detail)


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, "2 rows became 3"),
        ({"a": [1], "b": [2]}, {"a": [1], "c": [2]}, "columns differ: without ['b int64'], with new ['c int64']"),
        ({"a": [1], "b": [2]}, {"b": [2], "a": [1]}, "the same columns in another order"),
        ({"a": [1]}, {"a": [1.0]}, "columns differ: without ['a int64'], with new ['a double']"),
        ({"a": [1, 2], "b": ["x", "y"]}, {"a": [1, 2], "b": ["x", "z"]}, "b in 1 of 2 rows"),
        ({"a": [1.0, None]}, {"a": [1.0, 2.0]}, "a in 1 of 2 rows"),
        ({"a": [True, False]}, {"a": [True, True]}, "a in 1 of 2 rows"),
        ({"a": [datetime.date(2013, 1, 1)]}, {"a": [datetime.date(2013, 1, 2)]}, "a in 1 of 1 rows"),
    ],
)  # fmt: skip
def test_tables_differ(old: dict[str, list[Any]], new: dict[str, list[Any]], detail: str) -> None:
    """Rows, columns, types and values that a table has otherwise are counted, column by column."""
    assert difference("a.parquet", parquet(**old), parquet(**new)) == Difference(detail)


@pytest.mark.parametrize("gap", [[], [None]])
def test_integers_are_exact(gap: list[None]) -> None:
    """Integers that are one float differ, in a column with gaps as well."""
    old, new = (parquet(a=pd.array([2**53 + more, *gap], dtype="Int64")) for more in (0, 1))
    assert difference("a.parquet", old, new).detail == f"a in 1 of {1 + len(gap)} rows; largest difference 1.11e-16"


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ("id,code\n007,\n", "id,code\n7,NA\n", "id in 1 of 1 rows, code in 1 of 1 rows"),
        ("id\n7\nA7\n", "id\n8\nA7\n", "id in 1 of 2 rows"),
        ("a\n1\n", "a\n1,2\n", "not readable as .csv: expected a header and rows of its length, found [1, 2] fields"),
        ("a\n1\n", "", "not readable as .csv: expected a header and rows of its length, found nothing fields"),
    ],
)
def test_codes_are_texts(old: str, new: str, detail: str) -> None:
    """A CSV column with anything but numbers and blanks is compared as it is written, and no field is left out."""
    assert difference("a.csv", old.encode(), new.encode()) == Difference(detail)


def test_doubled_name_is_refused() -> None:
    """A JSON object with a name twice is not read as its last."""
    result = difference("a.json", b'{"a": 1, "a": 2}', b'{"a": 2}')
    assert result == Difference("not readable as .json: expected each name once, found ['a', 'a']")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_table_numbers_have_size(kind: str) -> None:
    """The difference of tables has the largest difference of numbers, missing ones on both sides left out."""
    old, new = (pd.DataFrame({"a": [1.0, 200.0, None], "b": ["x", "y", "z"]}) for _ in range(2))
    new.loc[1, "a"] = 200.0002
    written = [getattr(frame, f"to_{kind}")(index=False) for frame in (old, new)]
    contents = [text.encode() if isinstance(text, str) else text for text in written]
    result = difference(f"a.{kind}", *contents)
    assert result.detail == "a in 1 of 3 rows; largest difference 1e-06"
    assert result.largest == pytest.approx(1e-6, rel=1e-3)


def test_single_precision_has_its_own_units() -> None:
    """A column of single precision whose values are neighbours differs by one unit in the last place."""
    first = np.array([0.1], dtype=np.float32)
    result = difference("a.parquet", parquet(a=first), parquet(a=np.nextafter(first, np.float32(1))))
    assert result.ulps == 1


def test_same_rows_are_told() -> None:
    """The same rows in another compression have nothing that differs."""
    frame = pd.DataFrame({"a": [1, 2]})
    result = difference("a.parquet", frame.to_parquet(compression="gzip"), frame.to_parquet())
    assert result == Difference("the same rows, written differently", 0.0)


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


@pytest.mark.parametrize(("text", "shown"), [("a", '"a"'), ("a\nb", '"b"'), ("x" * 500, f'"{"x" * 80}"')])
def test_last_newline_is_shown(text: str, shown: str) -> None:
    """Texts that differ by newlines at the end alone are shown as JSON, which shows them."""
    result = difference("n.canonical.json", notebook(text), notebook(f"{text}\n")).detail
    assert result.endswith(f':\n    original   {shown}\n    reproduced {shown[:-1]}\\n"')


def test_truth_value_in_cell_is_named() -> None:
    """A cell in which only true became 1 is found, and so is its displayed data."""
    old, new = (
        [{"type": "code", "tags": ["t"], "displayed": [{"application/json": value}]}]
        for value in ({"a": True}, {"a": 1, "b": 2})
    )
    result = first_cell(json.dumps(old).encode(), json.dumps(new).encode())
    assert result == CellDifference(1, "t", "displayed[0].application/json.a", "true", "1")


def test_more_cells_are_counted() -> None:
    """The difference of notebooks names another number of cells."""
    assert difference("notebook.canonical.json", notebook("a"), notebook("a", "b")).detail == "1 and 2 cells"


def test_images_differ_by_pixels() -> None:
    """The difference of images counts the pixels that differ, or names the sizes."""
    assert difference("a.png", png(0, 1, 2), png(0, 1, 3)).detail == "1 of 3 pixels differ"
    assert difference("a.png", png(0, 1), png(0)).detail == "an image of (2, 1) became one of (1, 1) pixels"


def test_near_models_are_equivalent() -> None:
    """Two xgboost models of nearly the same labels are EQUIVALENT within a tolerance, numbers in texts included."""

    def nearly(shift: float) -> bytes:
        inputs = np.random.default_rng(0).normal(size=(100, 3))
        labels = (inputs[:, 0] > 0) + shift
        return bytes(xgboost.train({"max_depth": 2}, xgboost.DMatrix(inputs, labels), 3).save_raw("ubj"))

    result = difference("model.ubj", nearly(0), nearly(1e-6))
    assert result.largest is not None
    assert result.ulps == 0  # not of the decimals of another precision
    assert 0 < result.largest < 1e-4


def test_models_differ_by_place() -> None:
    """Of two xgboost models the first place in their own JSON that differs is told, with both values."""
    assert difference("model.ubj", model(5), model(12)).detail.startswith(
        "learner.gradient_booster.model.trees[0].base_weights[0]: "
    )


def test_other_bytes_have_place() -> None:
    """The difference of other files names sizes and the first byte that differs."""
    assert difference("a.bin", b"abcd", b"abXde").detail == "4 and 5 bytes, first different at byte 2"
    assert difference("a", b"ab", b"abc").detail == "2 and 3 bytes, first different at byte 2"


@pytest.mark.parametrize("name", ["a.json", "a.parquet", "a.csv", "a.png", "a.ubj", "notebook.canonical.json"])
def test_unreadable_is_different(name: str) -> None:
    """Bytes that are not what their name promises have no size of difference, and are no error."""
    result = difference(name, b"\x00\x01not", b"\xff\xfenor")
    assert result.largest is None
    assert result.detail.startswith("not readable as ")


def test_deep_json_is_unreadable() -> None:
    """JSON that is nested too deep for Python is not readable, without an error."""
    result = difference("a.json", b"[" * 100_000 + b"]" * 100_000, b"1")
    assert result.largest is None
    assert result.detail.startswith("not readable as .json: ")
