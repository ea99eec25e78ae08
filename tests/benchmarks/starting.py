"""Races to a first answer: help texts, and Lab."""

import socket
import sys
from pathlib import Path

from benchmarks.places import Place, Race
from benchmarks.samebook_runs import SAMEBOOK
from benchmarks.trials import FailedTrial, MissingTool, Trial
from tiny import CHECKOUT

READY = Path(__file__).with_name("ready.py")


def printing(expected: str, place: Place, *command: str | Path, programs: Path | None = None) -> Trial:
    """The trial of a command whose output contains `expected`."""

    def check(printed: str) -> None:
        if expected not in printed:
            raise FailedTrial(f"expected {expected!r} in the output, found none")

    return Trial(command, place.root, place.environ(programs), check=check)


HELP = Race(
    "help",
    "help texts",
    {
        "python": lambda place: printing("bare", place, sys.executable, "-c", "print('bare')"),
        "papermill": lambda place: printing(
            "papermill", place, "papermill", "--help", programs=place.peer("papermill")
        ),
        "samebook": lambda place: printing("samebook", place, *SAMEBOOK, "--help"),
        "make-help": lambda place: printing("make run", place, "make", "--silent", "-C", CHECKOUT, "help"),
    },
    against=("python", "papermill"),
)


def jupyter_lab(place: Place) -> Trial:
    """The trial of `jupyter lab` in an environment with nothing else."""
    port = _free_port()
    command = ("jupyter", "lab", "--no-browser", "--allow-root", "--ip", "127.0.0.1", "--port", port)
    return _lab(place, port, command, place.environ(place.peer("jupyterlab")))


def make_lab(place: Place) -> Trial:
    """The trial of `make lab` with the local engine."""
    if not (CHECKOUT / ".venv" / ".installed").is_file():
        raise MissingTool("the checkout has no environment of its own: make environment ENGINE=local")
    port = _free_port()
    command = ("make", "--silent", "-C", str(CHECKOUT), "lab", "ENGINE=local", f"PORT={port}")
    return _lab(place, port, command, place.environ())


LAB = Race(
    "lab",
    "until Lab answers",
    {"jupyter-lab": jupyter_lab, "make-lab": make_lab},
    against=("jupyter-lab",),
)


def _lab(place: Place, port: str, command: tuple[str, ...], environ: dict[str, str]) -> Trial:
    folder = place.folder(command[0])
    clock = folder / "ready.json"
    return Trial((sys.executable, "-I", "-S", READY, port, clock, *command), folder, environ, clock=clock)


def _free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])
