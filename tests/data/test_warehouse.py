"""The warehouse: found, made from the sample where that is allowed, read only, and of the same types everywhere."""

import datetime
import threading
from collections.abc import Callable

import duckdb
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from postgresql import PostgreSQL
from tiny import SAMPLE, Tiny

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.data import sample, warehouse
from samebook.environment.sections import Warehouse

TYPED = """
SELECT CAST($text AS VARCHAR) AS bound_text, CAST($day AS DATE) AS bound_day, CAST($n AS BIGINT) AS bound_n,
    CAST($x AS DOUBLE PRECISION) AS bound_x, $yes AS bound_yes, CAST($at AS TIMESTAMP) AS bound_at,
    CAST($nothing AS INTEGER) AS bound_nothing, t.*
FROM (VALUES
    (1, CAST(1 AS SMALLINT), CAST(1 AS BIGINT), TRUE, 'a', CAST('2013-06-30' AS DATE), CAST(1.5 AS REAL),
     CAST('2013-06-30 01:02:03.5' AS TIMESTAMP), CAST('2013-06-30 01:02:03+02' AS TIMESTAMPTZ), 1.25, 0.1),
    (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -0.7)
) AS t(whole, small, big, flag, word, day, single, moment, instant, gaps, exact)
WHERE whole <= $rows
ORDER BY whole
"""
BOUND = {
    "text": "'; DROP TABLE flights; --", "day": datetime.date(2013, 6, 30), "n": 7, "x": 0.5, "yes": True,
    "at": pd.Timestamp("2013-06-30 01:02:03"), "nothing": None,
}  # fmt: skip

type Ask = Callable[..., pd.DataFrame]


@pytest.fixture
def ask(tiny: Tiny) -> Ask:
    """`ask(settings, sql, **bound)`: the rows of a query that is written into a file first."""
    (tiny.root / "notebooks" / "queries").mkdir()

    def rows(where: Warehouse, sql: str, **bound: object) -> pd.DataFrame:
        (tiny.root / "notebooks" / "queries" / "q.sql").write_text(sql)
        return warehouse.query(Workspace(tiny.root), where, "q.sql", bound)

    return rows


def embedded(tiny: Tiny) -> Warehouse:
    """An empty DuckDB."""
    (tiny.root / "data").mkdir()
    duckdb.connect(str(tiny.root / "data" / "warehouse.duckdb")).close()
    return Warehouse()


def test_missing_without_sample(tiny: Tiny) -> None:
    """Where no sample may stand in, a missing warehouse is an error that says what mends it."""
    with pytest.raises(UsageError, match=r"no warehouse at data/other.duckdb") as missing:
        warehouse.ensure(Workspace(tiny.root), Warehouse(url="duckdb:///data/other.duckdb"))
    assert "warehouse.url" in str(missing.value.mend)
    assert not (tiny.root / "data").exists()


def test_sample_loaded_once(tiny: Tiny, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that need the sample at once load it once, and find all 336,776 flights."""
    loads: list[object] = []
    load = sample.load_duckdb
    monkeypatch.setattr(sample, "load_duckdb", lambda path, package: (loads.append(path), load(path, package)))
    here, wanted = Workspace(tiny.root), Warehouse(sample=SAMPLE)
    both = [threading.Thread(target=warehouse.ensure, args=(here, wanted)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert loads == [tiny.root / "data" / "warehouse.duckdb"]
    assert ask(wanted, "SELECT count(*) AS n FROM flights")["n"].tolist() == [336_776]
    assert {path.suffix for path in (tiny.root / "data").iterdir()} == {".duckdb", ".lock"}


@pytest.mark.parametrize("package", ["nycflight13", "pandas"])
def test_unusable_sample_refused(package: str, tiny: Tiny) -> None:
    """A package that is not installed, or has no tables, is refused with the one that has some; nothing is made."""
    with pytest.raises(UsageError, match=rf"no package '{package}' with a folder data/ .*{SAMPLE}"):
        warehouse.ensure(Workspace(tiny.root), Warehouse(sample=package))
    assert not (tiny.root / "data" / "warehouse.duckdb").exists()


def test_query_is_read_only(tiny: Tiny, ask: Ask) -> None:
    """A query can't change the warehouse."""
    with pytest.raises(UsageError, match="read-only"):
        ask(embedded(tiny), "CREATE TABLE t (n INT)")


def test_no_rows_have_the_types_of_rows(tiny: Tiny, ask: Ask) -> None:
    """A query that finds nothing gives columns of the same types as one that finds rows: a schema takes both."""
    where, sql = embedded(tiny), "SELECT 'UA' AS carrier, 1.5 AS hours, DATE '2013-06-30' AS day WHERE $is_there"
    assert ask(where, sql, is_there=False).dtypes.equals(ask(where, sql, is_there=True).dtypes)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/out.duckdb' AS other",
        "SELECT * FROM read_text('{folder}/notebooks/queries/q.sql')",
        "SELECT * FROM '{folder}/notebooks/queries/q.sql'",
        "SET enable_external_access = true",
        "LOAD httpfs",
        "SELECT * FROM frame",
    ],
)
def test_query_reaches_nothing_else(sql: str, tiny: Tiny, ask: Ask) -> None:
    """A query reads the warehouse alone: it writes no file, reads none, and knows no variable of the caller."""
    frame = pd.DataFrame({"n": [1]})
    with pytest.raises(UsageError, match="failed"):
        ask(embedded(tiny), sql.format(folder=tiny.root))
    assert not list(tiny.root.glob("out.*")), frame


def test_broken_warehouse_told(tiny: Tiny, ask: Ask) -> None:
    """A file that is no database is an error with its name, not a traceback."""
    (tiny.root / "data").mkdir()
    (tiny.root / "data" / "warehouse.duckdb").write_text("no database" * 1000)
    with pytest.raises(UsageError, match=r"q.sql on data/warehouse.duckdb failed"):
        ask(Warehouse(), "SELECT 1")


@pytest.mark.host
@pytest.mark.filterwarnings("ignore:The inplace keyword")  # DuckDB's own, where a column holds dates
@pytest.mark.parametrize("rows", [2, 1, 0])
def test_same_types(tiny: Tiny, ask: Ask, postgresql: PostgreSQL, rows: int) -> None:
    """Both warehouses give the same values of the same types: bound ones, with and without NULLs, and of no rows."""
    found = [ask(where, TYPED, **BOUND, rows=rows) for where in (embedded(tiny), postgresql.warehouse("postgres"))]
    assert len(found[0]) == rows
    assert_frame_equal(*found)


@pytest.mark.host
def test_variant_taken(tiny: Tiny, ask: Ask, postgresql: PostgreSQL) -> None:
    """A variant beside a query is taken on PostgreSQL, and the query itself on DuckDB."""
    (tiny.root / "notebooks" / "queries" / "q.postgresql.sql").write_text("SELECT version() AS v")
    for where, expected in ((embedded(tiny), "v2"), (postgresql.warehouse("postgres"), "PostgreSQL")):
        assert ask(where, "SELECT 'v2' AS v")["v"].iloc[0].startswith(expected)
