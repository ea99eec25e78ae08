"""The folder of a run: written under runs/.partial/, then moved into runs/ by one rename when it is complete.

The notebook logs its metrics, inputs and other events into `.events.jsonl` in that folder, a JSON line an event.
"""

import datetime
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, Self

from samebook.core import processes
from samebook.core.errors import UsageError, nearest
from samebook.core.file_lock import acquire, hold, is_held
from samebook.core.workspace import Workspace, make_folder, short_temporary, write_whole
from samebook.redaction import leftovers
from samebook.redaction.redactor import Redaction

RECEIPT, ERROR, METRICS = "receipt.json", "error.txt", "metrics.json"
NOTEBOOK, CANONICAL, PAGE = "notebook.ipynb", "notebook.canonical.json", "notebook.html"
LOG, ENVIRONMENT, PATCH = "run.log", "environment.json", "uncommitted.patch"
EVENTS, INPUTS, LOCK, SCRATCH, SECRETS = ".events.jsonl", ".inputs", ".lock", ".scratch", ".secrets"
# The mark of the kernel's process.
KERNEL = ".kernel"
# The kind of event by which a kernel says what its numeric libraries have taken.
LIBRARIES = "libraries"
# What the notebook needs only while it runs: samebook.scratch_path.
WORK = ".work"
# What samebook itself writes there, redacted, or removes at the end. All else is the notebook's.
KEPT = (RECEIPT, ERROR, METRICS, NOTEBOOK, CANONICAL, PAGE, LOG, ENVIRONMENT, PATCH)
OWN = frozenset((*KEPT, EVENTS, INPUTS, KERNEL, LOCK, SCRATCH, SECRETS, WORK))
# What is not searched for secrets: of samebook's own all but what a notebook can add to, or make itself.
UNSEARCHED = OWN - {LOG, ERROR}
KILLED = "the runner was killed before the run was complete\n"
TEMPORARY = "samebook-"
# The time at the start of a run's id, in UTC.
TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run under way, locked by the process that runs it."""

    path: Path
    lock: int

    @classmethod
    def create(cls, workspace: Workspace, run: str) -> Self:
        """Make a new folder `runs/.partial/<run>`. Raises UsageError where there is a run of that id."""
        partial = make_folder(workspace.runs) / ".partial"
        path = partial / run
        if path.exists() or (workspace.runs / run).exists():
            raise UsageError(f"run {run} exists already; expected the id of a new run", mend="make runs")
        with hold(partial / LOCK):  # or recover() could take a folder that is not locked yet for that of a dead run
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
        """Move the run into runs/; returns its final folder."""
        final = self.path.parent.parent / self.id
        with hold(self.path.parent / LOCK):  # or recover() could take the folder while its own lock is already removed
            _tidy(self.path)
            self.path.rename(final)
        os.close(self.lock)
        return final


def new_id(notebook: str) -> str:
    """The id of a new run: `<UTC time>-<notebook>-<6 hex>`. Only its receipt says for certain which notebook it ran.

    The six digits are the fraction of the second, in 2⁻²⁴ s (60 ns): ids of a notebook sort by the starts of its runs.
    """
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    start = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime(TIME)
    return f"{start}-{_name_in_id(notebook)}-{(nanoseconds << 24) // 10**9:06x}"


def _name_in_id(notebook: str) -> str:
    """A notebook's name as ids have it: `old.train` for old/train, as a run's folder can't hold a path."""
    return notebook.replace("/", ".")


def start_time(run: str) -> datetime.datetime:
    """The time (UTC) at which the run of this id started. Raises ValueError for a text that is not an id."""
    return datetime.datetime.strptime(run.partition("-")[0], "%Y%m%dT%H%M%S%z")


def recover(workspace: Workspace) -> list[str]:
    """Move the folders of dead processes from runs/.partial/ into runs/, as failed runs; returns their ids."""
    partial = workspace.runs / ".partial"
    if not partial.is_dir():
        return []
    with hold(partial / LOCK):
        dead = [path for path in sorted(partial.glob("*-*")) if not is_held(path / LOCK)]
        for path in dead:
            # A kernel may outlive its runner, and would write into what has been searched.
            processes.end_survivors(_text(path / KERNEL), f"SAMEBOOK_RUN={path}")
            note = leftovers.screen(path, _text(path / SECRETS), workspace.root, OWN)
            write_whole(path / ERROR, f"{KILLED}{note}".encode())
            (path / RECEIPT).unlink(missing_ok=True)
            _remove_scratch(path)
            _tidy(path)
            path.rename(workspace.runs / path.name)
    return [path.name for path in dead]


def note_kernel(run: Path, pid: int) -> None:
    """Note the process of a run's kernel, which is ended when the run is recovered after its runner was killed."""
    (run / KERNEL).write_text(processes.mark(pid))


def note_secrets(run: Path, redaction: Redaction) -> None:
    """Note the secrets that a run under way may write into its outputs, by name and mark, for when it is killed."""
    (run / SECRETS).write_text(redaction.note)


@contextmanager
def scratch(run: Path) -> Iterator[Path]:
    """A folder for the kernel's sockets and profile: in /tmp, because the path of a socket must be short."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=short_temporary()) as folder:
        (run / SCRATCH).write_text(folder)  # recover() removes it after this process was killed
        yield Path(folder)


def _remove_scratch(run: Path) -> None:
    """Remove the scratch folder that a dead run has named; only one that `scratch` can have made."""
    folder = Path(_text(run / SCRATCH))
    if folder.name.startswith(TEMPORARY) and folder.parent == Path(short_temporary()):
        shutil.rmtree(folder, ignore_errors=True)


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def _tidy(path: Path) -> None:
    """Remove the files that only a run under way needs."""
    names = (EVENTS, KERNEL, LOCK, SCRATCH, SECRETS)
    for file in (*(path / name for name in names), *path.glob(f".{NOTEBOOK}.*")):
        file.unlink(missing_ok=True)
    for folder in (path / INPUTS, path / WORK):
        shutil.rmtree(folder, ignore_errors=True)


def locate(workspace: Workspace, name: str) -> Path:
    """The path of a receipt; `name` is its file, a run's id or folder, or a notebook's name: its newest finished run.

    Raises UsageError for another name, and for a failed run.
    """
    run = name.removeprefix("runs/").rstrip("/")  # as a shell completes it
    folder = workspace.runs / run
    is_run = folder in workspace.runs.glob("*Z-*")
    if is_run and not (folder / RECEIPT).is_file():
        raise UsageError(f"run {run} failed: it left no receipt and no result", mend=f"cat runs/{run}/{ERROR}")
    if folders := [folder] if is_run else finished_runs(workspace, name):
        return folders[0] / RECEIPT
    if Path(name).is_file():  # last, because a commit may hold a file with the name of a notebook
        return Path(name)
    ids = {path.parent.name for path in workspace.runs.glob(f"*/{RECEIPT}")}
    candidates = ids if name[:1].isdigit() else {notebook_name(run) for run in ids}
    raise UsageError(f"no run, notebook or receipt {name!r}{nearest(name, candidates)}", mend="make runs")


def notebook_name(run: str) -> str:
    """The notebook's name in a run's id."""
    return run.split("-", 1)[1].rsplit("-", 1)[0]


def is_named_after(run: str, notebook: str) -> bool:
    """Whether the id of a run names this notebook."""
    return notebook_name(run) == _name_in_id(notebook)


def finished_runs(workspace: Workspace, notebook: str) -> list[Path]:
    """The folders of a notebook's finished runs, newest first; of two in one second, the one that ended last."""
    receipts = (path for name in names_in_ids(notebook) for path in workspace.runs.glob(f"*Z-{name}-??????/{RECEIPT}"))
    text = f'"notebook": {json.dumps(f"notebooks/{notebook}.ipynb", ensure_ascii=False)}'.encode()
    return newest_first(path.parent for path in receipts if _has(path, text))


def names_in_ids(notebook: str) -> set[str]:
    """The names that a notebook has in ids, as patterns: earlier runs of one in a folder have only its stem."""
    return {escape(_name_in_id(notebook)), escape(Path(notebook).name)}


def newest_first(runs: Iterable[Path]) -> list[Path]:
    """The folders of finished runs, newest first; of two in one second, the one that ended last."""
    return sorted(runs, key=lambda run: (*order(run.name), (run / RECEIPT).stat().st_mtime_ns), reverse=True)


def order(run: str) -> tuple[bool, str]:
    """The place of a run in time. One from the future, whose clock was wrong, comes before all others."""
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    start = run.partition("-")[0]
    return start <= tomorrow.strftime(TIME), start


def _has(path: Path, text: bytes) -> bool:
    """Whether a receipt has this text, as samebook writes it: the path of a notebook tells runs of one from those of
    another with the same stem in another folder.
    """
    # Searched as bytes: there may be thousands, and parsing takes fifty times as long. A pipe is no receipt.
    return path.is_file() and text in path.read_bytes()


def append_event(folder: Path, event: dict[str, Any]) -> None:
    """Append an event to those of the run in `folder`: in one write, so that lines of several processes don't mix.

    Half a character, as in a file's name that is not UTF-8, becomes `?`, because a receipt cannot hold it.
    """
    line = json.dumps(event, allow_nan=False, ensure_ascii=False).encode(errors="replace") + b"\n"
    with (folder / EVENTS).open("ab", buffering=0) as stream:
        stream.write(line)


def events(folder: Path, kind: str | None = None, part: slice = slice(None)) -> Iterator[dict[str, Any]]:
    """The events of the run in `folder` so far, oldest first; `kind` selects those of one kind, `part` some bytes."""
    path = folder / EVENTS
    lines = path.read_bytes()[part].splitlines() if path.is_file() else []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a killed notebook leaves half a line
        if kind in (None, event["kind"]):
            yield event


def set_aside(workspace: Workspace, run: Path) -> None:
    """Move a run to the scratch runs: no name finds it there, and `drop_scratch` removes the older ones."""
    run.rename(make_folder(workspace.runs / SCRATCH) / run.name)
    drop_scratch(workspace)


def drop_scratch(workspace: Workspace, keep: int = 20) -> None:
    """Remove all scratch runs, which Lab sessions and trials leave, but the newest, and those of living sessions."""
    for path in sorted((workspace.runs / SCRATCH).glob("*-*"))[:-keep]:
        if not is_held(path / LOCK):
            shutil.rmtree(path, ignore_errors=True)
