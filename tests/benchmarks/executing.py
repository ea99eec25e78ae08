"""Who executes a notebook: the plain script, the peers, and ours cold and warm."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tiny import CHECKOUT, Tiny

from benchmarks.notebooks import Cells, check_executed, check_printed
from benchmarks.places import Place, Race
from benchmarks.trials import NotThere, Trial, Wrong, last_words

# Saves nothing before the end, shows no progress and logs nothing: the fastest that its command line can be told to be.
BEST = ("--no-progress-bar", "--no-request-save-on-cell-execute", "--autosave-cell-every", "0", "--log-level", "ERROR")
SAMEBOOK = (sys.executable, "-m", "samebook")
WARM_UP = 60


def script(cells: Cells, place: Place, *, lean: bool = False) -> Trial:
    """The cells as a script, in our environment or in papermill's."""
    cells.write(place)
    programs = place.peer("papermill") if lean else Path(sys.executable).parent
    command = (programs / "python", place.root / f"{cells.name}.py")
    return Trial(command, place.folder("script"), place.environ(programs), check=check_printed)


def papermill(cells: Cells, place: Place, *flags: str) -> Trial:
    """The command line of papermill."""
    target = place.folder("papermill" + "-best" * bool(flags)) / f"{cells.name}.ipynb"
    command = ("papermill", *flags, _source(cells, place), target)
    return _notebook(place, "papermill", command, target)


def nbconvert(cells: Cells, place: Place) -> Trial:
    """`jupyter nbconvert --execute`, to a notebook."""
    target = place.folder("nbconvert") / f"{cells.name}.ipynb"
    flags = ("--execute", "--to", "notebook", "--output-dir", target.parent)
    return _notebook(place, "nbconvert", ("jupyter", "nbconvert", *flags, _source(cells, place)), target)


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
        ended = subprocess.run([*SAMEBOOK, "run", name], cwd=workspace.root, env=environ, capture_output=True, check=False)
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
    definition = json.loads((run / "receipt.json").read_text())["predicate"]["buildDefinition"]
    values = {str(value) for value in definition.get("internalParameters", {}).values()}
    return next((word for word in ("warm", "cold") if word in values), "")


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
    for name in ("runs", "store"):
        shutil.rmtree(workspace.root / name, ignore_errors=True)


SUBJECTS: Mapping[str, Callable[[Cells, Place], Trial]] = {
    "script": script,
    "script-lean": partial(script, lean=True),
    "papermill": papermill,
    "papermill-best": lambda cells, place: papermill(cells, place, *BEST),
    "nbconvert": nbconvert,
    "samebook": samebook,
    "samebook-warm": warm,
}


def executed(says: str, cells: Cells, **more: Callable[[Cells, Place], Trial]) -> Race:
    """The case that a notebook is for all of them, and for `more`."""
    subjects = {name: partial(make, cells) for name, make in {**SUBJECTS, **more}.items()}
    return Race(cells.name, says, subjects)


def _source(cells: Cells, place: Place) -> Path:
    return cells.write(place).root / "notebooks" / f"{cells.name}.ipynb"


def _notebook(place: Place, peer: str, command: tuple[str | Path, ...], target: Path) -> Trial:
    """A peer that leaves an executed notebook."""
    environ = place.environ(place.peer(peer))
    return Trial(command, target.parent, environ, partial(target.unlink, missing_ok=True), lambda _: check_executed(target))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
