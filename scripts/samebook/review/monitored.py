"""The newest report of monitoring on a promoted model, among the runs of this checkout."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from samebook.core.digest import parse_json, sha256
from samebook.core.errors import SamebookError
from samebook.core.workspace import Workspace
from samebook.models import gate_run
from samebook.models.bundle import Bundle
from samebook.records import receipt, run_folder

REPORT = "outputs/drift.json"


@dataclass(frozen=True)
class Report:
    """The verdict of a day in one line, and the id of the run that found it."""

    day: str
    run: str
    line: str


def newest(workspace: Workspace, champion: Bundle) -> Report | None:
    """The report on this version of a model with the newest day, of two on a day the newer run's; None where no run
    here has left one that is as its receipt says.
    """
    found = sorted(
        _reports(workspace, champion.name), key=lambda item: (item.day, run_folder.order(item.run)), reverse=True
    )
    return next((item for item in found if _is_of(workspace.runs / item.run, champion)), None)


def _reports(workspace: Workspace, model: str) -> Iterator[Report]:
    """The reports on any version of a model; what is no report is none."""
    for path in filter(Path.is_file, workspace.runs.glob(f"*Z-*/{REPORT}")):
        try:
            content = parse_json(path.read_bytes())
            if content["model"].partition("@")[0] == model:
                yield Report(str(content["day"]), path.parent.parent.name, str(content["line"]))
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            continue


def _is_of(run: Path, champion: Bundle) -> bool:
    """Whether a run has read this version, and its report is as its receipt says."""
    try:
        statement = receipt.read(run / run_folder.RECEIPT)
    except (SamebookError, OSError):
        return False
    is_whole = receipt.subject_digests(statement).get(REPORT) == sha256(run / REPORT)
    return is_whole and sha256(champion.content()) in gate_run.champion_digests(statement)
