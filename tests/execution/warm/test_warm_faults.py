"""Many warm runs at a time, with hangs, deaths and kills among them: the others' results are those of cold runs."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_warm import ALL, TRAIN, start, subjects
from tiny import CHECKOUT, PATIENCE, SAMPLE, Tiny, wait_until

from samebook.core import workspace
from samebook.data import sample
from samebook.environment import machine
from samebook.execution import preparation
from samebook.execution.pool import MIN_RUNS, Pool
from samebook.execution.preparation import RunRequest

pytestmark = pytest.mark.timeout(3600)

# The number of runs: `make test-faults` sets many.
RUNS = max(40, 4 * int(os.environ.get("FAULTS", "2")))
AT_A_TIME = 4
GALLERY = sorted(path.stem for path in (CHECKOUT / "tests" / "gallery").glob("*.ipynb"))
# Notebooks that draw, look at the clock, or name a file at random: their results are never twice the same.
FICKLE = {"unseeded_numpy", "unseeded_random", "random_name", "wall_clock"}
# An import warns, which a cell shows: its kernels start cold.
WARNS = {"well_behaved"}
# The shipped notebooks with their parameters, in an order in which their inputs are there.
SHIPPED = {
    "ingest": "start=2013-06-29 end=2013-07-01",
    "intake": "day=2013-07-01 source=data/flights/day=2013-07-01/part-0.parquet",
    "train": "as_of=2013-06-30 train_days=10 holdout_days=3 n_estimators=20",
    "gate": "",
    "predict": "day=2013-07-01 model=train",
    "monitor": "day=2013-07-01 days=2 model=train",
}
PLANTED = {
    "hangs": "import time\ntime.sleep(600)",
    "dies": "import os\nos.kill(os.getpid(), 9)",
    "killed": "import time\ntime.sleep(600)",
}
CODES = {"hangs": 1, "dies": 138, "killed": -signal.SIGKILL}


@dataclass(frozen=True)
class Ended:
    """A run that has ended: its notebook, its exit code, and its folder if it is complete."""

    notebook: str
    code: int
    run: Path | None


def planned(notebooks: Sequence[str]) -> list[str]:
    """The notebooks to run, in order: one in five has a planted fault."""
    chance = random.Random(0)
    return [chance.choice((*PLANTED,)) if n % 5 == 4 else notebooks[n % len(notebooks)] for n in range(RUNS)]


def options(notebook: str) -> list[str]:
    """The options of a shipped notebook's run."""
    return [part for pair in SHIPPED.get(notebook, "").split() for part in ("-p", pair)]


def run(tiny: Tiny, notebook: str, **variables: str) -> Ended:
    """Run a notebook to its end, or to the planted one."""
    limit = ("--timeout", "1") if notebook == "hangs" else ()
    process = tiny.start("run", notebook, *options(notebook), *limit, **variables)
    if notebook == "killed":
        time.sleep(random.Random(process.pid).uniform(0.05, 1.5))
        process.kill()
    stdout, _ = process.communicate(timeout=PATIENCE)
    return Ended(notebook, process.returncode, tiny.root / stdout.split()[0] if process.returncode == 0 else None)


@pytest.mark.long
def test_many(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run ends as it should; warm ones have the subjects of cold ones; nothing stays when all is over."""
    for folder in ("environments", "notebooks"):
        shutil.copytree(CHECKOUT / folder, tiny.root / folder, dirs_exist_ok=True)
    for name in GALLERY:
        shutil.copy(CHECKOUT / "tests" / "gallery" / f"{name}.ipynb", tiny.root / "notebooks")
    (tiny.root / "data").mkdir()
    sample.load_duckdb(tiny.root / "data" / "warehouse.duckdb", SAMPLE)
    tiny.notebook("trains", parameters="n: int = 1", imports=ALL, work=TRAIN)
    for name, source in PLANTED.items():
        tiny.notebook(name, work=source)
    notebooks = ["trains", *SHIPPED, *GALLERY]
    cold = {name: run(tiny, name) for name in notebooks}
    assert [ended.code for ended in cold.values()] == [0] * len(notebooks)

    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    monkeypatch.setattr(machine, "free_memory", lambda: 64 << 30)  # each kind takes a quarter of what counts as enough
    here = workspace.find()
    prepared = [preparation.prepare(here, RunRequest(name, {})) for name in (*notebooks, *PLANTED)]
    with Pool(MIN_RUNS) as pool, ThreadPoolExecutor(AT_A_TIME) as threads:

        def variables(name: str) -> dict[str, str]:
            return pool.variables(name, lambda: prepared, len(prepared))

        wait_until(lambda: all(variables(name) for name in notebooks if name not in WARNS))
        results = list(threads.map(lambda name: run(tiny, name, **variables(name)), planned(notebooks)))

    assert Counter((ended.notebook, ended.code) for ended in results) == Counter(
        (name, CODES.get(name, 0)) for name in planned(notebooks)
    )
    for ended in results:
        if ended.run:
            assert start(ended.run) == ("cold" if ended.notebook in WARNS else "warm")
            assert ended.notebook in FICKLE or subjects(ended.run) == subjects(cold[ended.notebook].run or ended.run)
    wait_until(lambda: not tiny.kernels())
    assert run(tiny, "trains").code == 0
    assert list((tiny.root / "runs" / ".partial").glob("*-*")) == []
