"""Ours: `samebook run` cold, beside a warm parent, and by make; and whether a run did what it should."""

import json
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.notebooks import Cells, check_executed
from benchmarks.places import Place
from benchmarks.trials import NotThere, Trial, Wrong, last_words
from tiny import CHECKOUT, Tiny

SAMEBOOK = (sys.executable, "-m", "samebook")
WARM_UP = 60


def samebook(cells: Cells, place: Place) -> Trial:
    """`samebook run`, with everything that a run leaves: receipt, page, store."""
    workspace = cells.write(place)
    command = (*SAMEBOOK, "run", cells.name)
    ours = partial(check_run, workspace)
    return Trial(command, workspace.root, place.ours(workspace), partial(clear, workspace), ours)


def make_run(cells: Cells, place: Place) -> Trial:
    """`make run`, of the local engine."""
    if not (CHECKOUT / ".venv" / ".installed").is_file():
        raise NotThere("the checkout has no environment of its own: make environment ENGINE=local")
    workspace = cells.write(place)
    command = ("make", "--silent", "-C", CHECKOUT, "run", "ENGINE=local", f"NOTEBOOK={cells.name}")
    ours = partial(check_run, workspace)
    return Trial(command, workspace.root, place.ours(workspace), partial(clear, workspace), ours)


def warm(cells: Cells, place: Place) -> Trial:
    """`samebook run` beside a `samebook warm`."""
    # A workspace of its own, or the cold subject would find the warm parent.
    beside = Place(place.folder("warm"), place.plan, place.stack)
    workspace = cells.write(beside)
    parent = warm_parent(beside, workspace, cells.name)
    trial = samebook(cells, beside)
    check = partial(check_run, workspace, kernel="warm")
    return Trial(trial.command, trial.folder, trial.environ, trial.before, check, beside=parent)


def warm_parent(place: Place, workspace: Tiny, name: str) -> int:
    """Start `samebook warm` for a notebook, until a run is warm; it ends with the case. Raises NotThere."""
    must_have(place, "warm")
    log = (place.root / "warm.log").open("w")
    command, environ = [*SAMEBOOK, "warm", name], place.ours(workspace)
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
    said = last_words(Path(log.name).read_text())
    raise Wrong(f"no run was warm after {WARM_UP} s, or `samebook warm` ended ({parent.poll()}): {said}")


def must_have(place: Place, verb: str) -> None:
    """Raise NotThere where `samebook` has no such command yet."""
    workspace = place.workspace()
    command, environ = [*SAMEBOOK, verb, "--help"], place.ours(workspace)
    if subprocess.run(command, cwd=workspace.root, env=environ, capture_output=True, check=False).returncode:
        raise NotThere(f"no command `samebook {verb}`")


def kernel_of(run: Path) -> str:
    """What the receipt says of the kernel: warm, cold, or nothing."""
    details = json.loads((run / "receipt.json").read_text())["predicate"]["runDetails"]
    told = (each["annotations"] for each in details["byproducts"] if each["name"] == "kernel")
    return next((word for annotations in told for word in annotations), "")


def check_run(workspace: Tiny, _: str, kernel: str = "") -> None:
    """Raise Wrong where the newest run isn't whole, or its kernel wasn't this one."""
    if not workspace.runs:
        raise Wrong("expected a run, found none")
    run = workspace.last
    check_executed(run / "notebook.ipynb")
    missing = [name for name in ("receipt.json", "notebook.html", "metrics.json") if not (run / name).is_file()]
    if missing:
        raise Wrong(f"the run has no {', '.join(missing)}")
    if kernel and kernel_of(run) != kernel:
        raise Wrong(f"expected a {kernel} kernel, the receipt says {kernel_of(run) or 'nothing'}")


def clear(workspace: Tiny) -> None:
    """As if nothing had run yet, so that each run writes all that it keeps."""
    # Where a warm parent listens stands in runs/.warm.
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
