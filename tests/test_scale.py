"""The harness of `make bench-scale`: its arithmetic, its table, its data."""

import argparse
import datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from benchmarks import scale, scale_data, scale_picture
from benchmarks.places import Place
from benchmarks.trials import Measurement


def test_slope_is_the_exponent() -> None:
    """A slope is the exponent of growth; one size has none."""
    assert scale.slope({10: 5.0, 100: 50.0, 1000: 500.0}) == pytest.approx(1)
    assert scale.slope({10: 1.0, 1000: 10_000.0}) == pytest.approx(2)
    assert scale.slope({10: 3.0, 100: 3.0}) == pytest.approx(0)
    assert scale.slope({10: 3.0}) is None


def test_table_names_the_superlinear() -> None:
    """The table has seconds and memory at each size, a dash for a missing one, and marks what outgrows rows."""
    figures = {
        "even": {10: Measurement(1, 1, 100), 100: Measurement(1, 10, 100)},
        "square": {10: Measurement(1, 1, 100), 100: Measurement(1, 100, 100)},
        "short": {10: Measurement(1, 1, 100)},
    }
    lines = {line.split()[0]: line for line in scale.table("rows", figures)}
    assert "10.0 s 100 MiB" in lines["even"]
    assert "1.00  0.00" in lines["even"]
    assert [name for name, line in lines.items() if "superlinear" in line] == ["square"]
    assert "-  -" in lines["short"]


def test_no_figures_are_no_table() -> None:
    """Without figures there is no table."""
    assert not list(scale.table("runs", {}))


@pytest.mark.parametrize(("text", "sizes"), [("100,10", [10, 100]), ("1_000", [1000]), ("0", []), ("", [])])
def test_sizes_are_sorted(text: str, sizes: list[int]) -> None:
    """Sizes are whole numbers, in their order; 0 leaves a part out."""
    assert scale.counts(text) == sizes


@pytest.mark.parametrize("text", ["a", "-1", "1.5"])
def test_bad_sizes_are_refused(text: str) -> None:
    """Anything but whole numbers is refused."""
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number"):
        scale.counts(text)


def test_picture_is_drawn(tmp_path: Path) -> None:
    """The picture has a row of panels for each unit with figures."""
    scale_picture.draw({"rows": {"train": {10: Measurement(1, 1, 100)}}, "runs": {}}, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    scale_picture.draw({"rows": {}, "runs": {}}, tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


def test_flights_of_years(tmp_path: Path) -> None:
    """The warehouse has at least the rows asked for, each day of them, with weather and with planes of the same age."""
    workspace, last = scale_data.flights(tmp_path / "workspace", 1_100_000)
    assert last == scale_data.FIRST + datetime.timedelta(days=4 * 365 - 1)
    with duckdb.connect(str(workspace.root / "data" / "warehouse.duckdb"), read_only=True) as connection:
        ((days, ends),) = connection.execute(
            "SELECT count(DISTINCT make_date(year, month, day)), max(make_date(year, month, day)) FROM flights"
        ).fetchall()
        by_copy = connection.execute(
            "SELECT split_part(f.tailnum, '-', 2) AS copy, count(*), count(DISTINCT f.tailnum), count(w.temp), "
            "round(avg(f.year - p.year), 1) FROM flights f LEFT JOIN planes p USING (tailnum) "
            "LEFT JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour "
            "WHERE f.tailnum IS NOT NULL GROUP BY copy ORDER BY copy"
        ).fetchall()
    assert (days, ends) == (4 * 365, last)
    assert [row[0] for row in by_copy] == ["", "1", "2", "3"]
    assert len({row[1:] for row in by_copy}) == 1


def test_years_are_repeated(tmp_path: Path) -> None:
    """Days of an ingested year are those of the following ones, with ids and departures of their own; a 29 February is
    there, without rows.
    """
    for name, extra in {
        "flights": {"departure": [pd.Timestamp(2013, 2, 28, 9)]},
        "outcomes": {"late": [True]},
    }.items():
        path = tmp_path / name / "day=2013-02-28" / "part-0.parquet"
        path.parent.mkdir(parents=True)
        pd.DataFrame({"id": ["2013-02-28-UA-1-EWR-IAH-0515"], **extra}).to_parquet(path)
        scale_data.repeat(tmp_path, name, 4)
        days = sorted(path.name for path in (tmp_path / name).iterdir())
        assert days == [*(f"day={year}-02-28" for year in (2013, 2014, 2015, 2016)), "day=2016-02-29"]
        rows = [pd.read_parquet(path, partitioning=None) for path in sorted((tmp_path / name).glob("*/part-0.parquet"))]
        assert [len(frame) for frame in rows] == [1, 1, 1, 1, 0]
        assert list(rows[3]) == ["id", *extra]
        assert rows[3]["id"][0] == "2016-02-28-UA-1-EWR-IAH-0515"
        assert name != "flights" or rows[3]["departure"][0] == pd.Timestamp(2016, 2, 28, 9)


def test_rows_are_repeated(tmp_path: Path) -> None:
    """A year that is repeated with more rows has them in one file a day, under ids that its schema allows."""
    ids = [f"2013-03-01-UA-{number}-EWR-IAH-2359" for number in range(1, 6)]
    path = tmp_path / "outcomes" / "day=2013-03-01" / "part-0.parquet"
    path.parent.mkdir(parents=True)
    pd.DataFrame({"id": ids, "late": True}).to_parquet(path)
    scale_data.repeat(tmp_path, "outcomes", 2, scale_data.MOST)
    (later,) = tmp_path.glob("outcomes/day=2014-*/*.parquet")
    repeated = pd.read_parquet(later, partitioning=None)["id"]
    assert repeated.is_unique
    assert set(repeated.str[:-5]) == {each.replace("2013", "2014")[:-5] for each in ids}
    assert set(repeated.str[-4:]) == {"2359", "4759", "7159", "9559"}


def test_runs_are_listed(tmp_path: Path) -> None:
    """Made-up runs are finished runs under ids of their own, whose files verify."""
    workspace = scale_data.runs(Place(tmp_path), 5)
    assert len({run.name for run in workspace.runs}) == 5
    for command in (("verify", workspace.runs[0].name), ("store", "verify")):
        done = workspace.samebook(*command)
        assert done.code == 0, done.stdout + done.stderr
