"""Trials of `samebook run`: cold, beside a warm parent, and by make; and the check of a run."""

import json
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.notebooks import Cells, check_executed
from benchmarks.places import Place
from benchmarks.trials import FailedTrial, MissingTool, Trial, last_words
from tiny import CHECKOUT, Tiny

SAMEBOOK = (sys.executable, "-m", "samebook")
WARM_UP = 60


def samebook(cells: Cells, place: Place) -> Trial:
    """The trial of `samebook run`, with all results of a run: receipt, page, store."""
    workspace = cells.write(place)
    command = (*SAMEBOOK, "run", cells.name)
    check = partial(check_run, workspace)
    return Trial(command, workspace.root, place.samebook_environ(workspace), partial(clear, workspace), check)


def make_run(cells: Cells, place: Place) -> Trial:
    """The trial of `make run` with the local engine."""
    if not (CHECKOUT / ".venv" / ".installed").is_file():
        raise MissingTool("the checkout has no environment of its own: make environment ENGINE=local")
    workspace = cells.write(place)
    command = ("make", "--silent", "-C", CHECKOUT, "run", "ENGINE=local", f"NOTEBOOK={cells.name}")
    check = partial(check_run, workspace)
    return Trial(command, workspace.root, place.samebook_environ(workspace), partial(clear, workspace), check)


def warm(cells: Cells, place: Place) -> Trial:
    """The trial of `samebook run` beside a `samebook warm`."""
    # A workspace of its own, or the cold subject would find the warm parent.
    beside = Place(place.folder("warm"), place.plan, place.stack)
    workspace = cells.write(beside)
    parent = warm_parent(beside, workspace, cells.name)
    trial = samebook(cells, beside)
    check = partial(check_run, workspace, kernel="warm")
    return Trial(trial.command, trial.folder, trial.environ, trial.before, check, beside=parent)


def warm_parent(place: Place, workspace: Tiny, name: str) -> int:
    """Start `samebook warm` for a notebook, and wait for a warm run; it ends with the case. Raises MissingTool."""
    must_have(place, "warm")
    log = (place.root / "warm.log").open("w")
    command, environ = [*SAMEBOOK, "warm", name], place.samebook_environ(workspace)
    parent = subprocess.Popen(command, cwd=workspace.root, env=environ, stdout=log, stderr=subprocess.STDOUT)
    place.stack.callback(_end, parent)
    end = time.monotonic() + WARM_UP
    while time.monotonic() < end and parent.poll() is None:
        clear(workspace)
        ended = subprocess.run(
            [*SAMEBOOK, "run", name], cwd=workspace.root, env=environ, capture_output=True, check=False
        )
        if ended.returncode == 0 and kernel_of(workspace.last) == "warm":
            return parent.pid
    output = last_words(Path(log.name).read_text())
    raise FailedTrial(f"no run was warm after {WARM_UP} s, or `samebook warm` ended ({parent.poll()}): {output}")


def must_have(place: Place, verb: str) -> None:
    """Raise MissingTool where `samebook` has no such command."""
    workspace = place.workspace()
    command, environ = [*SAMEBOOK, verb, "--help"], place.samebook_environ(workspace)
    if subprocess.run(command, cwd=workspace.root, env=environ, capture_output=True, check=False).returncode:
        raise MissingTool(f"no command `samebook {verb}`")


def kernel_of(run: Path) -> str:
    """The kernel of a run, by its receipt: warm, cold, or an empty text."""
    details = json.loads((run / "receipt.json").read_text())["predicate"]["runDetails"]
    byproducts = (entry for entry in details["byproducts"] if entry["name"] == "kernel")
    return next((kind for byproduct in byproducts for kind in byproduct["annotations"]), "")


def check_run(workspace: Tiny, _: str, kernel: str = "") -> None:
    """Raise FailedTrial where the newest run is not whole, or had another kernel."""
    if not workspace.runs:
        raise FailedTrial("expected a run, found none")
    run = workspace.last
    check_executed(run / "notebook.ipynb")
    missing = [name for name in ("receipt.json", "notebook.html", "metrics.json") if not (run / name).is_file()]
    if missing:
        raise FailedTrial(f"the run has no {', '.join(missing)}")
    if kernel and kernel_of(run) != kernel:
        raise FailedTrial(f"expected a {kernel} kernel, the receipt says {kernel_of(run) or 'nothing'}")


def clear(workspace: Tiny) -> None:
    """Delete all runs and the store, so that each run writes all its files."""
    # The address of a warm parent stands in runs/.warm.
    runs = (path for path in (workspace.root / "runs").glob("*") if path.name != ".warm")
    for path in (*runs, workspace.root / "store"):
        shutil.rmtree(path, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
