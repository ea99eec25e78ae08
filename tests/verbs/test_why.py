"""Why two runs differ: one planted change of each kind is found, and a pair that makes its difference only together."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import promoting
import pytest
from reproducing import commit, make_repository
from tiny import Result, Tiny, git

from samebook.environment.numerics import lowered_level

pytestmark = pytest.mark.host

SETTINGS = "datasets: {rows: {made_by: days}}\n"
READ = """
import sys, os, samebook
from features import factor
sys.path.insert(0, "../.packages")
import planted
rows = sum(map(int, samebook.input_path("rows.csv").read_text().split()))
"""
CELLS = {
    "parameters": "n: int = 2\nis_squared: bool = False",
    "read": READ,
    "unused": "label = 'a'",
    "power": "power = 1",
    "machine": "threads = int(os.environ['OMP_NUM_THREADS']); level = os.environ.get('NPY_DISABLE_CPU_FEATURES', '')",
    "sum": "total = rows * n * factor\ntotal = total ** power if is_squared else total\nprint(total)",
    "log": "samebook.log_metric('total', total + threads + bool(level) + planted.VERSION)",
}
# Installs from a lock: a file there is a package's version.
VERSION = "s/^planted==\\([0-9]*\\).*/VERSION = \\1/p"
INSTALL = f"mkdir -p .packages && sed -n '{VERSION}' environments/more.txt >.packages/planted.py"


def lock(version: int) -> str:
    return f"other==1.0\nplanted=={version} \\\n    --hash=sha256:{version:064x}\n"


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository whose notebook `sum` has run once."""
    tiny = make_repository(tmp_path_factory.mktemp("why") / "workspace", INSTALL, **CELLS)
    tiny.notebook("make", work="print(1)")
    (tiny.root / "data").mkdir()
    (tiny.root / "data" / "rows.csv").write_text("1\n2\n3\n")
    (tiny.root / "environments" / "dev.yml").write_text(SETTINGS)
    (tiny.root / "environments" / "more.txt").write_text(lock(1))
    (tiny.root / "notebooks" / "features.py").write_text("# Factors.\n\nfactor = 3\n\n\ndef unused():\n    return 1\n")
    with (tiny.root / ".gitignore").open("a") as stream:
        stream.write("/.packages/\n__pycache__/\n")
    commit(tiny)
    run(tiny)
    return tiny


@pytest.fixture
def tiny(worked: Tiny, tmp_path: Path) -> Tiny:
    """The same, to change."""
    return Tiny(Path(shutil.copytree(worked.root, tmp_path / "workspace", symlinks=True)))


def run(tiny: Tiny, *arguments: str, **variables: str) -> str:
    """The id of a new run, in an environment from the lock."""
    (tiny.root / ".packages").mkdir(exist_ok=True)
    version = (tiny.root / "environments" / "more.txt").read_text().split("planted==")[1].split()[0]
    (tiny.root / ".packages" / "planted.py").write_text(f"VERSION = {version}\n")
    ended = tiny.samebook("run", "sum", *arguments, **variables)
    assert ended.code == 0, ended.stderr
    return next(path.name for path in reversed(tiny.runs) if "-sum-" in path.name)


def first(tiny: Tiny) -> str:
    return next(path.name for path in tiny.runs if "-sum-" in path.name)


def why(tiny: Tiny, after: str, *options: str) -> Result:
    """The answer, after which the checkout is as it was, and nothing of the checkouts aside is left."""
    status, runs = git(tiny, "status", "--porcelain"), tiny.runs
    ended = tiny.samebook("why", first(tiny), after, *options)
    assert (git(tiny, "status", "--porcelain"), tiny.runs) == (status, runs)
    assert not list((tiny.root / ".samebook").glob("worktree-*"))
    return ended


def edit(tiny: Tiny, path: str, old: str, new: str) -> None:
    file = tiny.root / path
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def set_settings(lines: str) -> Callable[[Tiny], object]:
    return lambda tiny: (tiny.root / "environments" / "dev.yml").write_text(SETTINGS + lines)


FACTOR = partial(edit, path="notebooks/features.py", old="factor = 3", new="factor = 4")
CELL = partial(edit, path="notebooks/sum.ipynb", old="n * factor", new="n * factor + 1")
# What is changed, the arguments of the run, and the beginning of the answer.
PLANTED: dict[str, tuple[Callable[[Tiny], object], tuple[str, ...], str]] = {
    "module": (
        FACTOR,
        (),
        "notebooks/features.py, line 3 makes the difference: total 40 became 52, all of the difference\n"
        "  first seen in cell 6 `sum`",
    ),
    "cell": (CELL, (), "notebooks/sum.ipynb, cell 6 `sum` makes the difference: total 40 became 41"),
    "package": (
        lambda tiny: (tiny.root / "environments" / "more.txt").write_text(lock(4)),
        (),
        "package planted (1 became 4) makes the difference: total 40 became 43",
    ),
    "file": (
        lambda tiny: (tiny.root / "data" / "rows.csv").write_text("1\n7\n3\n"),
        (),
        "input rows.csv makes the difference: total 40 became 70",
    ),
    "parameter": (str, ("-p", "n=3"), "parameter n (its default became 3) makes the difference: total 40 became 58"),
    "settings": (
        set_settings("numerics: fast\nthreads: 2\n"),
        (),
        "numerics (portable became fast) makes the difference: total 40 became 39",
    ),
    "threads": (
        set_settings("threads: 3\n"),
        (),
        'threads ({"blas": 1, "openmp": 2} became {"blas": 1, "openmp": 3}) makes the difference: total 40 became 41',
    ),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_change_is_found(tiny: Tiny, kind: str) -> None:
    """A change of each kind is named, among others that make no difference."""
    plant, arguments, expected = PLANTED[kind]
    edit(tiny, "notebooks/sum.ipynb", "label = 'a'", "label = 'b'")
    plant(tiny)
    commit(tiny)
    ended = why(tiny, run(tiny, *arguments))
    assert ended.code == 0, ended.stderr
    assert ended.stdout.startswith(expected), ended.stdout + ended.stderr


DATES = "from datetime import date\nstart: date = date(2013, 1, 1)\nend: date = date(2013, 1, 3)"
DAYS = """
import pandas, samebook
for day in range(start.day, end.day + 1):
    samebook.write_partition("rows", date(2013, 1, day), pandas.DataFrame({"n": [day]}))
"""


def test_day_is_found(tiny: Tiny) -> None:
    """Of the days of a dataset, the one that is another is named."""
    tiny.notebook("days", parameters=DATES, work=DAYS)
    read = "import samebook\nsamebook.log_metric('n', samebook.read_dataset('rows', start, end)['n'].sum())"
    tiny.notebook("sum", parameters=DATES, read=read)
    commit(tiny)
    before = run(tiny)
    edit(tiny, "notebooks/days.ipynb", "[day]", "[day + 5 * (day == 2)]")
    commit(tiny)
    shutil.rmtree(tiny.root / "data" / "rows")
    ended = tiny.samebook("why", before, run(tiny))
    assert ended.code == 0, ended.stderr
    assert ended.stdout.startswith("input rows/day=2013-01-02 makes the difference: n 6 became 11"), ended.stderr


@pytest.mark.skipif(not lowered_level(), reason="this processor has no lower level that could be taken")
def test_processor_is_found(tiny: Tiny) -> None:
    """A lower level of the processor, as on another machine, is named."""
    (tiny.root / "environments" / "dev.yml").write_text(f"{SETTINGS}numerics: fast\n")
    commit(tiny)
    before, after = run(tiny), run(tiny, SAMEBOOK_LOWERED_LEVEL="1")
    ended = tiny.samebook("why", before, after)
    assert ended.code == 0, ended.stderr
    assert "the processor's level (its own became the next lower level) makes the difference" in ended.stdout


def test_pair_is_found_and_search_goes_on(tiny: Tiny) -> None:
    """Two changes that only matter together are said as such; a search whose runs are over goes on where it stopped."""
    edit(tiny, "notebooks/sum.ipynb", "power = 1", "power = 2")
    edit(tiny, "notebooks/features.py", "return 1", "return 2")
    commit(tiny)
    after = run(tiny, "-p", "is_squared=true")
    ended = why(tiny, after, "--runs", "3")
    assert ended.code == 1
    assert "the limit is reached, with 3 runs\n  -> make why A=" in ended.stderr, ended.stderr
    ended = why(tiny, after)
    assert ended.code == 0, ended.stderr
    assert (
        "notebooks/sum.ipynb, cell 4 `power` and parameter is_squared (its default became true) make the difference "
        in (ended.stdout)
    )
    assert "together, and not without each other: total 40 became 1300, all of the difference" in ended.stdout
    assert "run 1, with 0 of" not in ended.stderr


def test_time_is_over(tiny: Tiny) -> None:
    """No run is started once the minutes are over; what came in time is kept, and the search goes on with it."""
    FACTOR(tiny)
    commit(tiny)
    after = run(tiny)
    ended = why(tiny, after, "--minutes", "0.01")
    assert ended.code == 1
    assert "the limit is reached, with 1 run\n  -> make why A=" in ended.stderr, ended.stderr
    ended = why(tiny, after)
    assert ended.code == 0, ended.stderr
    assert ended.stdout.endswith("1 change, 1 new run\n"), ended.stdout


def test_promoted_models(tmp_path: Path) -> None:
    """The runs of two promoted models are taken from their branches; the parameter between them is found."""
    tiny = promoting.create(tmp_path / "models", 3, 5)
    promoting.promote(tiny, 3)
    git(tiny, "branch", "prod")
    promoting.promote(tiny, 5)
    shutil.rmtree(tiny.root / "runs")
    ended = tiny.samebook("why", "delay@prod", "delay@main")
    assert ended.code == 0, ended.stderr
    assert "parameter level (3 became 5) makes the difference: auc 0.3 became 0.5, all of" in ended.stdout


def test_steps_and_shares(tiny: Tiny) -> None:
    """Several changes that each make a part of the difference are told one by one, with their parts."""
    FACTOR(tiny)
    commit(tiny)
    ended = why(tiny, run(tiny, "-p", "n=3"), "--metric", "total")
    assert ended.code == 0, ended.stderr
    assert "2 steps make the difference, total 40 became 76:" in ended.stdout
    assert "line 3 makes the difference: total 40 became 52, 33% of the difference" in ended.stdout
    assert "parameter n (its default became 3) makes the difference: total 52 became 76, 67% of" in ended.stdout


def test_dry_run_lists(tiny: Tiny) -> None:
    """A dry one lists what differs, and runs nothing."""
    FACTOR(tiny)
    edit(tiny, "notebooks/features.py", "return 1", "return 2")
    commit(tiny)
    ended = why(tiny, run(tiny, "-p", "n=3"), "--dry")
    assert ended.code == 0, ended.stderr
    assert "3 changes between the two runs:\n  notebooks/features.py (2 changes)\n  parameter n" in ended.stdout
    assert not (tiny.root / "runs" / ".scratch").is_dir()


def test_changes_that_run_only_together(tiny: Tiny) -> None:
    """A module and a cell that need each other are one step: no run with one of them ends."""
    edit(tiny, "notebooks/features.py", "factor = 3", "times = 4")
    edit(tiny, "notebooks/sum.ipynb", "import factor", "import times as factor")
    commit(tiny)
    ended = why(tiny, run(tiny))
    assert ended.code == 0, ended.stderr
    assert "notebooks/features.py, line 3 and notebooks/sum.ipynb, cell 2 `read` make the difference, and no run" in (
        ended.stdout
    )


def test_what_can_not_be_compared(tiny: Tiny) -> None:
    """Equal runs, runs of two notebooks, a run that gives another result here, and slips of names: each is said."""
    again = run(tiny)
    ended = why(tiny, again)
    assert (ended.code, ended.stdout) == (0, "nothing to explain: what was asked for is the same in both runs\n")
    assert tiny.samebook("run", "make").code == 0
    ended = why(tiny, tiny.last.name)
    assert ended.code == 2
    assert "the runs are of two notebooks" in ended.stderr
    edit(tiny, "notebooks/sum.ipynb", "print(total)", "import random; total += random.random()")
    commit(tiny)
    chance = run(tiny)
    ended = why(tiny, chance, "--metric", "totl")
    assert ended.code == 2
    assert "no metric 'totl'; did you mean total?" in ended.stderr
    ended = why(tiny, chance)
    assert ended.code == 3
    assert f"{chance} gives another result when it is run again here" in ended.stderr
    assert f"-> make reproduce RUN={chance} TIMES=3" in ended.stderr


def test_machine_makes_the_difference(tiny: Tiny, tmp_path: Path) -> None:
    """Where the first run gives the second one's result with nothing changed, the machine makes the difference."""
    outside = tmp_path / "machine"
    edit(tiny, "notebooks/sum.ipynb", "rows * n", f"int(open('{outside}').read()) * n")
    commit(tiny)
    runs = []
    for number in (1, 2):
        outside.write_text(str(number))
        runs.append(run(tiny))
    ended = tiny.samebook("why", *runs)
    assert ended.code == 0, ended.stderr
    assert ended.stdout.startswith("the machine makes the difference: with nothing changed, total 10 became 16"), (
        ended.stdout
    )
