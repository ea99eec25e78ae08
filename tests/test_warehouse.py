"""The warehouse: found, made from the sample where that is allowed, and read only."""

import threading

import duckdb
import pytest
from tiny import Tiny

from samebook import sample, settings, warehouse
from samebook.errors import UsageError
from samebook.workspace import Workspace


def test_missing_without_sample(tiny: Tiny) -> None:
    """Where no sample may stand in, a missing warehouse is an error that says what mends it."""
    with pytest.raises(UsageError, match=r"no warehouse at data/other.duckdb") as missing:
        warehouse.ensure(Workspace(tiny.root), settings.Warehouse(url="duckdb:///data/other.duckdb"))
    assert "warehouse.url" in str(missing.value.mend)
    assert not (tiny.root / "data").exists()


def test_sample_loaded_once(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that need the sample at once load it once, and find all 336,776 flights."""
    loads: list[object] = []
    load = sample.load
    monkeypatch.setattr(sample, "load", lambda path: (loads.append(path), load(path)))
    here, wanted = Workspace(tiny.root), settings.Warehouse(sample=True)
    both = [threading.Thread(target=warehouse.ensure, args=(here, wanted)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert loads == [tiny.root / "data" / "warehouse.duckdb"]
    rows = warehouse.query(here, wanted, "SELECT count(*) AS n FROM flights", {})
    assert rows["n"].tolist() == [336_776]
    assert {path.suffix for path in (tiny.root / "data").iterdir()} == {".duckdb", ".lock"}


def test_query_is_read_only(tiny: Tiny) -> None:
    """A query can't change the warehouse."""
    (tiny.root / "data").mkdir()
    duckdb.connect(str(tiny.root / "data" / "warehouse.duckdb")).close()
    with pytest.raises(UsageError, match="read-only"):
        warehouse.query(Workspace(tiny.root), settings.Warehouse(), "CREATE TABLE t (n INT)", {})


def test_broken_warehouse_told(tiny: Tiny) -> None:
    """A file that is no database is an error with its name, not a traceback."""
    (tiny.root / "data").mkdir()
    (tiny.root / "data" / "warehouse.duckdb").write_text("no database" * 1000)
    with pytest.raises(UsageError, match=r"query on data/warehouse.duckdb failed"):
        warehouse.query(Workspace(tiny.root), settings.Warehouse(), "SELECT 1", {})
