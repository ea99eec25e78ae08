"""Sizes of images, and how long a change takes to be in them: only where a Docker daemon answers."""

import os
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path

from benchmarks.places import Place, Survey
from benchmarks.trials import NotThere, Wrong, last_words
from tiny import CHECKOUT

TAG = "-bench"
MB = 10**6


def sizes(_: Place) -> list[dict[str, object]]:
    """The images that `make build` made, with their sizes in MB."""
    _docker("version")
    rows = []
    for target in ("runtime", "lab"):
        name = f"samebook:{target}"
        told = _asked("docker", "image", "inspect", "--format", "{{.Size}}", name)
        listed = _asked("docker", "image", "ls", "--format", "{{.Size}}", name)
        # An engine with containerd's image store tells what is pulled, an older one what is unpacked, like the list.
        rows.append(
            {"image": name, "listed": listed or "not built here", "inspected MB": int(told) / MB if told else None}
        )
    return rows


def rebuilt(path: str, line: str, place: Place) -> list[dict[str, object]]:
    """Seconds of `make build` in a clone: of nothing new, and after a line is added to a file; images of its own."""
    _docker("version")
    clone = _clone(place)
    place.stack.callback(_asked, "docker", "image", "rm", "--force", f"samebook:runtime{TAG}")
    _build(clone)
    nothing = _build(clone)
    with (clone / path).open("a") as file:
        file.write(line)
    return [{"change": "none", "s": nothing}, {"change": path, "s": _build(clone)}]


SIZES = Survey("images", "what images weigh", sizes)
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
    if _asked("git", "clone", "--quiet", str(CHECKOUT), str(clone)) is None:
        raise Wrong(f"{CHECKOUT} can't be cloned")
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
        raise Wrong(f"make build: {last_words(done.stderr)}")
    return time.perf_counter() - began


def _docker(*arguments: str) -> None:
    if _asked("timeout", "10", "docker", *arguments) is None:
        raise NotThere("no Docker daemon answers")


def _asked(*command: str) -> str | None:
    """What a command prints; None where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout.strip()
