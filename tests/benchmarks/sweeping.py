"""A sweep of many parameter sets: papermill in a loop, papermill two at a time, ours."""

import itertools
import json
import shutil
from functools import partial
from pathlib import Path

from benchmarks.executing import BEST
from benchmarks.notebooks import TRAINING, Cells, check_executed
from benchmarks.ours import SAMEBOOK, clear, must_have
from benchmarks.places import Place, Race
from benchmarks.trials import Trial, Wrong
from tiny import Tiny

# The way papermill's own documentation shows: one process, one call a set.
LOOP = """
import json, sys
import papermill
source, sets = sys.argv[1:]
quick = {"progress_bar": False, "request_save_on_cell_execute": False, "autosave_cell_every": 0}
for target, parameters in json.load(open(sets)).items():
    papermill.execute_notebook(source, target, parameters, **quick)
"""
# Whoever sweeps with ours logs what is to be compared.
OURS = Cells("training", {**TRAINING.cells, "metric": "import samebook\nsamebook.log_metric('auc', auc)"})


def grid(runs: int) -> dict[str, list[int | float]]:
    """Seeds and learning rates, which together make so many sets. Raises ValueError where `runs` is no multiple of 10.

    At most 10 rates; the rest are seeds.
    """
    if runs < 10 or runs % 10:
        raise ValueError(f"{runs} runs: expected a multiple of 10")
    return {"seed": list(range(runs // 10)), "rate": [round(0.05 * n, 2) for n in range(1, 11)]}


def sets(runs: int) -> list[dict[str, int | float]]:
    """Every set of the grid, in its order."""
    axes = grid(runs)
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def loop(place: Place) -> Trial:
    """One after the other, in one process, with papermill's fastest options."""
    out = place.folder("loop")
    (place.root / "loop.py").write_text(LOOP)
    targets = {str(out / f"{n}.ipynb"): each for n, each in enumerate(sets(place.plan.runs))}
    (place.root / "loop.json").write_text(json.dumps(targets))
    command = ("python", place.root / "loop.py", _source(place), place.root / "loop.json")
    return _many(place, out, command)


def xargs(place: Place) -> Trial:
    """As many as ours at a time, each the command line with its fastest flags."""
    out = place.folder("xargs")
    lines = (
        f"{out}/{n}.ipynb " + " ".join(f"-p {name} {value}" for name, value in each.items())
        for n, each in enumerate(sets(place.plan.runs))
    )
    (place.root / "xargs.txt").write_text("".join(f"{line}\n" for line in lines))
    parallel = ("xargs", "-a", place.root / "xargs.txt", "-L", "1", "-P", str(place.plan.jobs))
    return _many(place, out, (*parallel, "papermill", *BEST, _source(place)))


def samebook(place: Place) -> Trial:
    """`samebook sweep`, each run with its receipt."""
    must_have(place, "sweep")
    beside = Place(place.folder("ours"), place.plan, place.stack)
    workspace = OURS.write(beside)
    given = " ".join(f"{name}={','.join(map(str, values))}" for name, values in grid(place.plan.runs).items())
    command = (*SAMEBOOK, "sweep", OURS.name, "--grid", given, "--jobs", str(place.plan.jobs))
    check = partial(_check_runs, workspace, place.plan.runs)
    return Trial(command, workspace.root, place.ours(workspace), partial(clear, workspace), check)


SWEEP = Race(
    "sweep",
    "a sweep of the training notebook over seeds and learning rates",
    {"papermill-loop": loop, "papermill-xargs": xargs, "samebook-sweep": samebook},
    against=("papermill-loop", "papermill-xargs"),
)


def _source(place: Place) -> Path:
    return TRAINING.write(place).root / "notebooks" / f"{TRAINING.name}.ipynb"


def _many(place: Place, out: Path, command: tuple[str | Path, ...]) -> Trial:
    def check(_: str) -> None:
        for number in range(place.plan.runs):
            check_executed(out / f"{number}.ipynb")

    def before() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()

    return Trial(command, place.root, place.environ(place.peer("papermill")), before, check)


def _check_runs(workspace: Tiny, runs: int, _: str) -> None:
    found = len(list(workspace.root.glob("runs/*-training-*/receipt.json")))
    if found != runs:
        raise Wrong(f"expected {runs} runs with a receipt, found {found}")
    for run in workspace.runs:
        if "-training-" in run.name:
            check_executed(run / "notebook.ipynb")
