"""Input files: what a notebook reads by name, from beside it, from the workspace or from data/."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.core.errors import UsageError, nearest
from samebook.core.text import word
from samebook.core.workspace import Workspace
from samebook.reads import origin


@dataclass(frozen=True)
class InputFile:
    """An input file by its name; `path` is its place in the workspace."""

    name: str
    path: Path


def find(workspace: Workspace, folder: Path, name: str) -> InputFile:
    """The input file of a name in a notebook of `folder`.

    Raises UsageError for a name without a file, for a folder, a file that can't be read, and a path out of the
    workspace.
    """
    places = list(_places(workspace, folder, name))
    if not places:
        raise UsageError(
            f"input {name!r} is outside the workspace; expected the name of a file in it, which goes where it goes",
            mend=f"cp {word(name)} data/, and samebook.input_path({Path(name).name!r})",
        )
    if path := next(filter(Path.is_file, places), None):
        return InputFile(name, _readable(workspace, path))
    if path := next(filter(Path.is_dir, places), None):
        files = sorted(entry.name for entry in path.iterdir() if entry.is_file())
        raise UsageError(
            f"input {name!r} is a folder; expected a file{nearest(name, files)}",
            mend=f"samebook.input_path({str(Path(name) / next(iter(files), 'NAME.csv'))!r})",
        )
    hint = nearest(name, _names(workspace, folder))
    raise UsageError(
        f"no input {name!r}, beside the notebook, in the workspace or in data/{hint}",
        mend=f"cp …/{word(Path(name).name)} data/",
    )


def digest(workspace: Workspace, folder: Path, name: str) -> str:
    """The sha256 of the input file that a notebook of `folder` would read today; "" where there is none."""
    with suppress(UsageError):
        return origin.current_digest(workspace, str(find(workspace, folder, name).path))
    return ""


def _places(workspace: Workspace, folder: Path, name: str) -> Iterator[Path]:
    """The paths inside the workspace at which a name may stand."""
    for base in (folder, workspace.root, workspace.data):
        path = Path(os.path.normpath(base / name))
        if path.is_relative_to(workspace.root) and path != workspace.root:
            yield path


def _readable(workspace: Workspace, path: Path) -> Path:
    if not os.access(path, os.R_OK):
        place = workspace.relative(path)
        raise UsageError(f"no permission to read {place} as user {os.getuid()}", mend=f"chmod +r {word(place)}")
    return path


def _names(workspace: Workspace, folder: Path) -> set[str]:
    """The names of the files beside a notebook and in data/."""
    return {
        path.name
        for base in (folder, workspace.data)
        if base.is_dir()
        for path in base.iterdir()
        if path.is_file() and path.suffix != ".ipynb"
    }
