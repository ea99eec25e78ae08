"""Bring MLflow up to what is here: each run, each promoted model, the champion and the challenger."""

from dataclasses import dataclass
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.errors import SamebookError, UsageError
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.settings import Settings
from samebook.models.run_files import RunFiles
from samebook.records import run_folder
from samebook.tracking import record
from samebook.tracking.mirror import Mirror, Mirrored
from samebook.tracking.record import Record
from samebook.tracking.registry import Registry
from samebook.tracking.server import OF_ONE_RUN, Refused, Server

# What a stranger's run may raise: the receipt's schema lets through the fields that nothing else relies on.
BROKEN = (SamebookError, ValueError, TypeError, LookupError, AttributeError, OSError, RecursionError)


@dataclass(frozen=True)
class Synchronization:
    """The address of the server, the numbers of runs here, of those that were sent, and of models' changes there."""

    url: str
    runs: int
    sent: int
    models: int


def mlflow(workspace: Workspace, env: str, say: Say) -> Synchronization:
    """Send what MLflow lacks. Raises UsageError without a server in the settings, Refused for what it does not do.

    A run that is damaged here, or that MLflow takes in no form, is said, and left out.
    """
    env_settings = settings.load(workspace, env)
    section = env_settings.mlflow
    if not section.url:
        raise UsageError(
            f"environments/{env}.yml names no MLflow: expected mlflow: {{url: http://…}}", mend="make mlflow"
        )
    run_folder.recover(workspace)
    server = Server(section)
    server.check()
    try:
        return _synchronize(workspace, Mirror(workspace, server), env_settings, say)
    except (LookupError, TypeError, AttributeError) as error:
        raise Refused(f"MLflow at {section.url} answers in another form: {error!r}", mend="make settings") from error


def _synchronize(workspace: Workspace, mirror: Mirror, env_settings: Settings, say: Say) -> Synchronization:
    section = env_settings.mlflow
    known, sent, count = mirror.known(), 0, 0
    for folder in sorted(path for path in workspace.runs.glob("[0-9]*Z-*") if path.is_dir()):
        try:
            run = _missing(workspace, folder, section.largest, known)
            if run:
                known[run.key], _ = mirror.send(run, known.get(run.key))
            sent, count = sent + bool(run), count + 1
        except BROKEN as error:
            if isinstance(error, Refused) and error.code not in OF_ONE_RUN:
                raise
            say(f"{folder.name} is left out: {error if isinstance(error, SamebookError) else repr(error)}")

    def send(files: RunFiles) -> Mirrored:
        promoted = record.of_run(files, section.largest)
        return mirror.send(promoted, known.get(promoted.key))[0]

    changes = Registry(workspace, mirror, env_settings, send, say).update()
    return Synchronization(section.url, count, sent, changes)


def _missing(workspace: Workspace, folder: Path, largest: int, known: dict[str, Mirrored]) -> Record | None:
    """The record of a run that MLflow lacks, or has not as a whole; None where it needs nothing."""
    path = folder / run_folder.RECEIPT
    if not path.exists():
        run = record.of_failed(workspace, folder)
        return None if run.key in known and known[run.key].needs_nothing(run.state) else run
    there = known.get(sha256(path))
    if there and there.needs_nothing(record.state(path)):
        return None
    return record.of_run(RunFiles.read(workspace, path), largest)


def table(done: Synchronization) -> str:
    """The result as text, in a line."""
    return f"{done.url}: {done.runs} runs, {done.sent} sent; {done.models} changes of models"
