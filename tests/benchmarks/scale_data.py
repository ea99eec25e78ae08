"""What the bench of scale works on: years of flights, and made-up runs."""

import calendar
import datetime
import os
import shutil
from pathlib import Path

import duckdb
from benchmarks.places import Place, commit
from tiny import CHECKOUT, SAMPLE, Tiny

from samebook.core.workspace import Workspace
from samebook.data import sample
from samebook.store import objects

FIRST = datetime.date(2013, 1, 1)
CELL = "import samebook\nsamebook.log_metric('auc', 0.5)\nsamebook.output_path('a.txt').write_text('a')"
# One year is one insertion, so that memory holds a year's rows at most, however many years there are: 365 days later
# each, as a year of calendars may have a day more. Planes of later years are as old as those of the first.
DAY = "make_date(year, month, day) + {days}"
LATER_DAY = (
    f"year({DAY}) AS year, month({DAY}) AS month, day({DAY}) AS day, time_hour + INTERVAL {{days}} DAY AS time_hour"
)
YEAR = (
    f"INSERT INTO flights SELECT * REPLACE ({LATER_DAY}, tailnum || '-{{years}}' AS tailnum) FROM first_flights",
    f"INSERT INTO weather SELECT * REPLACE ({LATER_DAY}) FROM first_weather",
    "INSERT INTO planes SELECT * REPLACE (year + {years} AS year, tailnum || '-{years}' AS tailnum) "
    "FROM planes WHERE tailnum NOT LIKE '%-%'",
)


def flights(root: Path, rows: int) -> tuple[Tiny, datetime.date]:
    """The example's notebooks over a warehouse of at least `rows` flights: 2013 again and again, and its last day.

    Later years have other planes, and the weather of 2013.
    """
    for name in ("environments", "notebooks"):
        shutil.copytree(CHECKOUT / name, root / name)
    workspace = Tiny(root)
    commit(root)
    (root / "data").mkdir()
    warehouse = root / "data" / "warehouse.duckdb"
    sample.load_duckdb(warehouse, SAMPLE)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("SET memory_limit = '1GB'")
        ((of_a_year,),) = connection.execute("SELECT count(*) FROM flights").fetchall()
        years = -(-rows // of_a_year)
        for table in ("flights", "weather"):
            connection.execute(f"CREATE TEMP TABLE first_{table} AS FROM {table}")
        for number in range(1, years):
            for statement in YEAR:
                connection.execute(statement.format(years=number, days=365 * number))
    return workspace, FIRST + datetime.timedelta(days=365 * years - 1)


def last_day(years: int) -> datetime.date:
    return datetime.date(FIRST.year + years - 1, 12, 31)


def runs(place: Place, count: int) -> Tiny:
    """A workspace with `count` finished runs, ten minutes apart: a real one, copied under other ids."""
    workspace = place.workspace(f"runs-{count}")
    workspace.notebook("small", work=CELL)
    done = workspace.samebook("run", "small")
    assert done.code == 0, done.stderr
    source = workspace.last
    receipt, store = (source / "receipt.json").read_text(), objects.local_store(Workspace(workspace.root))
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    for number in range(count - 1):
        started = start + datetime.timedelta(minutes=10 * number)
        target = source.with_name(f"{started:%Y%m%dT%H%M%SZ}-small-{number:06x}")
        for path in source.rglob("*"):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and path.name != "receipt.json":
                os.link(path, copy)
        copy = target / "receipt.json"
        copy.write_text(receipt.replace(source.name, target.name))
        store.put(copy)
    return workspace


# A year of a dataset that has been ingested becomes a later one: each row `times` times, under ids of their own. An id
# ends with the time of departure, four digits, which leave room for MOST.
LATER = """
COPY (SELECT * {replaced}, '{year}' || substr(id, 5, 6) AS day
      FROM (SELECT * EXCLUDE (copy) REPLACE (
                '{year}' || substr(id, 5, length(id) - 8) || lpad((right(id, 4)::INT + 2400 * copy)::VARCHAR, 4, '0')
                AS id)
            FROM {rows}, range({times}) AS copies(copy)))
TO '{folder}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day), FILENAME_PATTERN 'part-{{i}}', OVERWRITE_OR_IGNORE)
"""
DEPARTURE = "REPLACE (departure + INTERVAL {years} YEAR AS departure)"
EMPTY = "COPY (SELECT * FROM {rows} LIMIT 0) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
MOST = 4


def repeat(data: Path, name: str, years: int, times: int = 1) -> None:
    """Write the first year of an ingested dataset again as the following ones, a year at a time: quicker than to ingest
    each, with rows of the same size, and in each of them `times` as many.

    Features stay those of the first year, and a 29 February has no rows.
    """
    folder = data / name
    rows = f"read_parquet('{folder}/day={FIRST.year}-*/*.parquet', hive_partitioning = false)"
    with duckdb.connect() as connection:
        # One thread, and as many open files as days: a day is one file.
        connection.execute("SET memory_limit = '1GB'; SET threads = 1; SET partitioned_write_max_open_files = 400")
        for number in range(1, years):
            year = FIRST.year + number
            replaced = DEPARTURE.format(years=number) if name == "flights" else ""
            connection.execute(LATER.format(replaced=replaced, year=year, rows=rows, folder=folder, times=times))
            if calendar.isleap(year):
                empty = folder / f"day={year}-02-29"
                empty.mkdir()
                connection.execute(EMPTY.format(rows=rows, path=empty / "part-0.parquet"))
