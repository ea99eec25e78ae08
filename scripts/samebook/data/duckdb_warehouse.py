"""DuckDB as the warehouse: embedded, in one file."""

import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from samebook.core.errors import SamebookError, UsageError
from samebook.core.file_lock import hold
from samebook.core.workspace import Workspace
from samebook.data import sample
from samebook.data.publication import COLUMNS, CREATE, FORGET, INSERT, KNOWN, REMEMBER, Publication
from samebook.data.sql import Query, frame
from samebook.environment.sections import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pandas as pd
    import pyarrow as pa

# Seconds that a reader waits for a writer, and a writer for readers.
PATIENCE, PAUSE = 60, 0.1
# A query reads the warehouse alone: no file (COPY, ATTACH, read_text), no extension, and no variable of the notebook.
CLOSED: dict[str, bool | float | int | list[str] | str] = {
    "enable_external_access": False,
    "python_enable_replacements": False,
}
THERE = "SELECT 1 FROM duckdb_tables() WHERE table_name = $1"


@dataclass(frozen=True)
class DuckDB:
    """`duckdb:///data/warehouse.duckdb`, a file in the workspace."""

    workspace: Workspace
    settings: Warehouse
    dialect: ClassVar[str] = "duckdb"

    @property
    def path(self) -> Path:
        return self.workspace.root / self.settings.url.removeprefix("duckdb:///")

    @property
    def name(self) -> str:
        return self.workspace.relative(self.path)

    def version(self) -> str:
        """The sizes and modification times of the file and of its write-ahead log; "" where there is no file."""
        files = [self.path, self.path.with_name(f"{self.path.name}.wal")]
        states = [path.stat() for path in files if path.is_file()]
        written = (f"{state.st_size} bytes, written {state.st_mtime_ns}" for state in states)
        return "; ".join(written) if self.path.is_file() else ""

    def ensure(self) -> None:
        """Load the sample where the warehouse is missing and the settings name one. Raises UsageError for none."""
        if self.path.is_file():
            return
        if not self.settings.sample:
            raise UsageError(
                f"no warehouse at {self.name}",
                mend="edit environments/<env>.yml: warehouse.url",
            )
        with hold(self.path.with_suffix(".lock")):
            if not self.path.is_file():  # another run may have loaded it while this one waited
                sample.load_duckdb(self.path, self.settings.sample)

    def rows(self, query: Query) -> "pd.DataFrame":
        """The rows of a query, which can't change anything."""
        import duckdb

        self.ensure()
        try:
            with self._connected(read_only=True) as connection:
                return frame(connection.execute(query.sql, dict(query.bound)))
        except duckdb.Error as error:
            raise UsageError(
                f"{query.name} on {self.name} failed: {error}", mend=f"edit notebooks/queries/{query.name}"
            ) from error

    def publish(self, publication: Publication) -> bool:
        """Replace the rows of a day in one transaction; False where the table holds them already."""
        import duckdb

        self.ensure()
        try:
            with hold(self.path.with_suffix(".lock")), self._connected(read_only=False) as connection:
                return _published(connection, publication)
        except duckdb.IOException as error:
            raise SamebookError(
                f"{self.name} can't be written: {error}", mend="make run, once nothing else writes to it"
            ) from error
        except duckdb.Error as error:
            what = f"table {publication.table} of {self.name} does not take {publication.dataset}"
            raise UsageError(
                f"{what}: {error}",
                mend=f"edit environments/<env>.yml: datasets.{publication.dataset}.into, another table",
            ) from error

    @contextmanager
    def _connected(self, *, read_only: bool) -> "Iterator[duckdb.DuckDBPyConnection]":
        """A connection. DuckDB lets in one writer or several readers; the others wait here."""
        import duckdb

        until = time.monotonic() + PATIENCE
        while True:
            try:
                config = CLOSED if read_only else {}
                connection = duckdb.connect(str(self.path), read_only=read_only, config=config)
                break
            except duckdb.IOException as error:
                if "lock" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(PAUSE)
        with connection:
            yield connection


def _published(connection: "duckdb.DuckDBPyConnection", publication: Publication) -> bool:
    connection.begin()
    connection.execute(CREATE)
    is_there = bool(connection.execute(THERE, [publication.table]).fetchall())
    if is_there:
        is_known = connection.execute(KNOWN, publication.key).fetchall() == [(publication.digest,)]
        if is_known and connection.execute(publication.count, publication.key[1:]).fetchall() == [
            (publication.rows.num_rows,)
        ]:
            return False
    else:
        connection.from_arrow(publication.dated().slice(0, 0)).create(publication.table)
    columns: pa.Table = connection.sql(COLUMNS.substitute(table=publication.table)).to_arrow_table()
    rows = publication.fitted(columns.schema)
    connection.register("arrived", rows)
    connection.execute(publication.clear, publication.key[1:])
    connection.execute(INSERT.substitute(table=publication.table))
    publication.check_kept(rows, connection.sql(publication.kept, params=publication.key[1:]).to_arrow_table())
    connection.execute(FORGET, publication.key)
    connection.execute(REMEMBER, [*publication.key, publication.digest, publication.run])
    connection.commit()
    return True
