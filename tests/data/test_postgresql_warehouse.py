"""PostgreSQL as the warehouse, on a real server: what it gives, and what is said when it fails."""

import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from postgresql import PASSWORD, SECRET, PostgreSQL, running
from tiny import PATIENCE, SAMPLE, Tiny, wait_until

from samebook.core.errors import SamebookError, UsageError
from samebook.data import sample
from samebook.data.postgresql_warehouse import PostgreSQL as Engine
from samebook.data.sql import Query
from samebook.environment.sections import Warehouse

pytestmark = pytest.mark.host

TABLES = "SELECT count(*) FROM pg_class WHERE relname IN ('airlines', 'airports', 'flights', 'planes', 'weather')"
SLEEPING = "FROM pg_stat_activity WHERE application_name = 'samebook' AND query LIKE '%pg_sleep%'"
KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'samebook'"


@pytest.fixture
def database(postgresql: PostgreSQL, request: pytest.FixtureRequest) -> str:
    """An empty database."""
    return postgresql.database(re.sub(r"\W+", "_", request.node.name.lower())[:60])


def ask(where: Warehouse, text: str, **bound: object) -> pd.DataFrame:
    return Engine(where).rows(Query("q.sql", text, bound))


# --- Rows -----------------------------------------------------------------------------------------------------


def test_numeric_is_double(postgresql: PostgreSQL) -> None:
    """NUMERIC becomes a double, as in DuckDB."""
    text = "SELECT avg(n) AS n FROM (VALUES (1), (2)) t(n) UNION ALL VALUES ('NaN'), ('-Infinity'), (NULL), (1e-30)"
    found = ask(postgresql.warehouse("postgres"), text)["n"]
    assert found.dtype == "float64"
    assert [str(value) for value in found] == ["1.5", "nan", "-inf", "nan", "1e-30"]


def test_session_is_ours(postgresql: PostgreSQL, database: str) -> None:
    """Dates as text don't depend on how the server is set."""
    postgresql.sql(f"ALTER DATABASE {database} SET timezone = 'Asia/Tokyo'")
    postgresql.sql(f"ALTER DATABASE {database} SET datestyle = 'German'")
    text = "SELECT CONCAT(CAST('2013-06-30' AS DATE), ' ', CAST('2013-06-30 00:00+00' AS TIMESTAMPTZ)) AS said"
    found = ask(postgresql.warehouse(database), text)
    assert found["said"].tolist() == ["2013-06-30 2013-06-30 00:00:00+00"]


def test_url_has_the_last_word(postgresql: PostgreSQL) -> None:
    """What the URL says of a connection holds."""
    url = f"{postgresql.url()}?application_name=mine&options=-c%20search_path%3Delsewhere"
    found = ask(Warehouse(url=url, password=SECRET), "SELECT concat_ws(' ', application_name, "
        "current_setting('search_path')) AS said FROM pg_stat_activity WHERE pid = pg_backend_pid()")  # fmt: skip
    assert found["said"].tolist() == ["mine elsewhere"]


@pytest.mark.parametrize(
    "text",
    ["CREATE TABLE t (n INT)", "DELETE FROM pg_class", "SET TRANSACTION READ WRITE", "WITH d AS (DELETE FROM pg_class "
     "RETURNING 1) SELECT * FROM d"],
)  # fmt: skip
def test_queries_change_nothing(postgresql: PostgreSQL, text: str) -> None:
    """A query can't change the warehouse, nor get itself the right to."""
    with pytest.raises(UsageError, match=r"read-only transaction|found a statement without rows"):
        ask(postgresql.warehouse("postgres"), text)


@pytest.mark.parametrize("target", ["'{path}'", "PROGRAM 'touch {path}'"])
def test_query_writes_no_file(target: str, postgresql: PostgreSQL) -> None:
    """A superuser's query neither writes a file of the server nor starts a program there, as COPY could."""
    path = postgresql.folder / "data" / "written"
    with pytest.raises(UsageError, match="found a statement without rows; expected a query"):
        ask(postgresql.warehouse("postgres"), f"COPY (SELECT 1) TO {target.format(path=path)}")
    assert not path.exists()


@pytest.mark.parametrize(
    "call",
    [
        "lo_export(1, '/tmp/written')",
        "lo_import('/etc/hostname')",
        "pg_read_file('/etc/hostname')",
        "pg_ls_dir('/')",
        "pg_reload_conf()",
        "pg_switch_wal()",
        "set_config('transaction_read_only', 'off', true)",
        "setval('seq', 1)",
    ],
)
def test_functions_reach_nothing(postgresql: PostgreSQL, call: str) -> None:
    """The functions that reach the server itself, or change what a query can't, are refused to who is no superuser."""
    if not postgresql.sql("SELECT 1 FROM pg_roles WHERE rolname = 'plain'"):
        postgresql.sql(f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
        postgresql.sql("CREATE SEQUENCE seq")
        postgresql.sql("GRANT ALL ON SEQUENCE seq TO plain")
    refused = r"permission denied|read-only transaction|must be set before any query"
    with pytest.raises(UsageError, match=refused):
        ask(postgresql.warehouse("postgres", user="plain"), f"SELECT {call} AS n")


# --- The sample -----------------------------------------------------------------------------------------------


def test_two_load_once(postgresql: PostgreSQL, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that need the sample at once load it once."""
    loads: list[object] = []
    tables = sample.tables
    monkeypatch.setattr(sample, "tables", lambda package: (loads.append(1), tables(package))[1])
    engine = Engine(postgresql.warehouse(database, sample=SAMPLE))
    both = [threading.Thread(target=engine.ensure) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert loads == [1]
    assert ask(engine.settings, "SELECT count(*) AS n FROM flights")["n"].tolist() == [336_776]


def test_load_is_whole_or_nothing(postgresql: PostgreSQL, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that throws the loader out in the middle has no table of it afterwards, and takes the next one."""
    tables = sample.tables

    def interrupted(package: str) -> Iterator[tuple[str, pa.Table]]:
        for name, rows in tables(package):
            if name == "weather":
                postgresql.sql(KILL)
            yield name, rows

    monkeypatch.setattr(sample, "tables", interrupted)
    engine = Engine(postgresql.warehouse(database, sample=SAMPLE))
    with pytest.raises(SamebookError, match=r"the sample can't be loaded into postgresql://.*terminating connection"):
        engine.ensure()
    assert postgresql.sql(TABLES, database) == [(0,)]
    monkeypatch.undo()
    engine.ensure()
    assert postgresql.sql(TABLES, database) == [(5,)]


def test_not_mixed_with_others(postgresql: PostgreSQL, database: str) -> None:
    """Where some of the tables are there already, nothing is added to them."""
    postgresql.sql("CREATE TABLE planes (n INT)", database)
    with pytest.raises(UsageError, match="has planes but not airlines, airports, flights, weather; expected all"):
        Engine(postgresql.warehouse(database, sample=SAMPLE)).ensure()
    assert postgresql.sql(TABLES, database) == [(1,)]


def test_loader_may_not(postgresql: PostgreSQL, database: str) -> None:
    """A role that may not create tables is told so."""
    postgresql.sql(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
    with pytest.raises(UsageError, match=r"the sample can't be loaded .*: permission denied for schema public"):
        Engine(postgresql.warehouse(database, user="reader", sample=SAMPLE)).ensure()


def test_data_command(tiny: Tiny, postgresql: PostgreSQL, database: str) -> None:
    """`samebook data` loads the sample, and says where; the password is in nothing that it prints."""
    said = f"warehouse: {{url: '{postgresql.url(database)}', password: {SECRET}, sample: {SAMPLE}}}"
    (tiny.root / "environments" / "dev.yml").write_text(said)
    ended = tiny.samebook("data")
    assert (ended.code, ended.stdout) == (0, f"{postgresql.url(database)}\n"), ended.stderr
    assert postgresql.sql(TABLES, database) == [(5,)]
    refused = tiny.samebook("data", **{SECRET: "wrong-" + PASSWORD})
    assert refused.code == 2
    assert 'password authentication failed for user "samebook"' in refused.stderr
    assert PASSWORD not in refused.stderr + refused.stdout


# --- Failures -------------------------------------------------------------------------------------------------


def test_missing_table(postgresql: PostgreSQL, database: str) -> None:
    """A missing table is named, with the place in the query."""
    with pytest.raises(UsageError, match=r'q.sql on .* failed: relation "flights" does not exist\nLINE 2:   FROM fl'):
        ask(postgresql.warehouse(database), "SELECT $x\n  FROM flights", x=1)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://samebook@127.0.0.1:{port}/nowhere", 'database "nowhere" does not exist'),
        ("postgresql://nobody@127.0.0.1:{port}/postgres", 'password authentication failed for user "nobody"'),
        ("postgresql://samebook@127.0.0.1:{free}/postgres", "Connection refused"),
        ("postgresql://samebook@127.0.0.1:{port}/postgres?sslmode=verify-ful", 'invalid sslmode value: "verify-ful"'),
        ("postgresql://samebook@127.0.0.1:{silent}/postgres?connect_timeout=2", "timeout expired"),
    ],
)
def test_no_connection(postgresql: PostgreSQL, url: str, said: str) -> None:
    """Whatever keeps us from the warehouse is told within seconds, with what to look at, and without the password."""
    with socket.socket() as free, socket.create_server(("127.0.0.1", 0)) as silent:
        free.bind(("127.0.0.1", 0))
        ports = {"free": free.getsockname()[1], "silent": silent.getsockname()[1], "port": postgresql.port}
        with pytest.raises(UsageError, match="no warehouse at postgresql://") as refused:
            ask(Warehouse(url=url.format(**ports), password=SECRET), "SELECT 1")
    assert said in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert "warehouse.password" in str(refused.value.mend)


def test_password_missing(postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that the server wants, and that nobody names or that isn't set, is asked for."""
    with pytest.raises(UsageError, match="no password supplied"):
        ask(Warehouse(url=postgresql.url()), "SELECT 1")
    monkeypatch.delenv(SECRET)
    with pytest.raises(UsageError, match=f"the secret {SECRET} is not set"):
        ask(postgresql.warehouse("postgres"), "SELECT 1")


@pytest.mark.parametrize(
    ("text", "bound", "said"),
    [
        ("SELECT 1; DROP TABLE flights", {}, "cannot insert multiple commands"),
        ("SET work_mem = '1MB'", {}, "found a statement without rows; expected a query"),
        ("SELECT CAST('127.0.0.1' AS inet) AS ip", {}, "column ip: found inet; expected a CAST to a plain type"),
        ("SELECT $x", {"x": object()}, "did not recognize Python value type"),
        ("SELECT $x", {"x": {"a": 1}}, "Can't map Arrow type 'struct'"),
        ("SELECT $x", {"x": 2**70}, "too large"),
        ("SELECT 1 / $x", {"x": 0}, "division by zero"),
    ],
)
def test_bad_query(postgresql: PostgreSQL, text: str, bound: dict[str, object], said: str) -> None:
    """A query or a value that can't be used is a usage error in the server's words."""
    with pytest.raises(UsageError, match=r"q.sql on postgresql://") as refused:
        ask(postgresql.warehouse("postgres"), text, **bound)
    assert said in str(refused.value)
    assert "SQLSTATE" not in str(refused.value)


@contextmanager
def meanwhile(server: PostgreSQL, act: Callable[[], object]) -> Iterator[None]:
    """Act as soon as a query that sleeps has reached the server."""

    def wait_and_act() -> None:
        wait_until(lambda: server.sql(f"SELECT 1 {SLEEPING}"))
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("text", ["SELECT pg_sleep(600)", "SELECT pg_sleep($seconds)"])
def test_thrown_out_in_mid_query(postgresql: PostgreSQL, text: str) -> None:
    """A query that the server throws out fails at once, with exit code 1."""
    bound = {"seconds": 600.0} if "$" in text else {}
    began = time.monotonic()
    kill = meanwhile(postgresql, lambda: postgresql.sql(KILL))
    with kill, pytest.raises(SamebookError, match="terminating connection due to administrator command") as lost:
        ask(postgresql.warehouse("postgres"), text, **bound)
    assert lost.value.exit_code == 1
    assert time.monotonic() - began < PATIENCE


@pytest.fixture
def slow(tiny: Tiny) -> Callable[[PostgreSQL], Tiny]:
    """A workspace with the notebook `slow`, which writes a partition and then asks that server for a long time."""

    def make(server: PostgreSQL) -> Tiny:
        queries = tiny.root / "notebooks" / "queries"
        queries.mkdir()
        (queries / "slow.sql").write_text("SELECT pg_sleep(600)")
        said = f"warehouse: {{url: '{server.url()}', password: {SECRET}}}"
        (tiny.root / "environments" / "dev.yml").write_text(said)
        write = "samebook.write_partition('rows', datetime.date(2013, 1, 1), pandas.DataFrame({'n': [1]}))"
        tiny.notebook("slow", write=f"import datetime, pandas, samebook\n{write}", ask="samebook.query('slow.sql')")
        return tiny

    return make


@pytest.mark.usefixtures("postgresql")  # for the password, and the right to skip
def test_gone_in_mid_run(slow: Callable[[PostgreSQL], Tiny]) -> None:
    """A server that stops in mid-query ends the run with exit code 1, and what it had written is not published."""
    with running() as own:
        tiny = slow(own)
        with meanwhile(own, own.stop):
            ended = tiny.samebook("run", "slow")
    assert ended.code == 1, ended.stderr
    assert "SamebookError: slow.sql on postgresql://" in ended.stderr
    assert not list(tiny.root.glob("data/rows/*"))
    assert (tiny.last / "error.txt").is_file()
    assert not any(PASSWORD in path.read_text(errors="ignore") for path in Path(tiny.last).rglob("*.*"))


def test_query_ends_with_run(slow: Callable[[PostgreSQL], Tiny], postgresql: PostgreSQL) -> None:
    """A run that is stopped takes its query along: the server doesn't work on for nobody."""
    with slow(postgresql).start("run", "slow") as run:
        wait_until(lambda: postgresql.sql(f"SELECT 1 {SLEEPING}"))
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=PATIENCE)
    assert run.returncode == 130
    wait_until(lambda: not postgresql.sql(f"SELECT 1 {SLEEPING}"))
