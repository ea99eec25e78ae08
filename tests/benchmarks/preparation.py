"""The preparation of cases: notebooks, repositories and data in their place."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks import places
from benchmarks.notebooks import FILL, MODEL, TRAINING
from benchmarks.places import Place
from benchmarks.trials import FailedTrial, MissingTool, last_words
from tiny import CHECKOUT, Tiny, git

SAMEBOOK = (sys.executable, "-m", "samebook")


def notebook(name: str, cells: Mapping[str, str], place: Place, workspace: str = "workspace") -> None:
    """Write a notebook into a committed workspace, and its cells as a script into the folder of the case."""
    place.workspace(workspace).notebook(name, **cells)
    places.commit(place.root / workspace)
    (place.root / f"{name}.py").write_text("\n\n".join(cells.values()) + "\n")


def training(files: Mapping[str, str], place: Place) -> None:
    """Write the training notebook, and files of these texts."""
    notebook("training", TRAINING, place)
    for name, text in files.items():
        (place.folder(str(Path(name).parent)) / Path(name).name).write_text(text)


def fill(folder: Path, level: int) -> None:
    call(folder.parent, os.environ, sys.executable, "-c", f"{FILL}\nfill({folder.name!r}, {level})")


def models(place: Place) -> None:
    """A workspace with two branches, each with a model of its own; and a model's files outside of it."""
    notebook("train", MODEL, place)
    workspace = place.workspace()
    environ = place.samebook_environ(workspace)
    for level in (1, 2):
        git(workspace, "switch", "--quiet", "--create", f"level-{level}", "main")
        call(workspace.root, environ, *SAMEBOOK, "run", "train", "-p", f"level={level}")
        call(workspace.root, environ, *SAMEBOOK, "promote", workspace.last.name, "delay")
    call(workspace.root, environ, *SAMEBOOK, "models")
    fill(place.root / "model", 1)


def dvc(place: Place) -> None:
    """A repository with DVC at its fastest, with links, and two branches, each with a model of its own."""
    root, environ = place.folder("dvc"), place.environ(places.programs("dvc"))
    places.commit(root)
    call(root, environ, "dvc", "init", "--quiet")
    for option in ("cache.type=hardlink,symlink", "core.analytics=false", "core.check_update=false"):
        call(root, environ, "dvc", "config", *option.split("="))
    places.commit(root)
    for level in (1, 2):
        git(Tiny(root), "switch", "--quiet", "--create", f"level-{level}", "main")
        shutil.rmtree(root / "model", ignore_errors=True)
        fill(root / "model", level)
        call(root, environ, "dvc", "add", "--quiet", "model")
        places.commit(root)


def rows(count: int, place: Place) -> None:
    """Rows to score, and a model for them."""
    clocked = str(Path(__file__).with_name("clocked.py"))
    call(place.folder("rows"), place.environ(), sys.executable, clocked, "make", str(count))


def clone(name: str, place: Place) -> None:
    """Clone this repository, with the base image that is used here."""
    call(place.root, place.environ(), "git", "clone", "--quiet", str(CHECKOUT), name)
    base = Path(".samebook") / "base-image"
    if (CHECKOUT / base).is_file():
        (place.root / name / base).parent.mkdir()
        shutil.copyfile(CHECKOUT / base, place.root / name / base)


def example(place: Place) -> None:
    """A clone that has run the training: the days of its datasets are made."""
    clone("clone", place)
    call(place.root, place.samebook_environ(Tiny(place.root / "clone")), *SAMEBOOK, "run", "train")


def without_image(image: str, place: Place) -> None:
    """Remove an image, now and at the end of the case. Raises MissingTool without Docker."""
    remove = ("sh", "-c", f"timeout 10 docker image rm --force {image}")
    if subprocess.run(remove, capture_output=True, check=False).returncode:
        raise MissingTool("no Docker daemon answers")
    place.stack.callback(subprocess.run, remove, capture_output=True, check=False)


def call(folder: Path, environ: Mapping[str, str], *command: str) -> None:
    """Run a command that prepares a trial. Raises FailedTrial."""
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedTrial(f"{' '.join(command)}: exit code {done.returncode}: {last_words(done.stdout + done.stderr)}")
