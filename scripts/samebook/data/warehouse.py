"""The warehouse that queries run on: DuckDB, embedded in a file, or PostgreSQL. Both give the same rows and types."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from samebook.core.workspace import Workspace
from samebook.data import sql
from samebook.data.duckdb_warehouse import DuckDB
from samebook.data.postgresql_warehouse import PostgreSQL
from samebook.data.publication import Publication
from samebook.environment.sections import Warehouse

if TYPE_CHECKING:
    import pandas as pd


def of(workspace: Workspace, settings: Warehouse) -> DuckDB | PostgreSQL:
    """The warehouse that the settings name."""
    return DuckDB(workspace, settings) if settings.url.startswith("duckdb:") else PostgreSQL(settings)


def ensure(workspace: Workspace, settings: Warehouse) -> str:
    """The warehouse's name, once it is there. Raises UsageError where it isn't, and no sample may stand in for it."""
    warehouse = of(workspace, settings)
    warehouse.ensure()
    return warehouse.name


def query(workspace: Workspace, settings: Warehouse, name: str, bound: Mapping[str, Any]) -> "pd.DataFrame":
    """The rows of notebooks/queries/<name>, with its parameters bound, never formatted into the text.

    Raises UsageError for a query or warehouse that isn't usable, SamebookError where the server fails in mid-query.
    """
    warehouse = of(workspace, settings)
    return warehouse.rows(sql.read(workspace, name, warehouse.dialect, bound))


def publish(workspace: Workspace, settings: Warehouse, publication: Publication) -> bool:
    """Put a day of a dataset into its table, in one transaction; False where these bytes are there already.

    Raises UsageError for a table that takes no such rows, SamebookError where the server fails: then nothing changed.
    """
    return of(workspace, settings).publish(publication)


def version(workspace: Workspace, settings: Warehouse) -> tuple[str, str]:
    """The warehouse's name, and a version that changes with its content; "" where that isn't known."""
    warehouse = of(workspace, settings)
    return warehouse.name, warehouse.version()
