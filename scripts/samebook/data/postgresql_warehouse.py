"""PostgreSQL as the warehouse, by ADBC: rows come as Arrow, and become the pandas types that DuckDB makes of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, urlencode

from samebook.core import secret
from samebook.core.errors import SamebookError, UsageError
from samebook.data import sample
from samebook.data.publication import COLUMNS, CREATE, FORGET, KNOWN, REMEMBER, Publication
from samebook.data.sql import Query, frame
from samebook.environment.sections import Warehouse

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from adbc_driver_manager.dbapi import Connection

# Options of libpq, unless the URL has others: a server that is away is noticed in seconds, a lost one in a minute.
DEFAULTS = {
    "application_name": "samebook",
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
# Settings of a transaction. Dates as text are the same on every server, whatever it is set to; and a query ends with
# its run, where the server can notice that: from 14 on, and on Linux.
READ_ONLY = """
SELECT set_config(name, value, true)
FROM (VALUES ('transaction_read_only', 'on'), ('TimeZone', 'UTC'), ('DateStyle', 'ISO')) AS ours(name, value)
UNION ALL
SELECT set_config(name, '5s', true)
FROM pg_settings WHERE name = 'client_connection_check_interval' AND version() LIKE '%linux%'
"""
# to_regclass would not do: within a transaction it remembers a table as missing from before the lock.
MISSING = """
SELECT name FROM unnest(CAST($1 AS text[])) AS name
WHERE NOT EXISTS (SELECT 1 FROM pg_class WHERE relname = name AND pg_table_is_visible(oid))
"""
ONE_PUBLISHER = "SELECT pg_advisory_xact_lock(hashtext('samebook published'))"
ONE_LOADER = "SELECT pg_advisory_xact_lock(hashtext('samebook sample'))"


@dataclass(frozen=True)
class PostgreSQL:
    """`postgresql://user@host:5432/database`; the settings name the secret that holds the password."""

    settings: Warehouse
    dialect: ClassVar[str] = "postgresql"

    @property
    def name(self) -> str:
        return self.settings.url.partition("?")[0]

    def version(self) -> str:
        """The empty version: a server does not say whether its content has changed."""
        return ""

    def ensure(self) -> None:
        """Load the sample where it is missing and the settings name one. Raises UsageError without a server."""
        with self._connected() as connection, self._errors_of(f"the sample can't be loaded into {self.name}"):
            if self.settings.sample and self._missing(connection):
                _fetched(connection, ONE_LOADER)
                if self._missing(connection):  # another run may have loaded them while this one waited
                    _load(connection, self.settings.sample)

    def rows(self, query: Query) -> "pd.DataFrame":
        """The rows of a query, which can't change anything."""
        self.ensure()
        with self._connected() as connection, self._errors_of(f"{query.name} on {self.name} failed"):
            _fetched(connection, READ_ONLY)
            _check_rows(connection, *query.numbered())
            return _frame(_with_doubles(_fetched(connection, *query.numbered())))

    def publish(self, publication: Publication) -> bool:
        """Replace the rows of a day in one transaction; False where the table holds them already."""
        what = f"table {publication.table} of {self.name} does not take {publication.dataset}"
        with self._connected() as connection, self._errors_of(what):
            _fetched(connection, ONE_PUBLISHER)
            _execute(connection, CREATE)
            is_there = not _fetched(connection, MISSING, [[publication.table]])["name"].to_pylist()
            if is_there:
                digests = _fetched(connection, KNOWN, publication.key).column(0).to_pylist()
                count = _fetched(connection, publication.count, publication.key[1:])["n"].to_pylist()
                if digests == [publication.digest] and count == [len(publication.rows)]:
                    return False
            with connection.cursor() as cursor:
                if not is_there:
                    cursor.adbc_ingest(publication.table, publication.dated().slice(0, 0))
                rows = publication.fitted(_fetched(connection, COLUMNS.substitute(table=publication.table)).schema)
                _execute(connection, publication.clear, publication.key[1:])
                cursor.adbc_ingest(publication.table, rows, mode="append")
            publication.check_kept(rows, _fetched(connection, publication.kept, publication.key[1:]))
            _execute(connection, FORGET, publication.key)
            _execute(connection, REMEMBER, [*publication.key, publication.digest, publication.run])
            connection.commit()
        return True

    def _missing(self, connection: "Connection") -> bool:
        """Whether the sample is missing. Raises UsageError for a part of it, or another's: that is left alone."""
        tables = list(sample.paths(self.settings.sample))
        missing = _fetched(connection, MISSING, [tables])["name"].to_pylist()
        if missing and (present := sorted(set(tables) - set(missing))):
            raise UsageError(
                f"{self.name} has {', '.join(present)} but not {', '.join(missing)}; "
                "expected all of the sample, or none",
                mend="write another database as `warehouse: {url: …}` in environments/<env>.yml",
            )
        return bool(missing)

    @contextmanager
    def _connected(self) -> Iterator["Connection"]:
        """A connection in a transaction that nobody sees unless it is committed."""
        from adbc_driver_postgresql import dbapi

        try:
            connection = dbapi.connect(self._uri())
        except dbapi.Error as error:
            raise UsageError(
                f"no warehouse at {self.name}: {self._words(error)}",
                mend="edit environments/<env>.yml: warehouse.url and warehouse.password",
            ) from None
        with connection:
            yield connection

    @contextmanager
    def _errors_of(self, action: str) -> Iterator[None]:
        """The driver's errors as errors of samebook: a server's trouble may pass, a wrong query or value does not."""
        from adbc_driver_postgresql import dbapi

        try:
            yield
        except dbapi.OperationalError as error:
            raise SamebookError(f"{action}: {self._words(error)}", mend="make run, once the server answers") from None
        except (dbapi.Error, ValueError, TypeError, OverflowError) as error:
            raise UsageError(
                f"{action}: {self._words(error)}", mend="make settings shows the warehouse and the tables"
            ) from None

    def _uri(self) -> str:
        options = {name: text for name, text in DEFAULTS.items() if f"{name}=" not in self.settings.url}
        if self.settings.password:
            options["password"] = secret.text(self.settings.password)
        return f"{self.settings.url}{'&' if '?' in self.settings.url else '?'}{urlencode(options, quote_via=quote)}"

    def _words(self, error: Exception) -> str:
        """The server's message, without the driver's words around it, the query, and the password."""
        from samebook.redaction.redactor import Redaction

        message = re.sub(r"(\n\nQuery was: .*)?(\. SQLSTATE: \w+)?$", "", str(error), flags=re.DOTALL)
        message = re.sub(
            r"^.*?(ERROR|FATAL): +|^[A-Z_]+: (\[libpq\] )?(Failed to connect: )?", "", message, flags=re.DOTALL
        )
        name = self.settings.password
        return Redaction({name: secret.optional_text(name)} if name else {}).text(message.strip())


def _fetched(connection: "Connection", sql: str, values: list[object] | None = None) -> "pa.Table":
    with connection.cursor() as cursor:
        # COPY knows no bound values, and takes no comment at a query's end.
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
        cursor.execute(sql, values or None)
        return cursor.fetch_arrow_table()


def _check_rows(connection: "Connection", sql: str, values: list[object]) -> None:
    """Raise TypeError for a statement without rows, which is not run: COPY may write a file, or start a program."""
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
        if not cursor.adbc_execute_schema(sql, values or None).names:
            raise TypeError("found a statement without rows; expected a query")


def _execute(connection: "Connection", sql: str, values: list[object] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)


def _load(connection: "Connection", package: str) -> None:
    """Make the sample's tables from what DuckDB's are made from, all in one transaction."""
    with connection.cursor() as cursor:
        for name, rows in sample.tables(package):
            cursor.adbc_ingest(name, rows)
    connection.commit()


def _with_doubles(rows: "pa.Table") -> "pa.Table":
    """NUMERIC, an average of integers say, as the double that DuckDB makes of it. Raises TypeError for any other type
    that Arrow doesn't have.
    """
    import pyarrow as pa

    for index, field in enumerate(rows.schema):
        if isinstance(field.type, pa.OpaqueType):
            if field.type.type_name != "numeric":
                raise TypeError(f"column {field.name}: found {field.type.type_name}; expected a CAST to a plain type")
            rows = rows.set_column(index, field.name, rows.column(index).cast(pa.float64()))
    return rows


def _frame(rows: "pa.Table") -> "pd.DataFrame":
    """The rows by DuckDB's own conversion, so that both warehouses give the same pandas types."""
    import duckdb

    with duckdb.connect() as memory:
        return frame(memory.from_arrow(rows))
