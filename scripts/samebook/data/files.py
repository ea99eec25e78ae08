"""Input files: what a notebook reads by name, from the workspace, or by an entry of environments/inputs.yml."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.core.errors import SamebookError, UsageError, nearest
from samebook.core.text import Say, word
from samebook.core.workspace import Workspace
from samebook.data.download import check, download
from samebook.environment import input_entries, sections
from samebook.environment.input_entries import FILE, Entry
from samebook.reads import origin
from samebook.store import objects


@dataclass(frozen=True)
class InputFile:
    """An input file by its name: `path` is its place in the workspace, if any, and `entry` that of inputs.yml."""

    name: str
    path: Path | None
    entry: Entry | None

    def origin(self, workspace: Workspace) -> str:
        """Where the file is from, as a receipt has it."""
        return workspace.relative(self.path) if self.path else self.entry.shown if self.entry else ""


def find(workspace: Workspace, folder: Path, name: str) -> InputFile:
    """The input file of a name in a notebook of `folder`; it has a path, an entry, or both.

    Raises UsageError for a name without either, for a folder, a file that can't be read, and a path out of the
    workspace.
    """
    places = list(_places(workspace, folder, name))
    if not places:
        raise UsageError(
            f"input {name!r} is outside the workspace; expected the name of a file in it, which goes where it goes",
            mend=f"cp {word(name)} data/, and samebook.input_path({Path(name).name!r})",
        )
    entries = input_entries.read(workspace)
    bases = (folder, workspace.root, workspace.data)
    keys = (str(path.relative_to(base)) for path in places for base in bases if path.is_relative_to(base))
    key = next(filter(entries.__contains__, keys), name)
    entry = entries.get(key)
    path = next(filter(Path.is_file, places), None)
    if path:
        _check_access(workspace, path)
    elif not entry:
        _refuse(workspace, folder, name, entries)
    return InputFile(key, path, entry)


def stored(workspace: Workspace, found: InputFile, section: sections.Store, say: Say) -> Path:
    """The path of an input file to read: of its file, or in the store, into which it is brought where it is missing.

    Its sha256 is that of its entry. Raises UsageError for an entry without one: nothing says that the bytes of a
    download are the right ones.
    """
    store = objects.local_store(workspace)
    if found.path:
        if found.entry and found.entry.sha256:
            digest = origin.current_digest(workspace, str(found.path))
            check(found.name, found.entry, digest, f"at {workspace.relative(found.path)}")
        return found.path
    assert found.entry
    if not found.entry.sha256:
        raise UsageError(
            f"input {found.name!r} has no sha256 in {FILE}, which would say that its bytes are the right ones",
            mend=f"make fetch NAME={word(found.name)} PIN=1",
        )
    if not store.is_whole(found.entry.sha256):
        say(f"fetching {found.name} from {found.entry.shown}")
        download(workspace, found.name, found.entry, section, lambda _: None)
    return store.path(found.entry.sha256)


def digest(workspace: Workspace, folder: Path, name: str) -> str:
    """The sha256 of the input file that a notebook of `folder` would read today; "" where it would read none."""
    with suppress(SamebookError):
        found = find(workspace, folder, name)
        pinned = found.entry.sha256 if found.entry else ""
        current = origin.current_digest(workspace, str(found.path)) if found.path else pinned
        return current if current == (pinned or current) else ""
    return ""


def _places(workspace: Workspace, folder: Path, name: str) -> Iterator[Path]:
    """The paths inside the workspace at which a name may stand."""
    for base in (folder, workspace.root, workspace.data):
        path = Path(os.path.normpath(base / name))
        if path.is_relative_to(workspace.root) and path != workspace.root:
            yield path


def _check_access(workspace: Workspace, path: Path) -> None:
    if not os.access(path, os.R_OK):
        place = workspace.relative(path)
        raise UsageError(f"no permission to read {place} as user {os.getuid()}", mend=f"chmod +r {word(place)}")


def _refuse(workspace: Workspace, folder: Path, name: str, entries: dict[str, Entry]) -> None:
    """Raise UsageError for a name that is a folder's, or nothing's."""
    if path := next(filter(Path.is_dir, _places(workspace, folder, name)), None):
        files = sorted(entry.name for entry in path.iterdir() if entry.is_file())
        raise UsageError(
            f"input {name!r} is a folder; expected a file{nearest(name, files)}",
            mend=f"samebook.input_path({str(Path(name) / next(iter(files), 'NAME.csv'))!r})",
        )
    beside = (path for base in (folder, workspace.data) if base.is_dir() for path in base.iterdir())
    names = {path.name for path in beside if path.is_file() and path.suffix != ".ipynb"}
    hint = nearest(name, {*names, *entries})
    raise UsageError(
        f"no input {name!r}, beside the notebook, in the workspace, in data/ or in {FILE}{hint}",
        mend=f"cp …/{word(Path(name).name)} data/",
    )
