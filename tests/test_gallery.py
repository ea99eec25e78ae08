"""The nondeterminism finder, on a gallery of tiny notebooks with one cause each."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tiny import CHECKOUT, PATIENCE, Result, Tiny, wait_until

from samebook.environment import machine, numerics

FICKLE = """
import pathlib
folder = pathlib.Path("../count")
(folder / str(len(list(folder.iterdir())))).touch()
assert len(list(folder.iterdir())) < 3
"""
UNSEEDED = "likely: a generator without a seed"
GALLERY = CHECKOUT / "tests" / "gallery"
# exp, a linear model and svd; a sum by BLAS; KMeans.
NUMERIC = ("processor", "thread_count", "threads_of_openmp")


def found(tiny: Tiny, notebook: str, times: int = 2, **variables: str) -> Result:
    shutil.copy(GALLERY / f"{notebook}.ipynb", tiny.root / "notebooks")
    return tiny.samebook("reproduce", notebook, "--times", str(times), **variables)


@pytest.mark.parametrize(
    ("notebook", "cell", "cause"),
    [
        ("unseeded_numpy", "3 `shuffle`", f"{UNSEEDED} (cell 1 `setup`, line 3: rng = np.random.default_rng())"),
        ("unseeded_random", "2 `shuffle`", f"{UNSEEDED} (line 1: random.shuffle(names))"),
        ("wall_clock", "2 `stamp`", "likely: wall clock (line 1: "),
    ],
)
def test_cause_is_found(tiny: Tiny, notebook: str, cell: str, cause: str) -> None:
    """The first cell that differs is named by its number, with both lines, the likely cause and its fix."""
    ended = found(tiny, notebook)
    assert ended.code == 3
    assert f"cell {cell} differs first\n  run 1   " in ended.stdout
    assert f"{cause}" in ended.stdout
    assert "  fix: " in ended.stdout


def test_thread_count_is_found(tiny: Tiny) -> None:
    """With fast numerics, a sum that only the number of BLAS's threads changes is told apart from chance; tanh is
    another on a processor of a lower level, which is a warning.
    """
    ended = found(tiny, "thread_count", times=3, SAMEBOOK_NUMERICS="fast")
    assert ended.code == 3
    assert "cell 2 `total` differs first" in ended.stdout
    assert (
        "cause: thread count (runs with as many threads are alike)\n  in line 1: print(values @ values)" in ended.stdout
    )
    if numerics.lowered_level():  # else variables can simulate none
        by_processor = ended.stdout.partition("warning: depends on the processor")[2]
        proof = "only the run with a lower level of the processor differs"
        # On AVX-512 the core of BLAS is another one than on the level below, and the sum differs before.
        cell, line = ("2 `total`", "values @ values") if machine.level() == 4 else ("3 `powers`", "np.exp(values)")
        assert f"cell {cell} differs first" in by_processor
        assert f"cause: processor ({proof})\n  in line 1: print({line}" in by_processor
        assert "  fix: numerics: portable" in by_processor


def test_set_order_is_found(tiny: Tiny) -> None:
    """The order of a set, which the fixed hash seed hides, is a warning; the newest run has the fixed seed."""
    ended = found(tiny, "set_order")
    assert ended.code == 0
    assert "warning: depends on PYTHONHASHSEED" in ended.stdout
    assert "cause: set order (only the run with PYTHONHASHSEED=1 differs)\n  in cell 1 `carriers`" in ended.stdout
    assert '"PYTHONHASHSEED": "0"' in (trials(tiny)[-1] / "receipt.json").read_text()


def test_file_order_is_found(tiny: Tiny) -> None:
    """The order in which a folder lists its files, which one machine never changes, is a warning."""
    ended = found(tiny, "file_order")
    assert ended.code == 0
    assert "warning: file order may be another on another machine (cell 3 `list`, line 1: " in ended.stdout


def test_random_name_is_found(tiny: Tiny) -> None:
    """Files that differ while no cell shows it are named, with the run that has them."""
    ended = found(tiny, "random_name")
    assert ended.code == 3
    assert "no cell shows a difference, but files differ\nlikely: random name (cell 2 `save`" in ended.stdout
    assert ".csv: only in run 2" in ended.stdout


@pytest.mark.parametrize("notebook", ["object_address", "well_behaved"])
def test_same_is_same(tiny: Tiny, notebook: str) -> None:
    """Addresses, progress bars, styled tables, figures, warnings and split streams make no run another."""
    ended = found(tiny, notebook)
    assert (ended.code, ended.stdout) == (0, "IDENTICAL: 2 runs, with 1 core and 2 cores\n")


@pytest.mark.skipif(machine.cores() < 2, reason="a machine of one core has no second number")
def test_portable_numerics_mend_it(tiny: Tiny) -> None:
    """With portable numerics all of them are the same in a sweep, alone, and on one core with a shell's lower level."""
    contents = (json.loads((GALLERY / f"{notebook}.ipynb").read_text()) for notebook in NUMERIC)
    cells = [
        "".join(cell["source"]) for content in contents for cell in content["cells"] if cell["cell_type"] == "code"
    ]
    tiny.notebook("numeric", parameters="n: int = 1", **{f"cell-{number}": cell for number, cell in enumerate(cells)})
    assert tiny.samebook("sweep", "numeric", "--grid", "n=1,2", "--jobs", "2").code == 0
    assert tiny.samebook("run", "numeric", "-p", "n=1").code == 0
    command = ("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), *tiny.command("run", "numeric", "-p", "n=1"))
    subprocess.run(command, cwd=tiny.root, env=tiny.environ(**numerics.lowered_level()), check=True)
    canonical = [(run / "notebook.canonical.json").read_bytes() for run in tiny.runs]
    assert sorted(canonical.count(content) for content in set(canonical)) == [1, 3]


def test_trials_are_set_aside(tiny: Tiny) -> None:
    """Trials are no results: afterwards a notebook's newest run is still the one that its author made."""
    tiny.notebook("work", work="print(1)")
    tiny.samebook("run", "work")
    made = tiny.runs
    tiny.samebook("reproduce", "work", "--times", "2")
    assert tiny.runs == made


def trials(tiny: Tiny) -> list[Path]:
    """The runs that were made to compare, oldest first."""
    return sorted((tiny.root / "runs" / ".scratch").glob("[0-9]*"))


def test_failing_notebook(tiny: Tiny) -> None:
    """A notebook that fails has its own exit code, and its own words."""
    tiny.notebook("broken", work="1 / 0")
    ended = tiny.samebook("reproduce", "broken", "--times", "2")
    assert ended.code == 1
    assert "error: run 0 failed: cell `work` (1 of 1) raised ZeroDivisionError" in ended.stderr


def test_unknown_notebook(tiny: Tiny) -> None:
    """What is no notebook, run or receipt is refused before anything runs."""
    ended = tiny.samebook("reproduce", "trian", "--times", "2")
    assert (ended.code, tiny.runs) == (2, [])


def test_second_failure_is_told(tiny: Tiny) -> None:
    """A notebook that fails only now and then is not reproduced: the run that failed is named."""
    (tiny.root / "count").mkdir()
    tiny.notebook("fickle", work=FICKLE)
    ended = tiny.samebook("reproduce", "fickle", "--times", "2")
    assert ended.code == 3
    assert "error: run 2 failed where run 1 was complete: cell `work` (1 of 1) raised AssertionError" in ended.stderr


def test_interrupted_finder_stops_all(tiny: Tiny) -> None:
    """Ctrl-C ends the finder and the run that is under way, and no kernel stays."""
    tiny.notebook("slow", work="import pathlib, time; pathlib.Path('../started').touch(); time.sleep(600)")
    finder = tiny.start("reproduce", "slow", "--times", "2")
    wait_until((tiny.root / "started").exists)
    finder.send_signal(signal.SIGINT)
    assert finder.wait(PATIENCE) == 130
    finder.communicate()
