"""The queries: which rows, and what they may know."""

from collections.abc import Callable
from datetime import date, timedelta

import duckdb
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from pandera.pandas import DataFrameSchema

import flights

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


def _differ(left: pd.DataFrame, right: pd.DataFrame) -> pd.Series:
    return (left.ne(right) & ~(left.isna() & right.isna())).any()
