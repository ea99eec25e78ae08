"""DuckDB as the warehouse: embedded, in one file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from samebook import sample
from samebook.errors import UsageError
from samebook.settings import Warehouse
from samebook.sql import Query
from samebook.workspace import Workspace, locked

if TYPE_CHECKING:
    import pandas as pd


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
        """Size and time of the last write: nothing is written without a change of these."""
        found = self.path.stat()
        return f"{found.st_size} bytes, written {found.st_mtime_ns}"

    def ensure(self) -> None:
        """Find it there; the sample is loaded first where it is missing and the settings say so."""
        if self.path.is_file():
            return
        if not self.settings.sample:
            raise UsageError(
                f"no warehouse at {self.name}",
                mend="put it there, or name another in environments/<env>.yml: warehouse.url",
            )
        with locked(self.path.with_suffix(".lock")):
            if not self.path.is_file():  # another run may have loaded it while this one waited
                sample.load(self.path)

    def rows(self, query: Query) -> "pd.DataFrame":
        """The rows of a query, which can't change anything."""
        import duckdb

        self.ensure()
        try:
            with duckdb.connect(str(self.path), read_only=True) as connection:
                return connection.execute(query.sql, dict(query.bound)).df()
        except duckdb.Error as error:
            raise UsageError(f"{query.name} on {self.name} failed: {error}") from error
