"""The days of datasets of two receipts in one form."""

from pathlib import Path

from test_data_manifest import DAYS, NAME, SECOND, before, list_file, three_days, written

from samebook.records import data_manifest, receipt
from samebook.reproduction import datasets, definition
from samebook.store.objects import Store


def test_different_size_is_named(tmp_path: Path) -> None:
    """Two receipts that name the same days together differ in the number of bytes that they say."""
    store = Store(tmp_path / "store")
    first, second = (written(store, three_days(size=size)) for size in (30, 31))
    (divergence,) = definition.divergences(*datasets.alike(store, first, store, second))
    assert (divergence.original, divergence.reproduced, divergence.is_essential) == ("30", "31", True)
    assert divergence.name == f"size of {NAME}.annotations.bytes"
    forms = datasets.alike(store, first, store, before())
    assert not any(NAME in divergence.name for divergence in definition.divergences(*forms))


def test_different_day_is_named(tmp_path: Path) -> None:
    """Two receipts with lists differ in the day that differs; where a list is lost, in the lists."""
    store, other_store = Store(tmp_path / "store"), Store(tmp_path / "other")
    first, second = written(store, three_days()), written(other_store, three_days(days=DAYS | {SECOND: "9" * 64}))
    inputs = [receipt.inputs(one) for one in datasets.alike(store, first, other_store, second)]
    assert set(inputs[0].items()) ^ set(inputs[1].items()) == {
        (f"rows/day={SECOND}", "2" * 64),
        (f"rows/day={SECOND}", "9" * 64),
    }
    list_file(store, first).unlink()
    inputs = [receipt.inputs(one) for one in datasets.alike(store, first, other_store, second)]
    assert [list(one) for one in inputs] == [[NAME], [NAME]]
    assert inputs[0] != inputs[1]
    same = datasets.alike(store, first, store, before())
    assert receipt.inputs(same[1]) == data_manifest.compacted(receipt.inputs(before()))
