"""The inbox, data/inbox/: files of one day of a dataset each, `orders-2013-07-01.csv` or `.parquet`.

An accepted file goes to data/archive/, named by its hash; a rejected one to data/quarantine/, with the reasons. Each
action can be repeated, as a file leaves the inbox last.
"""

import datetime
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.errors import DataRejected, nearest
from samebook.core.workspace import Workspace, make_folder, replacing, write_whole

KINDS = (".csv", ".parquet")
NAME = re.compile(r"(?P<dataset>[a-z][a-z0-9_]*)-(?P<day>\d{4}-\d\d-\d\d)(?P<kind>\.[a-z]+)")
# The longest part of a file's name that is kept when its hash is added.
LONGEST = 100
# The endings of files that are still being written.
UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")


@dataclass(frozen=True)
class Arrival:
    """A complete file of the inbox: the dataset and day in its name, and the sha256 of its bytes."""

    path: Path
    dataset: str
    day: datetime.date
    digest: str


@dataclass
class Inbox:
    """The inbox of a workspace. A file is complete once it has not changed for `settle` seconds."""

    workspace: Workspace
    settle: float
    states: dict[Path, tuple[tuple[int, int, int], float]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return make_folder(self.workspace.data / "inbox")

    def complete(self) -> list[Path]:
        """The complete files, older days first, so that yesterday is taken in before today.

        Only time that passes in this process counts, as the clock may be set.
        """
        now, present = time.monotonic(), dict[Path, tuple[int, int, int]](self._present())
        self.states = {path: self.states[path] for path in present if path in self.states}
        for path, state in present.items():
            if path not in self.states or self.states[path][0] != state:
                self.states[path] = (state, now)
        complete = (path for path, (_, since) in self.states.items() if now - since >= self.settle)
        return sorted(complete, key=lambda path: (_part(path, "day"), path.name))

    def come_to_rest(self) -> list[Path]:
        """Wait for as long as a file must stay unchanged; returns the files that were written meanwhile."""
        self.complete()
        before = self.states
        if before:
            time.sleep(self.settle)
        self.complete()
        return [path for path, (state, _) in self.states.items() if path in before and before[path][0] != state]

    def _present(self) -> Iterator[tuple[Path, tuple[int, int, int]]]:
        for path in self.folder.iterdir():
            if path.name.startswith(".") or path.name.endswith(UNFINISHED) or not path.is_file():
                continue
            try:
                state = path.stat()
            except FileNotFoundError:
                continue  # its writer has renamed it meanwhile
            yield path, (state.st_size, state.st_mtime_ns, state.st_ino)


def dataset(path: Path) -> str:
    """The dataset in the name of a file; "" where it has none."""
    return _part(path, "dataset")


def _part(path: Path, part: str) -> str:
    match = NAME.fullmatch(path.name)
    return match[part] if match else ""


def arrival(path: Path, datasets: Iterable[str]) -> Arrival:
    """The arrival that a file is. Raises DataRejected for a name of another form, and for an empty file."""
    match = NAME.fullmatch(path.name)
    if match is None or match["kind"] not in KINDS:
        raise DataRejected(f"{path.name}: expected a name like orders-2013-07-01.csv or orders-2013-07-01.parquet")
    if match["dataset"] not in (names := list(datasets)):
        raise DataRejected(
            f"{path.name}: no dataset {match['dataset']!r} is taken in{nearest(match['dataset'], names)}"
        )
    if path.is_symlink():
        raise DataRejected(f"{path.name} is a link; expected the file itself, which nobody changes later")
    try:
        day = datetime.date.fromisoformat(match["day"])
    except ValueError:
        raise DataRejected(f"{path.name}: {match['day']} is not a day") from None
    if not path.stat().st_size:
        raise DataRejected(f"{path.name} is empty")
    return Arrival(path, match["dataset"], day, sha256(path))


def archive(workspace: Workspace, arrival: Arrival) -> Path:
    """The copy of an arrival in the archive, which has the arrival's hash in its name, and these bytes.

    Raises DataRejected where the file has other bytes by now, and OSError where a link has taken its place.
    """
    path = (
        workspace.data / "archive" / arrival.dataset / f"{arrival.path.stem}-{arrival.digest[:12]}{arrival.path.suffix}"
    )
    if not path.is_file() or sha256(path) != arrival.digest:
        with replacing(path) as temporary:
            # A link that stands in its place by now is not followed.
            with open(arrival.path, "rb", opener=_no_link) as source, temporary.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            if sha256(temporary) != arrival.digest:
                raise DataRejected(f"{arrival.path.name} has changed while it was taken in; it is looked at again")
    return path


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def remove(arrival: Arrival) -> None:
    """Remove an archived arrival from the inbox. A file that has replaced it meanwhile stays, as a new arrival."""
    if arrival.path.is_file() and sha256(arrival.path) == arrival.digest:
        arrival.path.unlink()


def reject(workspace: Workspace, path: Path, reason: str) -> Path:
    """Move a file without a usable name or content to the quarantine, with a report of the reason beside it."""
    # A link is moved as it is: the file that it shows is somebody else's.
    digest = sha256(os.fsencode(path.readlink()) if path.is_symlink() else path)
    target = _reported(workspace, path, digest, reason)
    path.replace(target)
    return target


def reject_arrival(workspace: Workspace, arrival: Arrival, reason: str) -> Path:
    """Move the archived copy of an arrival to the quarantine. A file that has replaced it in the inbox stays there."""
    target = _reported(workspace, arrival.path, arrival.digest, reason)
    archive(workspace, arrival).replace(target)
    remove(arrival)
    return target


def _reported(workspace: Workspace, path: Path, digest: str, reason: str) -> Path:
    """The path in the quarantine for a file, once its report is written there."""
    name = f"{path.stem[:LONGEST]}-{digest[:12]}{path.suffix}"
    report = f"{path.name}, sha256 {digest}\n{reason}\n".encode(errors="backslashreplace")
    write_whole(make_folder(workspace.data / "quarantine") / f"{name}.report.txt", report)
    return workspace.data / "quarantine" / name
