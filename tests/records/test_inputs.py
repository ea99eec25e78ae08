"""The labels of inputs: a text has one kind, and is written as it was read."""

import datetime

import pytest

from samebook.records import inputs
from samebook.records.inputs import Kind, Label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("rows/day=2013-07-01", Label(Kind.DAY, "rows", "2013-07-01")),
        ("bundle churn@prod", Label(Kind.BUNDLE, "churn@prod")),
        ("settings drift", Label(Kind.SETTINGS, "drift")),
        ("train/model.ubj", Label(Kind.FILE, "train/model.ubj")),
        ("rows/day=2013-99-01", Label(Kind.FILE, "rows/day=2013-99-01")),
        ("a/rows/day=2013-07-01", Label(Kind.FILE, "a/rows/day=2013-07-01")),
        ("rows/day=2013-07-01\n", Label(Kind.FILE, "rows/day=2013-07-01\n")),
    ],
)
def test_label(text: str, label: Label) -> None:
    """A label is parsed into its kind, its name and its day, and written as it was read."""
    assert Label.parse(text) == label
    assert str(label) == text


def test_labels_are_written() -> None:
    """The label of a day, a bundle and a group of settings is what a receipt has."""
    assert inputs.day("rows", datetime.date(2013, 7, 1)) == "rows/day=2013-07-01"
    assert inputs.bundle("churn") == "bundle churn"
    assert inputs.settings("drift") == "settings drift"


def test_day_that_was_written() -> None:
    """Only an output that is a partition has a day."""
    assert inputs.day_written("outputs/rows/day=2013-07-01/part-0.parquet") == "2013-07-01"
    assert inputs.day_written("outputs/model.ubj") == ""
