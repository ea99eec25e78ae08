"""Nothing leaves a run that is only a trial: no day of a dataset, no row of the warehouse, no notice."""

import datetime
from pathlib import Path

import duckdb
import pyarrow
import pytest
from postgresql import SECRET, PostgreSQL
from reproducing import commit, make_repository, reproduce, run
from tiny import Tiny, git
from webhook import serving

from samebook.core.errors import SamebookError
from samebook.core.workspace import Workspace
from samebook.data import warehouse
from samebook.data.publication import Publication
from samebook.execution.preparation import RunRequest
from samebook.reads.pins import Pins
from samebook.records import receipt
from samebook.reproduction import isolation

pytestmark = pytest.mark.forger

DAY = "from datetime import date\nday: date = date(2013, 1, 1)"
WRITE = """
import pandas, samebook
samebook.write_partition("rows", day, pandas.DataFrame({"n": [1, 2, 3]}))
"""
READ = """
import samebook
from datetime import date
rows = samebook.read_dataset("rows", date(2013, 1, 1), date(2013, 1, 1))
samebook.log_metric("n", rows["n"].sum())
"""
MADE = "from datetime import date\nstart: date = date(2013, 1, 1)\nend: date = date(2013, 1, 1)"
NOTIFY = "notify: {webhook: HOOK}\nwatch: {settle: 0, inbox: {rows: daily}}\n"
DIFFERS = "import uuid\nprint(uuid.uuid4())"
INTO = "datasets: {rows: {made_by: make, into: rows}}\nwarehouse: {url: 'duckdb:///data/w.duckdb'}\n"


def test_inner_runs_are_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that a trial's kernel starts, to make an input, is a trial too, and reads the inputs that it must."""
    assert RunRequest("make", {}).pins == Pins()
    trial = Pins({"rows": "a" * 64}, is_trial=True)
    for name, value in trial.write(tmp_path / "pins.json").items():
        monkeypatch.setenv(name, value)
    assert RunRequest("make", {}).pins == trial
    (tmp_path / "pins.json").unlink()  # a process that outlives its run
    assert RunRequest("make", {}).pins == Pins()


@pytest.mark.parametrize("times", [(), ("--times", "2")])
def test_published_days_stay(tiny: Tiny, times: tuple[str, ...]) -> None:
    """Trials of a notebook, and runs of a receipt, leave the published days, and the warehouse, as they are."""
    tiny.notebook("sum", parameters=DAY, work=WRITE)
    (tiny.root / "environments" / "dev.yml").write_text(INTO.replace("made_by: make, ", ""))
    warehouse_file = tiny.root / "data" / "w.duckdb"
    warehouse_file.parent.mkdir()
    duckdb.connect(warehouse_file).close()
    folder = run(tiny)
    with duckdb.connect(warehouse_file) as connection:
        connection.execute("DROP TABLE rows")
    day = tiny.root / "data" / "rows" / "day=2013-01-01" / "part-0.parquet"
    day.write_bytes(b"later")
    again = ("reproduce", "sum", *times) if times else ("run", "--receipt", str(folder / "receipt.json"))
    ended = tiny.samebook(*again)
    assert ended.code == 0, ended.stderr
    assert day.read_bytes() == b"later"
    with duckdb.connect(warehouse_file, read_only=True) as connection:
        assert ("rows",) not in connection.execute("SHOW TABLES").fetchall()
    if not times:  # what read the inputs of a receipt says so, and is no comparison of a gate
        assert receipt.byproduct(receipt.read(tiny.last / "receipt.json"), receipt.PINNED)


@pytest.mark.host
def test_warehouse_is_not_written(tmp_path: Path, postgresql: PostgreSQL) -> None:
    """A reproduction writes no row into the warehouse, also where a run in it makes an input again."""
    database = postgresql.database("aside")
    where = {"SAMEBOOK_WAREHOUSE__URL": postgresql.url(database), "SAMEBOOK_WAREHOUSE__PASSWORD": SECRET}
    tiny = make_repository(tmp_path / "workspace", work=READ)
    tiny.notebook("make", parameters=MADE, work=f"day = start{WRITE}")
    (tiny.root / "environments" / "dev.yml").write_text(INTO)
    commit(tiny)
    run(tiny, **where)
    postgresql.sql("DROP TABLE rows", database)
    for path in (tiny.root / "store").rglob("?" * 64):
        path.unlink()
    ended = reproduce(tiny, "sum", **where)
    assert ended.code == 0, ended.stderr
    assert postgresql.sql("SELECT to_regclass('rows') IS NULL", database) == [(True,)]


@pytest.mark.host
def test_warehouse_is_read_only(postgresql: PostgreSQL, tmp_path: Path) -> None:
    """In a reproduction the server itself refuses to write, also for a commit whose samebook would publish."""
    day = Publication("rows", "rows", datetime.date(2013, 1, 1), "ab" * 32, "run", pyarrow.table({"n": [1]}))
    settings = postgresql.warehouse(postgresql.database("refusing"))
    url = isolation.read_only(f"{settings.url}?options=-c%20statement_timeout%3D1min")
    with pytest.raises(SamebookError, match="read-only transaction"):
        warehouse.publish(Workspace(tmp_path), settings.model_copy(update={"url": url}), day)


@pytest.mark.host
def test_folder_of_a_larger_repository(tmp_path: Path) -> None:
    """A workspace in a folder of a larger repository is reproduced there, its uncommitted changes included; a verdict
    that is not IDENTICAL is no notice to the webhook, and what waits in the inbox stays.
    """
    tiny = make_repository(tmp_path / "large" / "team" / "flights")
    (tiny.root / ".git").rename(tmp_path / "large" / ".git")
    (tiny.root / "environments" / "dev.yml").write_text(NOTIFY)
    commit(Tiny(tmp_path / "large"))
    tiny.notebook("sum", work=DIFFERS)
    waiting = tiny.root / "data" / "inbox" / "rows-2013-01-01.csv"
    waiting.parent.mkdir(parents=True)
    waiting.write_text("n\n1\n")
    with serving(200) as hook:
        folder = run(tiny, HOOK=hook.url)
        ended = reproduce(tiny, "sum", HOOK=hook.url)
    assert (ended.code, "first in cell 1 `work`" in ended.stdout) == (3, True), ended.stdout + ended.stderr
    assert (folder / "reproduction-1.json").is_file()
    assert waiting.is_file()
    assert hook.got == []
    assert "team/flights/notebooks/sum.ipynb" in git(tiny, "status", "--porcelain")
