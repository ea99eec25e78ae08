"""Reproductions in tiny repositories, whose Makefile uses the environment of the tests."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from postgresql import SECRET, PostgreSQL
from reproducing import MAKEFILE, commit, make_repository, reproduce, run
from test_signing import key
from tiny import Tiny, git

from samebook.core import make
from samebook.core.digest import sha256
from samebook.records import receipt
from samebook.reproduction import isolation

pytestmark = pytest.mark.host

MAKE = """
import datetime, pandas, samebook
samebook.write_partition("rows", day, pandas.DataFrame({"n": [1, 2, 3]}))
"""
READ = """
import samebook
from datetime import date
rows = samebook.read_dataset("rows", date(2013, 1, 1), date(2013, 1, 1))
samebook.log_metric("n", rows["n"].sum())
"""

type Repository = Callable[..., Tiny]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Make a repository with the notebook `sum`; other cells by keyword."""
    return partial(make_repository, tmp_path / "workspace")


def test_run_is_reproduced(repository: Repository, tmp_path: Path) -> None:
    """A run is IDENTICAL, exit code 0, and the attestation, signed, names its receipt."""
    tiny = repository()
    trusted = tiny.root / "environments" / "trusted-keys" / "me.pem"
    trusted.parent.mkdir()
    trusted.write_bytes(key(tmp_path / "me.pem"))
    commit(tiny)
    folder = run(tiny)
    ended = reproduce(tiny, SIGNING_KEY=str(tmp_path / "me.pem"))
    assert ended.code == 0, ended.stderr
    assert "IDENTICAL: 2 of 2 subjects" in ended.stdout
    assert "unsigned" not in ended.stderr
    assert tiny.samebook("verify", str(folder / "reproduction-1.json")).code == 0


@pytest.mark.usefixtures("alone")
def test_kernel_starts_as_the_runs(repository: Repository) -> None:
    """A notebook that shows by which program its kernel was started is IDENTICAL: no reproduction is known by it."""
    tiny = repository(work="from pathlib import Path\nprint(Path('/proc/self/cmdline').read_text().split('\\0')[1:3])")
    (tiny.root / "Makefile").write_text(
        MAKEFILE.format(environment="true", samebook=f"{sys.executable} -P -m samebook")
    )
    commit(tiny)
    folder = run(tiny)
    assert "samebook.execution.warm.zygote" in (folder / "notebook.ipynb").read_text()
    assert "IDENTICAL: 2 of 2 subjects" in reproduce(tiny).stdout


def test_warehouse_is_the_callers(repository: Repository, postgresql: PostgreSQL) -> None:
    """A run that queries a warehouse is reproduced on the one that the variables name now."""
    tiny = repository(work="import samebook\nprint(samebook.query('one.sql'))")
    (tiny.root / "notebooks" / "queries").mkdir()
    (tiny.root / "notebooks" / "queries" / "one.sql").write_text("SELECT split_part(version(), ' ', 1) AS kind")
    commit(tiny)
    where = {"SAMEBOOK_WAREHOUSE__URL": postgresql.url(), "SAMEBOOK_WAREHOUSE__PASSWORD": SECRET}
    assert tiny.samebook("run", "sum", **where).code == 0
    ended = tiny.samebook("reproduce", "sum", **where)
    assert "IDENTICAL: 2 of 2 subjects" in ended.stdout, ended.stderr


def test_attestation_of_another_receipt(repository: Repository) -> None:
    """An attestation whose receipt was changed afterwards is refused."""
    tiny = repository()
    folder = run(tiny)
    reproduce(tiny)
    attested = json.loads((folder / "reproduction-1.json").read_text())
    attested["predicate"]["receipt"]["sha256"] = "0" * 64
    (folder / "reproduction-1.json").write_text(json.dumps(attested))
    assert tiny.samebook("verify", str(folder / "reproduction-1.json")).code == 3


def test_renamed_notebook_is_reproduced(repository: Repository) -> None:
    """A notebook that was renamed since, with other parameters, is run as it was at its commit."""
    tiny = repository()
    folder = run(tiny)
    (tiny.root / "notebooks" / "sum.ipynb").unlink()
    tiny.notebook("total", parameters="other: int = 1", work="print(other)")
    commit(tiny)
    ended = reproduce(tiny, folder.name)
    assert ended.code == 0, ended.stderr
    assert "unsigned: the builder's name in it proves nothing to others" in ended.stderr


def test_dirty_run_is_reproduced(repository: Repository) -> None:
    """A run on uncommitted work is reproduced from its patch, new files included."""
    tiny = repository(work="import helper\nprint(helper.N)")
    (tiny.root / "notebooks" / "helper.py").write_text("N = 7\n")
    run(tiny)
    ended = reproduce(tiny)
    assert ended.code == 0, ended.stderr


def test_linked_folders_stay_as_they_are(repository: Repository, tmp_path: Path) -> None:
    """Links in the place of runs, store and data make no run dirty, and a reproduction leaves nothing behind them."""
    tiny = repository(work="import samebook\nsamebook.output_path('n.txt').write_text('6')")
    for name in ("runs", "store", "data"):
        (tmp_path / "large" / name).mkdir(parents=True)
        (tiny.root / name).symlink_to(tmp_path / "large" / name)
    commit_of = receipt.dependency(receipt.read(run(tiny) / "receipt.json"), receipt.COMMIT)
    assert commit_of
    assert commit_of["annotations"] == {"dirty": False}
    ended = reproduce(tiny)
    assert ended.code == 0, ended.stderr
    assert [path.name for path in (tmp_path / "large" / "runs").glob("[0-9]*")] == [tiny.last.name]
    assert list((tmp_path / "large" / "data").iterdir()) == []


def test_environment_that_fails(repository: Repository) -> None:
    """Where that commit's environment can't be made any more, the exit code is 5, and the other engine is named."""
    tiny = repository(environment="false")
    run(tiny)
    ended = reproduce(tiny)
    assert ended.code == 5
    assert "-> again, with ENGINE=docker" in ended.stderr


def test_run_that_fails_now(repository: Repository) -> None:
    """A notebook that fails this time is not reproduced: exit code 3, with its error, and the files that it lacks."""
    read = "import os\nos.path.exists('../data/loose.txt') and open('../data/loose.txt')\n"
    tiny = repository(work=f"{read}assert 'worktree-' not in os.getcwd(), 'not here'")
    (tiny.root / "data").mkdir()
    (tiny.root / "data" / "loose.txt").write_text("loose")
    run(tiny)
    ended = reproduce(tiny)
    lacked = f"the new checkout lacks: 'data/loose.txt' (sha256 {sha256(b'loose')[:12]}…)"
    assert ended.stderr.count(lacked) == 2  # before the run starts, and as a reason
    assert "samebook.find_artifact('data/loose.txt', 'loose.txt')" in ended.stderr
    assert ended.code == 3
    assert "fails this time" in ended.stderr
    assert "not here" in ended.stderr


def test_unknown_commit_is_refused(repository: Repository, tmp_path: Path) -> None:
    """A receipt of a commit that isn't here is refused with the way to get it."""
    tiny = repository()
    statement = (run(tiny) / "receipt.json").read_text()
    (tmp_path / "receipt.json").write_text(statement.replace(git(tiny, "rev-parse", "HEAD").strip(), "1" * 40))
    ended = reproduce(tiny, str(tmp_path / "receipt.json"))
    assert ended.code == 2
    assert "-> git fetch" in ended.stderr


@pytest.fixture
def fed(repository: Repository) -> Tiny:
    """A repository whose notebook has read a partition that nothing there can make again."""
    tiny = repository(read=READ)
    tiny.notebook("make", parameters="from datetime import date\nday: date = date(2013, 1, 1)", work=MAKE)
    commit(tiny)
    assert tiny.samebook("run", "make").code == 0
    run(tiny)
    return tiny


def stored(tiny: Tiny) -> Path:
    digest = json.loads((tiny.root / "data" / "rows" / "day=2013-01-01" / "_origin.json").read_text())["sha256"]
    return tiny.root / "store" / digest[:2] / digest[2:4] / digest


def test_input_comes_from_store(fed: Tiny) -> None:
    """Inputs are read from the store by their hash, whatever the datasets hold by now."""
    (fed.root / "data" / "rows" / "day=2013-01-01" / "part-0.parquet").unlink()
    assert reproduce(fed).code == 0


@pytest.mark.parametrize("spoil", ["flip", "remove"])
def test_missing_input_is_named(fed: Tiny, spoil: str) -> None:
    """An input that is damaged or gone, and that nothing can make again, is named: exit code 3."""
    path = stored(fed)
    path.chmod(0o644)
    if spoil == "flip":
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    else:
        path.unlink()
    ended = reproduce(fed)
    assert ended.code == 3
    assert "rows/day=2013-01-01" in ended.stderr
    assert ("is damaged" in ended.stderr) == (spoil == "flip")


def test_inner_make_gets_no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the make around a reproduction do not reach the make inside it, nor do others of the shell."""
    for name, value in (
        (make.COMMAND_LINE, "BASE_IMAGE RUN SEED"),
        ("RUN", "x"),
        ("SEED", "7"),
        ("BASE_IMAGE", "base"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OWN", "own")
    env = isolation.inherited("0" * 40)
    assert {name: env.get(name) for name in (make.COMMAND_LINE, "RUN", "SEED", "BASE_IMAGE", "OWN")} == {
        make.COMMAND_LINE: None,
        "RUN": None,
        "SEED": None,
        "BASE_IMAGE": "base",
        "OWN": None,
    }
