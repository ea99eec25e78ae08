"""The inbox, data/inbox/: files of one day of a dataset each, `orders-2013-07-01.csv` or `.parquet`.

What is accepted goes to data/archive/, named by its hash; what is rejected to data/quarantine/, with the reasons.
Everything can be done twice: a file leaves the inbox last.
"""

import datetime
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.errors import DataRejected, nearest
from samebook.core.workspace import Workspace, copy_whole, make_folder, write_whole

KINDS = (".csv", ".parquet")
NAME = re.compile(r"(?P<dataset>[a-z][a-z0-9_]*)-(?P<day>\d{4}-\d\d-\d\d)(?P<kind>\.[a-z]+)")
# Of a name, so many letters stay: more is added to them.
LONGEST = 100
# What writers call a file that they are not done with.
UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")


@dataclass(frozen=True)
class Arrival:
    """A complete file of the inbox: what it claims to hold, and the sha256 of its bytes."""

    path: Path
    dataset: str
    day: datetime.date
    digest: str


@dataclass
class Inbox:
    """Tells which files are complete: those whose size, time and place were the same for `settle` seconds."""

    workspace: Workspace
    settle: float
    seen: dict[Path, tuple[tuple[int, int, int], float]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return make_folder(self.workspace.data / "inbox")

    def complete(self) -> list[Path]:
        """The complete files, older days first: what is known of yesterday is taken in before today is judged.

        The clock may be set: only time that passes here counts.
        """
        now, present = time.monotonic(), dict[Path, tuple[int, int, int]](self._present())
        self.seen = {path: self.seen[path] for path in present if path in self.seen}
        for path, state in present.items():
            if path not in self.seen or self.seen[path][0] != state:
                self.seen[path] = (state, now)
        done = (path for path, (_, since) in self.seen.items() if now - since >= self.settle)
        return sorted(done, key=lambda path: (_part(path, "day"), path.name))

    def _present(self) -> Iterator[tuple[Path, tuple[int, int, int]]]:
        for path in self.folder.iterdir():
            if path.name.startswith(".") or path.name.endswith(UNFINISHED) or not path.is_file():
                continue
            try:
                found = path.stat()
            except FileNotFoundError:
                continue  # its writer has renamed it meanwhile
            yield path, (found.st_size, found.st_mtime_ns, found.st_ino)


def dataset(path: Path) -> str:
    """The dataset in a file's name; "" where there is none."""
    return _part(path, "dataset")


def _part(path: Path, part: str) -> str:
    known = NAME.fullmatch(path.name)
    return known[part] if known else ""


def arrival(path: Path, datasets: Iterable[str]) -> Arrival:
    """What a file is. Raises DataRejected for a name that doesn't say it, and for an empty file."""
    known = NAME.fullmatch(path.name)
    if known is None or known["kind"] not in KINDS:
        raise DataRejected(f"{path.name}: expected a name like orders-2013-07-01.csv or orders-2013-07-01.parquet")
    if known["dataset"] not in (names := list(datasets)):
        raise DataRejected(
            f"{path.name}: no dataset {known['dataset']!r} is taken in{nearest(known['dataset'], names)}"
        )
    try:
        day = datetime.date.fromisoformat(known["day"])
    except ValueError:
        raise DataRejected(f"{path.name}: {known['day']} is no day") from None
    if not path.stat().st_size:
        raise DataRejected(f"{path.name} is empty")
    return Arrival(path, known["dataset"], day, sha256(path))


def archived(workspace: Workspace, found: Arrival) -> Path:
    """The archive's copy of an arrival; it has the arrival's hash in its name, and is never another."""
    path = workspace.data / "archive" / found.dataset / f"{found.path.stem}-{found.digest[:12]}{found.path.suffix}"
    if not path.is_file() or sha256(path) != found.digest:
        copy_whole(found.path, path)
    return path


def accept(found: Arrival) -> None:
    """Let an arrival leave the inbox: the archive has it. One that was replaced meanwhile stays, and is a new one."""
    if found.path.is_file() and sha256(found.path) == found.digest:
        found.path.unlink()


def reject(workspace: Workspace, path: Path, reason: str) -> Path:
    """Move a file that has no usable name or content to the quarantine, with a report of the reason beside it."""
    target = _reported(workspace, path, sha256(path), reason)
    path.replace(target)
    return target


def reject_arrival(workspace: Workspace, found: Arrival, reason: str) -> Path:
    """Move what was judged, the archive's copy, to the quarantine; a file that came in its place meanwhile stays."""
    target = _reported(workspace, found.path, found.digest, reason)
    archived(workspace, found).replace(target)
    accept(found)
    return target


def _reported(workspace: Workspace, path: Path, digest: str, reason: str) -> Path:
    """Where a file goes, once its report is there."""
    name = f"{path.stem[:LONGEST]}-{digest[:12]}{path.suffix}"
    report = f"{path.name}, sha256 {digest}\n{reason}\n".encode(errors="backslashreplace")
    write_whole(make_folder(workspace.data / "quarantine") / f"{name}.report.txt", report)
    return workspace.data / "quarantine" / name
