"""The outputs and metrics of a run, once it has ended: regular files with plain names, which a receipt can hash."""

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from samebook.core.digest import json_bytes
from samebook.core.errors import PolicyRefused, UsageError
from samebook.core.file_lock import acquire
from samebook.core.workspace import Workspace, copy_whole
from samebook.reads import pins, undeclared
from samebook.records import run_folder
from samebook.redaction.redactor import Redaction

# Files that are named.
SHOWN = 3
BESIDE_LOCK, GATE = ".beside.lock", ".gate.lock"
LEFT_OUT = "is left out: it is a link that leads nowhere, around, or to a folder outside"


def normalize(folder: Path, workspace: Path) -> list[str]:
    """Make each entry below a run's outputs a regular file with a plain name; returns a line for each that changed.

    A link becomes its content, a hard one too: a file that has another name elsewhere can be changed there. One without
    a content of its own is left out, as pipes and sockets are: it leads nowhere, around itself, or to a folder outside
    (which may be large, and no part of the result). A file from outside is recorded as an undeclared input, as the run
    has not made it. Raises UsageError where the folder itself has become a link, as its target is not the run's to
    change.
    """
    if folder.is_symlink():
        raise UsageError(
            f"{folder.name} is a link to {folder.readlink()}; expected the folder that the run was given",
            mend="samebook.output_path(…) gives a path inside that folder",
        )
    folder = folder.resolve()
    notes = list(_make_readable(folder))
    for path in sorted(folder.rglob("*")):
        name = ascii(path.relative_to(folder.parent).as_posix())[1:-1]
        if path.is_symlink():
            is_kept = _resolve(path, folder, workspace)
            notes.append(f"{name} {'was a link: its content is kept' if is_kept else LEFT_OUT}")
        elif path.is_file() and path.stat().st_nlink > 1:
            copy_whole(path, path)
            notes.append(f"{name} was a hard link: its content is kept")
        elif not path.is_file() and not path.is_dir():
            path.unlink()
            notes.append(f"{name} is left out: it is not a file")
    return notes + _rename(folder)


@contextmanager
def alone(workspace: Workspace, patterns: Sequence[str], say: Callable[[str], None]) -> Iterator[None]:
    """Hold other runs of this workspace back inside the block, where files beside notebooks become results.

    Two runs at once could take each other's files. Runs without patterns take none, and wait only for one with; a run
    that another run has started, by a cell or to make an input, waits for none, as that one waits for it. One
    that waits to take files holds the gate, so that runs that begin later are behind it.
    """
    if "SAMEBOOK_RUN" in os.environ or Path(os.environ.get(pins.VARIABLE, "")).is_file():
        yield
        return
    folder, shared = workspace.runs / ".partial", not patterns
    gate = _acquire(folder / GATE, say, shared=shared)
    try:
        descriptor = _acquire(folder / BESIDE_LOCK, say, shared=shared)
    finally:
        os.close(gate)
    try:
        yield
    finally:
        os.close(descriptor)


def _acquire(path: Path, say: Callable[[str], None], *, shared: bool) -> int:
    """A descriptor that holds the file; `say` hears where it is held by another run."""
    if (descriptor := acquire(path, wait=False, shared=shared)) is None:
        say("waits for another run to end: with outputs: in the settings, runs take their files one after the other")
        descriptor = acquire(path, shared=shared)
    assert descriptor is not None
    return descriptor


def beside(folder: Path) -> dict[Path, int]:
    """The files in the folder of a notebook that are neither code nor caches, with the time of their last change."""
    times = dict[Path, int]()
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        for path in (Path(place, name) for name in names if not name.endswith((".py", ".ipynb"))):
            with suppress(OSError):  # gone again
                times[path] = path.stat().st_mtime_ns
    return times


def take(folder: Path, before: dict[Path, int], patterns: Iterable[str], into: Path) -> list[str]:
    """Take what a notebook has written beside itself, as far as the settings name it, among the outputs of its run.

    Returns a line about the rest. A file that was there before stays, too; a result of its name is kept as it is.
    """
    matches = (path for pattern in patterns for path in folder.glob(pattern))
    matching = {file for path in matches for file in ((path, *path.rglob("*")) if path.is_dir() else (path,))}
    taken = dict[Path, int]()
    for path, time in beside(folder).items():
        target = into / path.relative_to(folder)
        if (
            path in matching
            and before.get(path) != time
            and path.is_file()
            and not path.is_symlink()
            and not target.exists()
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_whole(path, target)
            taken[path] = time
            if path not in before:
                path.unlink()
    return [line] if (line := written_beside(folder, {**before, **taken})) else []


def written_beside(folder: Path, before: dict[Path, int]) -> str:
    """A note on the files that a notebook has written beside itself, which are no result; "" where there are none."""
    names = sorted(str(path.relative_to(folder)) for path, time in beside(folder).items() if before.get(path) != time)
    if not names:
        return ""
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    way = f"samebook.output_path({names[0]!r}) makes it one, or outputs: in the settings"
    return f"{shown}: written beside the notebook, and no result; {way}"


def write_metrics(run: Path, redaction: Redaction) -> None:
    """Write the metrics of a run. Raises PolicyRefused for one that is a secret, as a number can't be redacted."""
    metrics = redaction.value({event["name"]: event["value"] for event in run_folder.events(run, "metric")})
    for name, value in metrics.items():
        if isinstance(value, str):
            raise PolicyRefused(
                f"metric {name} is a secret: {value}", mend=f"leave samebook.log_metric({name!r}, …) out"
            )
    (run / run_folder.METRICS).write_bytes(json_bytes(metrics))


def _make_readable(folder: Path) -> Iterator[str]:
    """Let the owner read what is not readable, and enter each folder; a line for each that changed."""
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IRWXU)
    for place, folders, names in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *names)):
            state = path.lstat()
            needed = stat.S_IRWXU if stat.S_ISDIR(state.st_mode) else stat.S_IRUSR
            if not stat.S_ISLNK(state.st_mode) and state.st_mode & needed != needed:
                path.chmod(stat.S_IMODE(state.st_mode) | needed)
                name = ascii(path.relative_to(folder.parent).as_posix())[1:-1]
                yield f"{name} was not readable: now its owner may read it"


def _resolve(path: Path, folder: Path, workspace: Path) -> bool:
    """Replace a link by its content; whether it has one."""
    target = path.resolve()
    is_beside = target.is_relative_to(folder) and not path.is_relative_to(target)
    path.unlink()
    if target.is_file():
        if not target.is_relative_to(folder):
            undeclared.record(folder.parent, str(target), str(workspace))
        copy_whole(target, path)
    elif target.is_dir() and is_beside:
        shutil.copytree(target, path, ignore=_links_to_folders)
    return path.exists()


def _links_to_folders(folder: str, names: list[str]) -> list[str]:
    """The names that are not copied with a folder: links to folders, which may lead around, pipes and sockets."""
    paths = [Path(folder, name) for name in names]
    return [path.name for path in paths if not path.is_file() and (path.is_symlink() or not path.is_dir())]


def _rename(folder: Path) -> list[str]:
    """Replace characters of names that a receipt cannot hold; the deepest first, as a folder moves its own."""
    notes: list[str] = []
    for path in sorted(folder.rglob("*"), key=lambda path: -len(path.parts)):
        if not path.name.isprintable():
            plain = "".join(character if character.isprintable() else "_" for character in path.name)
            while path.with_name(plain).exists():
                plain += "_"
            notes.append(f"{path.name!a} among the outputs is now {plain}")
            path.rename(path.with_name(plain))
    return notes
