"""Sizes of images, and the time of a rebuild after a change. Both need a Docker daemon."""

import os
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path

from benchmarks.places import Place, Survey
from benchmarks.trials import FailedTrial, MissingTool, last_words
from tiny import CHECKOUT

TAG = "-bench"
MB = 10**6


def sizes(_: Place) -> list[dict[str, object]]:
    """The images of `make build`, with their sizes in MB."""
    _docker("version")
    rows = []
    for target in ("runtime", "lab"):
        name = f"samebook:{target}"
        size = _output("docker", "image", "inspect", "--format", "{{.Size}}", name)
        listed = _output("docker", "image", "ls", "--format", "{{.Size}}", name)
        # With containerd's image store Docker gives the size to pull; without it the unpacked size, as in the list.
        rows.append(
            {"image": name, "listed": listed or "not built here", "inspected MB": int(size) / MB if size else None}
        )
    return rows


def rebuilt(path: str, line: str, place: Place) -> list[dict[str, object]]:
    """Seconds of `make build` in a clone, of images of its own: without a change, and with a line added to a file."""
    _docker("version")
    clone = _clone(place)
    place.stack.callback(_output, "docker", "image", "rm", "--force", f"samebook:runtime{TAG}")
    _build(clone)
    unchanged = _build(clone)
    with (clone / path).open("a") as file:
        file.write(line)
    return [{"change": "none", "s": unchanged}, {"change": path, "s": _build(clone)}]


SIZES = Survey("images", "sizes of images", sizes)
# JSON may end in blank lines; in the lock the first of a line makes it a comment.
NOTEBOOK = Survey("rebuild", "a change in a notebook, in the image", partial(rebuilt, "notebooks/train.ipynb", "\n"))
LOCK = Survey(
    "rebuild-lock",
    "a change in the lock, in the image",
    partial(rebuilt, "environments/runtime.txt", "# changed\n"),
    is_slow=True,
)


def _clone(place: Place) -> Path:
    clone = place.root / "clone"
    if _output("git", "clone", "--quiet", str(CHECKOUT), str(clone)) is None:
        raise FailedTrial(f"{CHECKOUT} can't be cloned")
    base = CHECKOUT / ".samebook" / "base-image"
    if base.is_file():
        (clone / ".samebook").mkdir()
        shutil.copyfile(base, clone / ".samebook" / "base-image")
    return clone


def _build(clone: Path) -> float:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("SAMEBOOK_", "MAKE", "MFLAGS"))
    }
    command = ("make", "build", "ENGINE=docker", "TARGETS=runtime", f"SAMEBOOK_TAG={TAG}")
    began = time.perf_counter()
    done = subprocess.run(command, cwd=clone, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedTrial(f"make build: {last_words(done.stderr)}")
    return time.perf_counter() - began


def _docker(*arguments: str) -> None:
    if _output("timeout", "10", "docker", *arguments) is None:
        raise MissingTool("no Docker daemon answers")


def _output(*command: str) -> str | None:
    """The output of a command; None where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout.strip()
