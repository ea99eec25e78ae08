"""The moment after a run in which it is sent to MLflow: a short one, whatever the server does, and never an error.

What it does not manage is left to `samebook mlflow sync`. A server that has not answered is left alone for a minute, so
that many runs wait for it once.
"""

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from samebook.core.errors import SamebookError
from samebook.core.text import Say
from samebook.core.workspace import Workspace, make_folder
from samebook.environment.sections import Mlflow
from samebook.models.run_files import RunFiles
from samebook.records import run_folder
from samebook.tracking import record
from samebook.tracking.mirror import FOLDER, Mirror
from samebook.tracking.server import Server

# Seconds that a run is held up at most, and that a server is left alone which has held one up.
BOUND, PAUSE = 5.0, 60.0
AWAY = "away"


def mirror(workspace: Workspace, section: Mlflow, runs: Iterable[Path], say: Say) -> None:
    """Send finished runs to MLflow, for at most BOUND seconds. What is left is said, and raises nothing."""
    away = workspace.root / FOLDER / AWAY
    if _is_recent(away):
        say("MLflow has not answered a moment ago; later: make mlflow-sync")
        return
    problems: list[str] = []
    thread = threading.Thread(target=_send, args=(workspace, section, list(runs), problems), daemon=True)
    thread.start()
    thread.join(BOUND)
    problem = f"no end within {BOUND:g} s" if thread.is_alive() else "".join(problems)
    with suppress(OSError, SamebookError):
        if problem:
            make_folder(away.parent)
            away.touch()
        else:
            away.unlink(missing_ok=True)
    if problem:
        say(f"not in MLflow yet: {problem}; later: make mlflow-sync")


def _is_recent(path: Path) -> bool:
    with suppress(OSError):
        return abs(time.time() - path.stat().st_mtime) < PAUSE
    return False


def _send(workspace: Workspace, section: Mlflow, runs: list[Path], problems: list[str]) -> None:
    try:
        server = Server(section)
        server.check()
        target = Mirror(workspace, server)
        for run in runs:
            files = RunFiles.read(workspace, run / run_folder.RECEIPT)
            target.send(record.of_run(files, section.largest))
    except Exception as error:  # whatever a server answers, the run is complete
        problems.append(str(error) or type(error).__name__)
