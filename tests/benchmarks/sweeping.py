"""A race to sweep many parameter sets: papermill in a loop, papermill two at a time, samebook."""

import itertools
import json
import shutil
from functools import partial
from pathlib import Path

from benchmarks.executing import BEST
from benchmarks.notebooks import TRAINING, Cells, check_executed
from benchmarks.places import Place, Race
from benchmarks.samebook_runs import SAMEBOOK, clear, must_have
from benchmarks.trials import FailedTrial, Trial
from tiny import Tiny

# The way of papermill's own documentation: one process, one call a set.
LOOP = """
import json, sys
import papermill
source, sets = sys.argv[1:]
quick = {"progress_bar": False, "request_save_on_cell_execute": False, "autosave_cell_every": 0}
for target, parameters in json.load(open(sets)).items():
    papermill.execute_notebook(source, target, parameters, **quick)
"""
# A sweep of samebook compares runs by a metric that they log.
OURS = Cells("training", {**TRAINING.cells, "metric": "import samebook\nsamebook.log_metric('auc', auc)"})


def grid(runs: int) -> dict[str, list[int | float]]:
    """Seeds and learning rates that give `runs` sets. Raises ValueError where `runs` is not a multiple of 10.

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
    """The trial of papermill in one process, set after set, with its fastest options."""
    out = place.folder("loop")
    (place.root / "loop.py").write_text(LOOP)
    targets = {str(out / f"{n}.ipynb"): parameters for n, parameters in enumerate(sets(place.plan.runs))}
    (place.root / "loop.json").write_text(json.dumps(targets))
    command = ("python", place.root / "loop.py", _source(place), place.root / "loop.json")
    return _many(place, out, command)


def xargs(place: Place) -> Trial:
    """The trial of papermill's command line with its fastest flags, as many at a time as ours."""
    out = place.folder("xargs")
    lines = (
        f"{out}/{n}.ipynb " + " ".join(f"-p {name} {value}" for name, value in parameters.items())
        for n, parameters in enumerate(sets(place.plan.runs))
    )
    (place.root / "xargs.txt").write_text("".join(f"{line}\n" for line in lines))
    parallel = ("xargs", "-a", place.root / "xargs.txt", "-L", "1", "-P", str(place.plan.jobs))
    return _many(place, out, (*parallel, "papermill", *BEST, _source(place)))


def samebook(place: Place) -> Trial:
    """The trial of `samebook sweep`, with a receipt for each run."""
    must_have(place, "sweep")
    beside = Place(place.folder("ours"), place.plan, place.stack)
    workspace = OURS.write(beside)
    axes = " ".join(f"{name}={','.join(map(str, values))}" for name, values in grid(place.plan.runs).items())
    command = (*SAMEBOOK, "sweep", OURS.name, "--grid", axes, "--jobs", str(place.plan.jobs))
    check = partial(_check_runs, workspace, place.plan.runs)
    return Trial(command, workspace.root, place.samebook_environ(workspace), partial(clear, workspace), check)


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
    count = len(list(workspace.root.glob("runs/*-training-*/receipt.json")))
    if count != runs:
        raise FailedTrial(f"expected {runs} runs with a receipt, found {count}")
    for run in workspace.runs:
        if "-training-" in run.name:
            check_executed(run / "notebook.ipynb")
