"""The warehouse that queries run on: DuckDB, embedded, in one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samebook import sample
from samebook.errors import UsageError
from samebook.settings import Warehouse
from samebook.workspace import Workspace, locked

if TYPE_CHECKING:
    import pandas as pd


def location(workspace: Workspace, settings: Warehouse) -> Path:
    """The file that `duckdb:///data/warehouse.duckdb` means in this workspace."""
    return workspace.root / settings.url.removeprefix("duckdb:///")


def ensure(workspace: Workspace, settings: Warehouse) -> Path:
    """The warehouse's file, with the sample loaded first where it is missing and the settings say so."""
    path = location(workspace, settings)
    if path.is_file():
        return path
    if not settings.sample:
        raise UsageError(
            f"no warehouse at {workspace.relative(path)}",
            mend="put it there, or name another in environments/<env>.yml: warehouse.url",
        )
    with locked(path.with_suffix(".lock")):
        if not path.is_file():  # another run may have loaded it while this one waited
            sample.load(path)
    return path


def query(workspace: Workspace, settings: Warehouse, sql: str, bound: Mapping[str, Any]) -> "pd.DataFrame":
    """The rows of one query, with its parameters bound, never formatted into the text."""
    import duckdb

    path = ensure(workspace, settings)
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(sql, dict(bound)).df()
    except duckdb.Error as error:
        raise UsageError(f"query on {workspace.relative(path)} failed: {error}") from error
