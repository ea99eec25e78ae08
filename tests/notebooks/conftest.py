"""The real sample, the real notebooks: one kernel for each notebook and module, queries on a warehouse of our own."""

import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from tiny import SAMPLE

from samebook.data import sample
from samebook.testing import notebook

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))  # where `import flights` finds it, as in a notebook

__all__ = ["notebook"]

type Ask = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def sample_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole sample, loaded once."""
    path = tmp_path_factory.mktemp("sample") / "warehouse.duckdb"
    sample.load_duckdb(path, SAMPLE)
    return path


@pytest.fixture
def warehouse(sample_warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The sample in a transaction: what a test changes is undone after it."""
    with duckdb.connect(str(sample_warehouse)) as connection:
        connection.begin()
        yield connection
        connection.rollback()


@pytest.fixture
def ask(warehouse: duckdb.DuckDBPyConnection) -> Ask:
    """`ask("flights", start, end=start)`: the rows of a query file on the warehouse."""

    def rows(name: str, start: date, end: date | None = None) -> pd.DataFrame:
        sql = (NOTEBOOKS / "queries" / f"{name}.sql").read_text()
        return warehouse.execute(sql, {"start": start, "end": end or start}).df()

    return rows


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, sample_warehouse: Path) -> Path:
    """A checkout's notebooks and environments with the sample loaded, and nothing run yet: to be copied."""
    folder = tmp_path_factory.mktemp("prepared")
    for name in ("environments", "notebooks"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "data").mkdir()
    shutil.copyfile(sample_warehouse, folder / "data" / "warehouse.duckdb")
    return folder


@pytest.fixture
def workspace(tmp_path: Path, prepared: Path) -> Path:
    """A copy of it of a test's own."""
    return shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
