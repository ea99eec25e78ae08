"""A run's folder: made aside under runs/.partial/, moved into runs/ by one rename when nothing more will change.

The notebook tells its run what it logs and reads through `.events.jsonl` in that folder, a line an event.
"""

import datetime
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, Self

from samebook.core.errors import UsageError, nearest
from samebook.core.file_lock import acquire, hold, is_held
from samebook.core.workspace import Workspace, make_folder, write_whole

RECEIPT, ERROR, METRICS = "receipt.json", "error.txt", "metrics.json"
NOTEBOOK, CANONICAL, PAGE = "notebook.ipynb", "notebook.canonical.json", "notebook.html"
LOG, ENVIRONMENT, PATCH = "run.log", "environment.json", "uncommitted.patch"
EVENTS, INPUTS, LOCK, SCRATCH = ".events.jsonl", ".inputs", ".lock", ".scratch"
TEMPORARY = "samebook-"


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run that is being made, locked by the process that makes it."""

    path: Path
    lock: int

    @classmethod
    def create(cls, workspace: Workspace, notebook: str) -> Self:
        """A new folder `runs/.partial/<UTC time>-<notebook>-<6 hex>`."""
        partial = make_folder(workspace.runs) / ".partial"
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        path = partial / f"{now}-{notebook}-{secrets.token_hex(3)}"
        with hold(partial / LOCK):  # or recover() could take a folder that is not locked yet for a dead run's
            (path / "outputs").mkdir(parents=True)
            lock = acquire(path / LOCK)
            assert lock is not None
        return cls(path, lock)

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def outputs(self) -> Path:
        return self.path / "outputs"

    def finish(self) -> Path:
        """Move the run to where people look; returns its final folder."""
        final = self.path.parent.parent / self.id
        with hold(self.path.parent / LOCK):  # or recover() could find it on its way, its own lock gone
            _tidy(self.path)
            self.path.rename(final)
        os.close(self.lock)
        return final


def start_time(run: str) -> datetime.datetime:
    """When a run of this id started, UTC. Raises ValueError for what is no id."""
    return datetime.datetime.strptime(run.partition("-")[0], "%Y%m%dT%H%M%S%z")


def recover(workspace: Workspace) -> list[str]:
    """Move what ended processes left under runs/.partial/ into runs/ as failed runs; their ids."""
    partial = workspace.runs / ".partial"
    if not partial.is_dir():
        return []
    with hold(partial / LOCK):
        dead = [path for path in sorted(partial.glob("*-*")) if not is_held(path / LOCK)]
        for path in dead:
            write_whole(path / ERROR, b"the runner was killed before the run was complete\n")
            (path / RECEIPT).unlink(missing_ok=True)
            _drop_scratch_of(path)
            _tidy(path)
            path.rename(workspace.runs / path.name)
    return [path.name for path in dead]


@contextmanager
def scratch(run: Path) -> Iterator[Path]:
    """A folder for the kernel's sockets and profile, in /tmp as paths of sockets must be short."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder:
        (run / SCRATCH).write_text(folder)  # so that recover() finds it when this process is killed
        yield Path(folder)


def _drop_scratch_of(run: Path) -> None:
    named = run / SCRATCH
    folder = Path(named.read_text()) if named.is_file() else None
    if folder and folder.name.startswith(TEMPORARY) and folder.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(folder, ignore_errors=True)


def _tidy(path: Path) -> None:
    """Remove what only the running run needs."""
    for left in (path / EVENTS, path / LOCK, path / SCRATCH, *path.glob(f".{NOTEBOOK}.*")):
        left.unlink(missing_ok=True)
    shutil.rmtree(path / INPUTS, ignore_errors=True)


def locate(workspace: Workspace, name: str) -> Path:
    """The receipt that `name` means: a file, a run's id, or a notebook's name for its newest finished run."""
    if Path(name).is_file():
        return Path(name)
    exact = workspace.runs / name
    is_run = exact in workspace.runs.glob("*Z-*")
    if is_run and not (exact / RECEIPT).is_file():
        raise UsageError(f"run {name} failed: it left no receipt and no result")
    if found := [exact] if is_run else finished_runs(workspace, name):
        return found[0] / RECEIPT
    ids = {path.parent.name for path in workspace.runs.glob(f"*/{RECEIPT}")}
    known = ids if name[:1].isdigit() else {each.split("-", 1)[1].rsplit("-", 1)[0] for each in ids}
    raise UsageError(f"no run, notebook or receipt {name!r}{nearest(name, known)}", mend="samebook runs")


def finished_runs(workspace: Workspace, notebook: str) -> list[Path]:
    """The folders of a notebook's finished runs, newest first; within a second, by when they ended."""
    receipts = list(workspace.runs.glob(f"*Z-{escape(notebook)}-??????/{RECEIPT}"))
    newest = sorted(receipts, key=lambda path: (path.parent.name[:16], path.stat().st_mtime_ns), reverse=True)
    return [path.parent for path in newest]


def append_event(folder: Path, event: dict[str, Any]) -> None:
    """Tell the run in `folder` something; one write a line, so that writers don't mix."""
    line = json.dumps(event, allow_nan=False).encode() + b"\n"
    with (folder / EVENTS).open("ab", buffering=0) as stream:
        stream.write(line)


def events(folder: Path, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """What the notebook told its run so far, oldest first."""
    path = folder / EVENTS
    lines = path.read_text().splitlines() if path.is_file() else []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the notebook was killed in mid-line
        if kind in (None, event["kind"]):
            yield event


def set_aside(workspace: Workspace, run: Path) -> None:
    """Move a run among the scratch runs, where no name finds it, and from where old ones go."""
    aside = make_folder(workspace.runs / SCRATCH)
    run.rename(aside / run.name)
    drop_scratch(workspace)


def drop_scratch(workspace: Workspace, keep: int = 20) -> None:
    """Keep the newest scratch runs only: of Lab sessions, and of trials."""
    old = sorted((workspace.runs / SCRATCH).glob("*-*"))[:-keep]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
