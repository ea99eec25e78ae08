"""Queries of DuckDB: the files that they read are found in any statement and in any way to write a name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from samebook.reads import queries, recorder
from samebook.reads.places import Places
from samebook.records import run_folder

type Read = Callable[..., set[str]]
NAMES = ("rows.csv", "my rows.csv", "it's.csv", 'q"x.csv', "p%20q.csv", ".hidden.csv", "sub/rows.csv", "other/rows.csv")
UNNAMED = {"query of DuckDB, whose files are not named in it"}

# Statements that read `rows.csv`, whatever word they begin with.
STATEMENTS = (
    "-- the rows\nSELECT sum(a) FROM rows.csv",
    "/* the 'rows */ SELECT sum(a) FROM rows.csv",
    "/* a /* b */ ' */ from rows.csv",
    "-- it's\r from rows.csv",
    "select 'é' as \"é\" -- 'ü\n from rows.csv",
    "SUMMARIZE rows.csv",
    "PIVOT rows.csv ON a USING sum(a)",
    "UNPIVOT rows.csv ON a",
    "TABLE rows.csv",
    "show rows.csv",
    "(SELECT * FROM rows.csv)",
    "VALUES ((SELECT max(a) FROM rows.csv))",
    "PREPARE p AS SELECT * FROM rows.csv",
    "SET VARIABLE z = (SELECT max(a) FROM rows.csv)",
    "DELETE FROM k WHERE a IN (SELECT a FROM rows.csv)",
    "UPDATE k SET a = r.a FROM rows.csv r",
    "copy k from rows.csv",
    "from rows . csv",
    "from rows/*x*/.csv",
    'from rows."csv"',
    'from "rows.csv"',
    "from 'rows.csv'",
    "select e'it\\'s', a from 'rows.csv'",
    "from read_csv(e'\\x72ows.csv')",
    "from read_csv('rows'\n'.csv')",
    "from read_csv('rows' -- and\n'.csv')",
    "from 'file:{here}/rows.csv'",
    "from 'file://{here}/rows.csv'",
    "from 'file://localhost{here}/rows.csv'",
    'from "file:{here}/rows.csv"',
    "from '{here}/r?ws.csv'",
    "select $$it's$$, a from rows.csv",
)
# Statements that read another file, by its name.
OTHERS = {
    'from "my rows".csv': "my rows.csv",
    "from 'it''s.csv'": "it's.csv",
    'from "q""x.csv"': 'q"x.csv',
    "from 'file:{here}/p%20q.csv'": "p%20q.csv",
    "from '{here}/*den.csv'": ".hidden.csv",
    'from "sub/rows".csv': "sub/rows.csv",
}


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """A function that gives the names of what a query with these arguments reads, in a folder with NAMES."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("a\n1\n")

    def names(*values: Any, note: Callable[..., None] = queries.query) -> set[str]:
        record = recorder.Recorder()
        record.run, record.places = tmp_path / "run", Places(str(tmp_path / "run"), str(tmp_path))
        record.run.mkdir(exist_ok=True)
        (record.run / run_folder.EVENTS).unlink(missing_ok=True)
        note(record, [_here(value, tmp_path) for value in values])
        return {event["name"] for event in run_folder.events(record.run)}

    return names


def _here(value: Any, folder: Path) -> Any:
    return value.replace("{here}", str(folder)) if isinstance(value, str) else value


@pytest.mark.parametrize("statement", STATEMENTS)
def test_any_statement(statement: str, read: Read, tmp_path: Path) -> None:
    """A file is found in any statement that DuckDB takes, and no other file."""
    with duckdb.connect() as connection:
        connection.execute("create table k (a int)").execute(_here(statement, tmp_path))
    assert read(statement) == {"rows.csv"}


@pytest.mark.parametrize("statement", OTHERS)
def test_any_name(statement: str, read: Read, tmp_path: Path) -> None:
    """A file is found whatever characters its name has."""
    assert duckdb.sql(_here(statement, tmp_path)).fetchall() == [(1,)]
    assert read(statement) == {OTHERS[statement]}


@pytest.mark.parametrize(
    "statement",
    [
        "attach getvariable('f') as b",
        "attach 'x.duckdb'; attach if not exists getvariable('f')",
        "from rows.csv; load spatial",
        "copy k from ('rows' || '.csv')",
        "from \"read_csv\"('rows' || '.csv')",
        "from json_execute_serialized_sql(json_serialize_sql('from rows' || '.csv'))",
    ],
)
def test_computed_name_is_unseen(statement: str, read: Read) -> None:
    """A statement that computes the name of a file, also beside others, is unseen."""
    assert read(statement) - {"rows.csv"} == UNNAMED


@pytest.mark.parametrize(
    "statement",
    [
        "-- from rows.csv",
        "/* 'rows.csv' */ select 1",
        "attach ':memory:' as m",
        "select 1 as load",
        "",
        "\0",
        "'",
        "/*",
    ],
)
def test_nothing_is_read(statement: str, read: Read) -> None:
    """A comment, and what names no file, read nothing."""
    assert read(statement) == set()


def test_arguments(read: Read) -> None:
    """The values that are bound to a query are paths, and no queries."""
    assert read("from read_csv(?)", ["rows.csv"]) == {"rows.csv"}
    assert read("select ?", ["from rows.csv"]) == set()
    assert read("read_csv", ["rows.csv"], note=queries.function) == {"rows.csv"}
    assert read("query", ["from rows" + ".csv"], note=queries.function) == UNNAMED
    assert read("a in (table rows.csv)", note=queries.expression) == {"rows.csv"}


def test_settings_of_a_connection(read: Read) -> None:
    """Folders in which DuckDB looks for files are read, each of several."""
    found = {"sub/rows.csv", "other/rows.csv", "sub/", "other/"}
    assert read(":memory:", {"file_search_path": "sub,other"}, note=queries.connect) == found
    assert read("set file_search_path = 'sub,other'") == found


@pytest.mark.parametrize("name", ["temp_directory", "extension_directory", "secret_directory"])
def test_folder_of_a_setting_is_not_read(name: str, read: Read) -> None:
    """A folder in which DuckDB has its own files is no input; one that stands for ~ is unseen."""
    assert read(f"SET {name} = 'sub'; set global {name} to 'sub'") == set()
    assert read(":memory:", {name: "sub"}, note=queries.connect) == set()
    assert read("SET home_directory='sub'") == UNNAMED
    assert read({"home_directory": "it's", "threads": 1}, note=queries.connect) == UNNAMED


@pytest.mark.parametrize("text", ["*/" * 3000, "[" * 5000, "*/" * 2000 + "[", "\0*", b"\xff*\0"])
def test_odd_values_are_no_paths(text: str | bytes, read: Read) -> None:
    """A value that is bound to a query, whatever it is, does not fail it."""
    assert read("select ?", [text]) == set()


def test_login_is_not_kept(read: Read) -> None:
    """A URL is unseen by its host, without the password in it."""
    assert read("from 'https://me:Zq9!x@host:80/x.csv'") == {"network https://host:80"}
    assert read("from 's3://bucket?secret=Zq9!x'") == {"network s3://bucket"}


def test_target_of_a_copy_is_own(read: Read) -> None:
    """What a copy writes is the run's own; a setting after TO is none, and hides no read."""
    assert read("copy (select 1) to 'rows.csv'; from 'rows.csv'") == set()
    assert read("set variable f to 'rows.csv'") == {"rows.csv"}


def test_database_by_its_extension(read: Read, tmp_path: Path) -> None:
    """A database is read by its name after that of an extension; what no file has is unseen."""
    duckdb.connect(str(tmp_path / "a.duckdb")).close()
    assert read("duckdb:a.duckdb", note=queries.connect) == {"a.duckdb"}
    assert read("attach 'duckdb:a.duckdb' as a") == {"a.duckdb"}
    assert read("postgres:dbname=a", note=queries.connect) == {"database postgres"}


@pytest.mark.parametrize("name", ["{here}/new.duckdb", "duckdb:new.duckdb"])
def test_own_database_is_not_read(name: str, read: Read) -> None:
    """A database that a run has made is no input, also where it is opened again."""

    def twice(record: recorder.Recorder, values: list[str]) -> None:
        queries.connect(record, values)
        duckdb.connect(values[0]).close()
        queries.connect(record, values)

    assert read(name, note=twice) == set()


@pytest.mark.parametrize(
    "definition",
    [
        "view m as from read_csv('{here}/rows.csv')",
        "macro m() as table from read_csv('{here}/rows.csv')",
        "macro m() as (select max(a) from '{here}/rows.csv')",
        "macro m(x) as x, (x, y) as (select max(a) + x + y from '{here}/rows.csv')",
    ],
)
@pytest.mark.parametrize("opened", ["{here}/v.duckdb", "attach '{here}/v.duckdb' as v", "attach 'v.duckdb' as v"])
def test_kept_queries(definition: str, opened: str, read: Read, tmp_path: Path) -> None:
    """What a view or a macro of a database reads is read by who opens it."""
    with duckdb.connect(str(tmp_path / "v.duckdb")) as connection:
        connection.execute(f"create {_here(definition, tmp_path)}")
    note = queries.query if opened.startswith("attach") else queries.connect
    assert read(opened, note=note) == {"v.duckdb", "rows.csv"}


def test_database_names_itself(read: Read, tmp_path: Path) -> None:
    """A view whose query names the database itself is looked at once."""
    path = tmp_path / "v.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"create view v as select *, '{path}' as source from read_csv('{tmp_path}/rows.csv')")
    assert read(str(path), note=queries.connect) == {"v.duckdb", "rows.csv"}


def test_log_of_a_database(read: Read, tmp_path: Path) -> None:
    """Of a database of DuckDB that was not closed, its log is a file that is read too."""
    for name in ("a.duckdb", "a.duckdb.wal"):
        (tmp_path / name).write_text(name)
    assert read("attach '{here}/a.duckdb' as a") == {"a.duckdb", "a.duckdb.wal"}


def test_locked_views_are_unseen(read: Read, tmp_path: Path) -> None:
    """What the views of an encrypted database read can't be known without its key."""
    with duckdb.connect() as connection:
        connection.execute("set force_mbedtls_unsafe = true")
        connection.execute(f"attach '{tmp_path}/e.duckdb' as e (encryption_key 'key')")
        connection.execute("create view e.v as select 1 as a")
    unseen = {"views of a database of DuckDB, e.duckdb"}
    assert read("attach '{here}/e.duckdb' as e (encryption_key 'key')") == {"e.duckdb"} | unseen
