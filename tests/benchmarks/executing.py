"""Races of a notebook: as a plain script, by the peers, by samebook cold and warm."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from benchmarks import samebook_runs
from benchmarks.notebooks import Cells, check_executed, check_printed
from benchmarks.places import Place, Race
from benchmarks.trials import Trial

# The fastest flags of papermill's command line: it saves only at the end, shows no progress and logs nothing.
BEST = ("--no-progress-bar", "--no-request-save-on-cell-execute", "--autosave-cell-every", "0", "--log-level", "ERROR")


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


SUBJECTS: Mapping[str, Callable[[Cells, Place], Trial]] = {
    "script": script,
    "script-lean": partial(script, lean=True),
    "papermill": papermill,
    "papermill-best": lambda cells, place: papermill(cells, place, *BEST),
    "nbconvert": nbconvert,
    "samebook": samebook_runs.samebook,
    "samebook-warm": samebook_runs.warm,
}


def notebook_race(title: str, cells: Cells, **more: Callable[[Cells, Place], Trial]) -> Race:
    """The race of all subjects, and of `more`, to execute a notebook."""
    subjects = {name: partial(make, cells) for name, make in {**SUBJECTS, **more}.items()}
    return Race(cells.name, title, subjects)


def _source(cells: Cells, place: Place) -> Path:
    return cells.write(place).root / "notebooks" / f"{cells.name}.ipynb"


def _notebook(place: Place, peer: str, command: tuple[str | Path, ...], target: Path) -> Trial:
    """The trial of a peer that writes an executed notebook."""
    environ = place.environ(place.peer(peer))
    return Trial(
        command, target.parent, environ, partial(target.unlink, missing_ok=True), lambda _: check_executed(target)
    )
