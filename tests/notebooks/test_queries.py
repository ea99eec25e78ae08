"""The queries: which rows, what they may know, and that every warehouse gives the same."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from pandera.pandas import DataFrameSchema
from tiny import Tiny

import flights
from samebook.core.workspace import Workspace
from samebook.data import warehouse as warehouses
from samebook.environment.sections import Warehouse
from samebook.records import receipt

type Ask = Callable[..., pd.DataFrame]

DAY = date(2013, 6, 15)
EVE = DAY - timedelta(days=1)
NOTHING_HAPPENED = "dep_time = NULL, dep_delay = NULL, arr_time = NULL, arr_delay = NULL, air_time = NULL"
ALL_LATE = "dep_time = 2359, dep_delay = 500, arr_time = 2359, arr_delay = 500, air_time = 1"


def test_ids_of_the_year(ask: Ask) -> None:
    """Each of the year's 336,776 flights has an id of its own, the same one in both datasets."""
    year = (date(2013, 1, 1), date(2013, 12, 31))
    scheduled, ended = ask("flights", *year), ask("outcomes", *year)
    assert len(scheduled) == 336_776
    assert scheduled["id"].is_unique
    assert scheduled["id"].equals(ended["id"])


@pytest.mark.parametrize("schema", [flights.FLIGHTS, flights.OUTCOMES], ids=lambda schema: schema.name)
def test_day_in_range(ask: Ask, schema: DataFrameSchema) -> None:
    """A day has the same rows, of the same types, whether it is asked for alone or in a range."""
    alone = schema.validate(ask(schema.name, DAY))
    in_range = schema.validate(ask(schema.name, DAY - timedelta(days=3), DAY + timedelta(days=3)))
    assert_frame_equal(alone, flights.of_day(in_range, DAY))


@pytest.mark.parametrize("name", ["flights", "outcomes"])
def test_one_thread(ask: Ask, warehouse: duckdb.DuckDBPyConnection, name: str) -> None:
    """The number of threads changes no value and no order."""
    many = ask(name, DAY)
    warehouse.execute("SET threads = 1")
    assert_frame_equal(ask(name, DAY), many)


@pytest.mark.parametrize("happened", [NOTHING_HAPPENED, ALL_LATE])
def test_no_leak(ask: Ask, warehouse: duckdb.DuckDBPyConnection, happened: str) -> None:
    """What happens on a day or after it changes nothing of what is known before it."""
    before = ask("flights", DAY)
    warehouse.execute(f"UPDATE flights SET {happened} WHERE make_date(year, month, day) >= ?", [DAY])
    assert_frame_equal(ask("flights", DAY), before)


def test_history_learns(ask: Ask, warehouse: duckdb.DuckDBPyConnection) -> None:
    """What happened the day before changes the history features, all of them, and nothing else."""
    before = ask("flights", DAY)
    warehouse.execute(f"UPDATE flights SET {ALL_LATE} WHERE make_date(year, month, day) = ?", [EVE])
    after = ask("flights", DAY)
    assert set(before.columns[_differ(before, after)]) == {*flights.HISTORY, "flight_delay_28d"}
    assert (after["origin_late_1d"] == 1).all()


def test_history_ends(ask: Ask, warehouse: duckdb.DuckDBPyConnection) -> None:
    """History looks back 28 days and no further."""
    before = ask("flights", DAY)
    changed = f"UPDATE flights SET {ALL_LATE} WHERE make_date(year, month, day)"
    warehouse.execute(f"{changed} < ?", [DAY - timedelta(days=28)])
    assert_frame_equal(ask("flights", DAY), before)
    warehouse.execute(f"{changed} = ?", [DAY - timedelta(days=28)])
    assert not ask("flights", DAY).equals(before)


def test_carrier_share(ask: Ask, warehouse: duckdb.DuckDBPyConnection) -> None:
    """A carrier's share is its late flights over those that arrived, in the 28 days before."""
    late, arrived = warehouse.execute(
        "SELECT COUNT(*) FILTER (arr_delay >= 15), COUNT(arr_delay) FROM flights"
        " WHERE carrier = 'UA' AND make_date(year, month, day) BETWEEN ? AND ?",
        [DAY - timedelta(days=28), EVE],
    ).fetchall()[0]
    found = ask("flights", DAY).query("carrier == 'UA'")["carrier_late_28d"]
    assert found.tolist() == pytest.approx([late / arrived] * len(found), abs=0, rel=1e-15)


def test_weather_of_the_hour(ask: Ask, warehouse: duckdb.DuckDBPyConnection) -> None:
    """The weather is that of the flight's airport at its scheduled local hour, summer time included."""
    flight = ask("flights", DAY).iloc[200]
    measured = warehouse.execute(
        "SELECT temp FROM weather WHERE origin = ? AND make_date(year, month, day) = ? AND hour = ?",
        [flight["origin"], DAY, flight["departure"].hour],
    ).fetchall()
    assert measured == [(flight["temp"],)]


def test_late_from_15_minutes(ask: Ask) -> None:
    """A flight is late from 15 minutes on; without an arrival it is neither late nor on time."""
    ended = ask("outcomes", DAY)
    assert ended["late"].isna().equals(ended["arr_delay"].isna())
    assert ended.loc[ended["arr_delay"] == 15, "late"].all()
    assert not ended.loc[ended["arr_delay"] == 14, "late"].any()


@pytest.mark.host
@pytest.mark.parametrize("name", ["flights", "outcomes"])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(date(2013, 1, 1), date(2013, 1, 3), id="no history"),
        pytest.param(date(2013, 3, 9), date(2013, 3, 11), id="summer time"),
        pytest.param(date(2013, 8, 22), date(2013, 8, 22), id="weather missing, and a part of it"),
        pytest.param(date(2013, 11, 2), date(2013, 11, 4), id="winter time, weather missing"),
        pytest.param(date(2013, 12, 30), date(2013, 12, 31), id="no weather"),
        pytest.param(date(2014, 1, 1), date(2014, 1, 1), id="no flights"),
    ],
)
def test_same_rows_on_postgresql(workspace: Path, sampled: Warehouse, name: str, start: date, end: date) -> None:
    """PostgreSQL gives the same rows as DuckDB, in the same order, of the same types."""
    here, bound = Workspace(workspace), {"start": start, "end": end}
    found = [warehouses.query(here, where, f"{name}.sql", bound) for where in (Warehouse(), sampled)]
    assert_frame_equal(*found)


@pytest.mark.host
def test_same_partitions_on_postgresql(workspace: Path, sampled: Warehouse) -> None:
    """A run of ingest on PostgreSQL has the same results as one on DuckDB, byte for byte."""
    embedded = _ingest(workspace, {})
    (workspace / "data" / "warehouse.duckdb").unlink()
    named = {"SAMEBOOK_WAREHOUSE__URL": sampled.url, "SAMEBOOK_WAREHOUSE__PASSWORD": str(sampled.password)}
    assert _ingest(workspace, named) == embedded
    assert not (workspace / "data" / "warehouse.duckdb").exists()
    partitions = [name for name in embedded if name.endswith("part-0.parquet")]
    assert len(partitions) == 2 * 3


def _ingest(workspace: Path, variables: dict[str, str]) -> dict[str, str]:
    """The sha256 of each result of a run for days of which the last two lack weather."""
    before = set(workspace.glob("runs/*/receipt.json"))
    done = Tiny(workspace).samebook("run", "ingest", "-p", "start=2013-12-29", "-p", "end=2013-12-31", **variables)
    assert done.code == 0, done.stderr
    (made,) = set(workspace.glob("runs/*/receipt.json")) - before
    return receipt.subject_digests(receipt.read(made))


def _differ(left: pd.DataFrame, right: pd.DataFrame) -> pd.Series:
    return (left.ne(right) & ~(left.isna() & right.isna())).any()
