"""Days of a dataset in the warehouse: whole, once, and as last published, in DuckDB and in PostgreSQL."""

import datetime
import uuid
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from postgresql import PostgreSQL as Server
from tiny import Tiny

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.data import warehouse
from samebook.data.publication import Publication
from samebook.environment.sections import Warehouse

DAY = datetime.date(2013, 1, 5)
ROWS = pa.table({"id": ["a", "b"], "probability": [0.25, 0.5], "late": pa.array([True, None])})
FIRST = Publication("scores", "predictions", DAY, "ab" * 32, "run-1", ROWS)
SECOND = replace(FIRST, digest="cd" * 32, run="run-2", rows=ROWS.slice(1))


@pytest.fixture(params=["duckdb", pytest.param("postgresql", marks=pytest.mark.host)])
def into(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Workspace, Warehouse]:
    """An empty warehouse."""
    if request.param == "duckdb":
        duckdb.connect(str(tmp_path / "w.duckdb")).close()
        return Workspace(tmp_path), Warehouse(url="duckdb:///w.duckdb")
    return Workspace(tmp_path), request.getfixturevalue("empty")


def published(
    into: tuple[Workspace, Warehouse], sql: str = "SELECT * FROM scores ORDER BY day, id"
) -> list[dict[str, Any]]:
    """What a query finds there, as other programs see it."""
    here, settings = into
    (here.notebooks / "queries").mkdir(parents=True, exist_ok=True)
    (here.notebooks / "queries" / "all.sql").write_text(sql)
    return warehouse.query(here, settings, "all.sql", {}).to_dict("records")


def test_published_once(into: tuple[Workspace, Warehouse]) -> None:
    """The same bytes again change nothing; others take the day's place, and leave other days alone."""
    assert warehouse.publish(*into, FIRST)
    assert not warehouse.publish(*into, FIRST)
    assert warehouse.publish(*into, replace(FIRST, day=DAY + datetime.timedelta(days=1)))
    assert warehouse.publish(*into, SECOND)
    assert [(str(row["day"])[:10], row["id"]) for row in published(into)] == [
        ("2013-01-05", "b"),
        ("2013-01-06", "a"),
        ("2013-01-06", "b"),
    ]
    known = published(into, "SELECT sha256, run FROM samebook_published ORDER BY day")
    assert known == [{"sha256": "cd" * 32, "run": "run-2"}, {"sha256": "ab" * 32, "run": "run-1"}]


def test_columns_go_by_name(into: tuple[Workspace, Warehouse]) -> None:
    """Columns in another order, and another table of the same rows, change nothing of what is stored."""
    warehouse.publish(*into, FIRST)
    warehouse.publish(*into, replace(SECOND, rows=ROWS.select(["late", "probability", "id"])))
    assert [row["probability"] for row in published(into, "SELECT probability FROM scores ORDER BY id")] == [0.25, 0.5]
    assert warehouse.publish(*into, replace(SECOND, table="others"))
    assert len(published(into, "SELECT id FROM others")) == 1


def test_dropped_table_comes_back(into: tuple[Workspace, Warehouse], request: pytest.FixtureRequest) -> None:
    """A day that was published before its table was dropped is published again, from the same bytes."""
    assert warehouse.publish(*into, FIRST)
    drop(into, request)
    assert warehouse.publish(*into, FIRST)
    assert len(published(into)) == 2
    assert not warehouse.publish(*into, FIRST)


def test_every_day_of_a_dropped_table_comes_back(
    into: tuple[Workspace, Warehouse], request: pytest.FixtureRequest
) -> None:
    """After its table was dropped, each day that is published again has its rows, not only the first one."""
    days = [replace(FIRST, day=DAY + datetime.timedelta(days=number)) for number in range(3)]
    for publication in days:
        warehouse.publish(*into, publication)
    drop(into, request)
    assert [warehouse.publish(*into, publication) for publication in days] == [True] * 3
    assert len(published(into)) == 6
    assert [warehouse.publish(*into, publication) for publication in days] == [False] * 3


def drop(into: tuple[Workspace, Warehouse], request: pytest.FixtureRequest) -> None:
    """Drop the table `scores`, as somebody does who has the warehouse open beside samebook."""
    workspace, settings = into
    if settings.url.startswith("duckdb"):
        with duckdb.connect(str(workspace.root / "w.duckdb")) as connection:
            connection.execute("DROP TABLE scores")
        return
    server: Server = request.getfixturevalue("postgresql")
    server.sql("DROP TABLE scores", settings.url.rpartition("/")[2])


def test_other_columns_refused(into: tuple[Workspace, Warehouse]) -> None:
    """Rows that the table can't take are refused with its name, and the day stays as it was."""
    warehouse.publish(*into, FIRST)
    with pytest.raises(
        UsageError, match=r"table scores does not take predictions: it has day, id, late, probability; expected day, id"
    ):
        warehouse.publish(*into, replace(SECOND, rows=pa.table({"id": [["a list"]]})))
    assert len(published(into)) == 2
    assert published(into, "SELECT run FROM samebook_published") == [{"run": "run-1"}]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pa.array([1, 2]), pa.array([1.5, 2.0])),
        (pa.array([True, None]), pa.array([5, 0])),
        (pa.array([1, 2], pa.int32()), pa.array([2**40, 0])),
        (pa.array([0], pa.timestamp("us")).take([0, 0]), pa.array([1, 2], pa.timestamp("ns"))),
        (pa.array([[True], []]), pa.array([[5], []])),
        (pa.array([[1], []]), pa.array([[1.5], []])),
        (pa.array(["a", "b"]), pa.array([[1], [2]])),
    ],
)
def test_value_lost_in_column_refused(before: pa.Array, after: pa.Array, into: tuple[Workspace, Warehouse]) -> None:
    """A day whose values the table's columns can't hold is refused, where the warehouse would round them in silence."""
    names = ["id", "value"]
    warehouse.publish(*into, replace(FIRST, rows=pa.table([ROWS["id"], before], names)))
    with pytest.raises(UsageError, match="column value"):
        warehouse.publish(*into, replace(SECOND, rows=pa.table([ROWS["id"], after], names)))
    known = published(into, "SELECT run FROM samebook_published")
    assert known == [{"run": "run-1"}]


@pytest.mark.parametrize(
    "value",
    [
        pa.array([2**64 - 1, 0], pa.uint64()),
        pa.array([1, 0], pa.timestamp("ns")),
        pa.array([1, 0], pa.timestamp("ns", "UTC")),
        pa.array([1, 0], pa.time64("ns")),
        pa.array([1, 0], pa.duration("ns")),
        pa.array([[1], []], pa.list_(pa.timestamp("ns"))),
    ],
)
def test_value_lost_in_new_table_refused(value: pa.Array, into: tuple[Workspace, Warehouse]) -> None:
    """A table that a day makes holds each of its values as it is, or the day is refused and no table is made."""
    rows, refused = pa.table([ROWS["id"], value], ["id", "value"]), ""
    try:
        warehouse.publish(*into, replace(FIRST, rows=rows))
    except UsageError as error:
        refused = str(error)
    if refused:
        assert "which can't hold each value" in refused
        assert warehouse.publish(*into, FIRST)
    else:
        kept = published(into, "SELECT CAST(value AS TEXT) AS value FROM scores ORDER BY id")
        assert kept[0]["value"] != kept[1]["value"]
        assert value.type == pa.uint64() or "1" in kept[0]["value"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("NUMERIC(5, 1)", pa.array([Decimal("1.25")])),
        ("NUMERIC(5, -2)", pa.array([150])),
        ("TIMESTAMP(0)", pa.array([600_000], pa.timestamp("us"))),
        ("TIME(0)", pa.array([600_000], pa.time64("us"))),
        ("INTERVAL(0)", pa.array([600_000], pa.duration("us"))),
        ("TIMESTAMP(0)[]", pa.array([[600_000]], pa.list_(pa.timestamp("us")))),
    ],
)
def test_rounding_column_refused(kind: str, value: pa.Array, postgresql: Server, empty: Warehouse) -> None:
    """A column of PostgreSQL that rounds what it is sent, which its type does not show, takes only what it keeps."""
    postgresql.sql(f"CREATE TABLE scores (day DATE, value {kind})", empty.url.rpartition("/")[2])
    with pytest.raises(UsageError, match="column value keeps other values than it was sent"):
        warehouse.publish(Workspace(Path()), empty, replace(FIRST, rows=pa.table({"value": value})))
    rows = pa.table({"value": pa.nulls(1, value.type)})
    assert warehouse.publish(Workspace(Path()), empty, replace(FIRST, rows=rows))


def test_own_columns_of_postgresql(postgresql: Server, empty: Warehouse) -> None:
    """Columns that keep the meaning of what they are sent take it: one of fixed width, of JSON, of any decimals."""
    postgresql.sql(
        "CREATE TABLE scores (day DATE, name CHAR(5), note JSON, price NUMERIC, span INTERVAL)",
        empty.url.rpartition("/")[2],
    )
    row = {"name": "ab", "note": '{"b":  1}', "price": Decimal("1.250"), "span": datetime.timedelta(1, 0, 5)}
    rows = pa.Table.from_pylist([row, dict.fromkeys(row)])
    assert warehouse.publish(Workspace(Path()), empty, replace(FIRST, rows=rows))


IDENTITY = uuid.UUID("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")


@pytest.mark.parametrize(
    ("kind", "value", "place"),
    [
        ("UUID", pa.array([str(IDENTITY).upper()]), "duckdb"),
        ("UUID[]", pa.array([[str(IDENTITY).upper()]]), "duckdb"),
        ("UUID", pa.array([IDENTITY.bytes]), "postgresql"),
        ("UUID", pa.array([IDENTITY.bytes], pa.binary(16)), "postgresql"),
        ("UUID", pa.array([IDENTITY.bytes], pa.uuid()), "postgresql"),
        ("BIT", pa.array([b"\x0a"]), "duckdb"),
        ("BIT(8)", pa.array([b"\0\0\0\x08\xaa"]), "postgresql"),
    ],
)
@pytest.mark.host
def test_same_value_in_another_form(
    kind: str, value: pa.Array, place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A column of identities in small letters, and one of bits, keep what they were sent."""
    statement, settings = f"CREATE TABLE scores (day DATE, value {kind})", Warehouse(url="duckdb:///w.duckdb")
    if place == "duckdb":
        with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
            connection.execute(statement)
    else:
        settings = request.getfixturevalue("empty")
        request.getfixturevalue("postgresql").sql(statement, settings.url.rpartition("/")[2])
    rows = pa.table({"value": value})
    assert warehouse.publish(Workspace(tmp_path), settings, replace(FIRST, rows=rows))


def test_nested_columns(tmp_path: Path) -> None:
    """Values in structs and lists are compared as others are; those that the column has room for are kept."""
    publication = replace(FIRST, rows=pa.table({"value": pa.array([{"a": True, "b": [1]}])}))
    settings = Warehouse(url="duckdb:///w.duckdb")
    duckdb.connect(str(tmp_path / "w.duckdb")).close()
    warehouse.publish(Workspace(tmp_path), settings, publication)
    for lost in ({"a": 5, "b": [1]}, {"a": True, "b": [1.5]}, {"a": True, "b": [1], "c": 1}):
        with pytest.raises(UsageError, match="column value"):
            warehouse.publish(
                Workspace(tmp_path), settings, replace(SECOND, rows=pa.table({"value": pa.array([lost])}))
            )
    for kept in ([{"b": [], "a": None}], [{"b": [2.0, None], "a": False}, None]):
        rows = pa.table({"value": pa.array(kept)})
        warehouse.publish(Workspace(tmp_path), settings, replace(SECOND, rows=rows))
        with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
            assert connection.sql("SELECT value FROM scores").fetchall() == [(value,) for value in kept]


def test_column_of_ones_own(tmp_path: Path) -> None:
    """A text is no time to a column of times, unless it is the column's own, and a time of day has lost its day: the
    error names what makes times of texts. A column of names and one of spans take those.
    """
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE scores (day DATE, moment TIMESTAMP, name ENUM ('a', 'b'), span INTERVAL, hour TIME)"
        )
    at, span = datetime.datetime.fromisoformat("2013-01-05T10:00"), datetime.timedelta(1)
    rows = pa.table({"moment": pa.array([at]), "name": ["a"], "span": [span], "hour": [at.time()]})
    place = Workspace(tmp_path), Warehouse(url="duckdb:///w.duckdb")
    assert warehouse.publish(*place, replace(FIRST, rows=rows))
    with pytest.raises(
        UsageError, match=r"column moment has the type timestamp.*, which can't hold each value"
    ) as refused:
        warehouse.publish(*place, replace(SECOND, rows=rows.set_column(0, "moment", pa.array(["2013-01-05 10:00"]))))
    assert refused.value.mend == 'make lab, and write rows["moment"] = pd.to_datetime(rows["moment"])'
    with pytest.raises(UsageError, match="column hour"):
        warehouse.publish(*place, replace(SECOND, rows=rows.set_column(3, "hour", pa.array([at]))))


def test_values_of_another_type_kept(into: tuple[Workspace, Warehouse]) -> None:
    """Whole numbers that became doubles, as beside a missing one, go into a table of whole numbers as they are; and
    decimals into one of decimals, for which Arrow may have no type.
    """
    price = [Decimal("1.25"), Decimal("2.25")]
    warehouse.publish(*into, replace(FIRST, rows=pa.table({"id": ["a", "b"], "value": [1, 2], "price": price})))
    warehouse.publish(*into, replace(SECOND, rows=pa.table({"id": ["a", "b"], "value": [3.0, None], "price": price})))
    rows = published(into, "SELECT value, CAST(price AS TEXT) AS price FROM scores ORDER BY id")
    assert (rows[0]["value"], [row["price"] for row in rows]) == (3, ["1.25", "2.25"])


def test_published_beside_each_other(into: tuple[Workspace, Warehouse]) -> None:
    """Several that publish at once, the same day or others, leave each day whole and once."""
    days = [DAY + datetime.timedelta(days=n % 3) for n in range(9)]
    threads = [Thread(target=warehouse.publish, args=(*into, replace(FIRST, day=day))) for day in days]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(published(into)) == 6


def test_run_publishes_into_warehouse(tiny: Tiny) -> None:
    """A finished run's days go into the table that the settings name; a failed one's don't."""
    (tiny.root / "environments" / "dev.yml").write_text(
        "warehouse: {url: 'duckdb:///w.duckdb'}\ndatasets: {rows: {into: made_rows}}\n"
    )
    duckdb.connect(str(tiny.root / "w.duckdb")).close()
    work = "import pandas as pd, samebook, datetime\n"
    work += "samebook.write_partition('rows', datetime.date(2013, 1, 5), pd.DataFrame({'n': [number]}))\n"
    tiny.notebook("make", parameters="number: int = 1", work=work + "assert number < 9")
    assert tiny.samebook("run", "make").code == 0
    assert tiny.samebook("run", "make", "-p", "number=9").code == 1
    assert tiny.samebook("run", "make", "-p", "number=2").code == 0
    with duckdb.connect(str(tiny.root / "w.duckdb")) as connection:
        assert connection.sql("SELECT CAST(day AS TEXT), n FROM made_rows").fetchall() == [("2013-01-05", 2)]


@pytest.fixture
def empty(postgresql: Server) -> Warehouse:
    """A new database without a table."""
    return postgresql.warehouse(postgresql.database(f"published_{uuid.uuid4().hex}"))
