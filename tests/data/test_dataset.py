"""Partitions: equal rows give equal bytes, and only finished runs publish."""

import datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandera.errors import SchemaErrors
from pandera.pandas import Check, Column, DataFrameSchema
from tiny import Tiny

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.data import dataset

DAYS = [datetime.date(2013, 1, day) for day in (1, 2, 4, 5, 7)]


def test_equal_frames_equal_bytes(tmp_path: Path) -> None:
    """Equal frames give equal bytes, whatever index and attributes they carry."""
    frame = pd.DataFrame({"carrier": pd.Categorical(["UA", None, "B6"]), "delay": [1.5, None, -2.0], "n": [1, 2, 3]})
    other = frame.copy().set_index(pd.Index([7, 8, 9], name="row"))
    other.attrs["made"] = "elsewhere"
    dataset.write(frame, tmp_path / "a.parquet")
    dataset.write(other, tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert pq.read_schema(tmp_path / "a.parquet").metadata is None


def test_order_counts(tmp_path: Path) -> None:
    """Rows in another order are other bytes: a query without a total order shows."""
    frame = pd.DataFrame({"n": [1, 2, 3]})
    dataset.write(frame, tmp_path / "a.parquet")
    dataset.write(frame[::-1], tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() != (tmp_path / "b.parquet").read_bytes()


def test_frames_keep_order(tmp_path: Path) -> None:
    """Partitions are read in the order given, with their rows as they were written."""
    dataset.write(pd.DataFrame({"n": [3, 1]}), tmp_path / "a.parquet")
    dataset.write(pd.DataFrame({"n": [2.5]}), tmp_path / "b.parquet")
    parts = [(name, (tmp_path / name).read_bytes()) for name in ("b.parquet", "a.parquet")]
    assert dataset.frame(parts)["n"].tolist() == [2.5, 3, 1]


def test_days_as_ranges() -> None:
    """Days are grouped into ranges without a gap, so that each range is one run."""
    first, second, third = dataset.ranges(DAYS)
    assert (first, second, third) == ((DAYS[0], DAYS[1]), (DAYS[2], DAYS[3]), (DAYS[4], DAYS[4]))
    assert list(dataset.ranges([])) == []


def test_partition_path_is_plain() -> None:
    """A partition's path is one that other tools read as well."""
    assert str(dataset.partition("flights", DAYS[0])) == "flights/day=2013-01-01/part-0.parquet"
    with pytest.raises(UsageError):
        dataset.partition("a/b", DAYS[0])


def test_failed_run_publishes_nothing(tiny: Tiny) -> None:
    """A run that fails after writing a partition publishes none; one that is finished says where its data is from."""
    write = "import datetime, pandas as pd, samebook\nday = datetime.date(2013, 1, 1)\n"
    write += "samebook.write_partition('flights', day, pd.DataFrame({'n': [1]}))"
    tiny.notebook("fails", work=write, checks="assert False")
    tiny.notebook("ingest", work=write)
    assert tiny.samebook("run", "fails").code == 1
    assert not (tiny.root / "data").exists()
    assert tiny.samebook("run", "ingest").code == 0
    (published,) = (tiny.root / "data").rglob("*.parquet")
    made = tiny.last / "outputs" / "flights" / "day=2013-01-01" / "part-0.parquet"
    assert published.read_bytes() == made.read_bytes()
    digest = dataset.sha256(published)
    assert dataset.producer(Workspace(tiny.root), "flights", DAYS[0], digest) == tiny.last.name
    assert dataset.producer(Workspace(tiny.root), "flights", DAYS[0], "another") == ""


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        ({"yes": [1]}, "  column yes: dtype('bool'); found int64"),
        ({"yes": [True], "more": [1]}, "  column more: column_in_schema"),
        ({"no": [1]}, "  column yes: column_in_dataframe"),
        ({"yes": [True, False], "n": [1, -1]}, "  column n: greater_than(0) fails in 1 row (row 1: -1)"),
        ({"yes": [True], "n": ["a"]}, "  column n: dtype('int64') fails in 1 row (row 0: 'a')"),
    ],
)
def test_rejection_names_the_column(frame: dict[str, list[object]], line: str) -> None:
    """A report of a broken schema names the column, what it was checked for, and the type or the values found."""
    schema = DataFrameSchema({"yes": Column(bool), "n": Column(int, Check.gt(0), required=False)}, strict=True)
    with pytest.raises(SchemaErrors) as broken:
        schema.validate(pd.DataFrame(frame), lazy=True)
    assert line in dataset.rejection(broken.value, "rows").splitlines()
