"""Sizes of images, the time of a rebuild after a change, and the first run in a new clone, which builds one."""

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
    clone = cloned(place)
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


def cloned(place: Place) -> Path:
    """A clone of this repository, with the base image that is used here."""
    clone = place.root / "clone"
    if _output("git", "clone", "--quiet", str(CHECKOUT), str(clone)) is None:
        raise FailedTrial(f"{CHECKOUT} can't be cloned")
    base = CHECKOUT / ".samebook" / "base-image"
    if base.is_file():
        (clone / ".samebook").mkdir()
        shutil.copyfile(base, clone / ".samebook" / "base-image")
    return clone


def make(clone: Path, *words: str, **variables: str) -> float:
    """The seconds that make takes in a clone. Raises FailedTrial."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("SAMEBOOK_", "MAKE", "MFLAGS"))
    }
    began, env = time.perf_counter(), {**inherited, **variables}
    done = subprocess.run(("make", *words), cwd=clone, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedTrial(f"make {words[0]}: {last_words(done.stderr)}")
    return time.perf_counter() - began


def _build(clone: Path) -> float:
    return make(clone, "build", "ENGINE=docker", "TARGETS=runtime", f"SAMEBOOK_TAG={TAG}")


def firsts(place: Place) -> list[dict[str, object]]:
    """Seconds of the example's first run in a new clone, of its next one, and of its reproduction, on each engine.

    Nothing of samebook's own caches is there; what uv and Docker have of the packages stays as it is.
    """
    rows = list[dict[str, object]]()
    for engine in ("local", "docker"):
        if engine == "docker" and _output("timeout", "10", "docker", "version") is None:
            continue
        beside = Place(place.folder(engine), place.plan, place.stack)
        clone, cache = cloned(beside), {"XDG_CACHE_HOME": str(beside.folder("cache")), "SAMEBOOK_TAG": TAG}
        cache |= {"UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))}
        first, again = (make(clone, "run", "NOTEBOOK=train", f"ENGINE={engine}", **cache) for _ in range(2))
        reproduced = make(clone, "reproduce", "RUN=train", f"ENGINE={engine}", **cache)
        rows.append({"engine": engine, "first run s": first, "next s": again, "reproduction s": reproduced})
    return rows


FIRSTS = Survey(
    "first", "the example in a new clone: its first run, the next one, a reproduction", firsts, is_slow=True
)


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
