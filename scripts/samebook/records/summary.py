"""Summaries of runs, from their folders: status, duration, parameters, metrics, error."""

import datetime
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samebook.core.errors import UsageError
from samebook.records import receipt, run_folder


@dataclass(frozen=True)
class Run:
    """The summary of a run: `status` is done, failed or damaged; `seconds` is None, and `engine` empty, where a run has
    no receipt.
    """

    id: str
    notebook: str
    status: str
    engine: str
    seconds: float | None
    parameters: dict[str, Any]
    metrics: dict[str, float]
    error: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def summarize(path: Path) -> Run:
    """The summary of the run in a folder of runs/."""
    name = run_folder.notebook_name(path.name)
    if not (path / run_folder.RECEIPT).is_file():
        error = path / run_folder.ERROR
        lines = error.read_text(errors="replace").splitlines() if _is_own(error) else ["no error.txt"]
        return Run(path.name, name, "failed", "", None, {}, {}, "".join(lines[:1]))
    try:
        return of_receipt(path, receipt.read(path / run_folder.RECEIPT))
    except (UsageError, ValueError, TypeError, KeyError, OSError) as error:  # a plan is a receipt, too, of no run
        return Run(path.name, name, "damaged", "", None, {}, {}, str(error))


def _is_own(path: Path) -> bool:
    """Whether a path is a file of the folder itself: a folder that a stranger has sent may hold links and pipes."""
    return path.is_file() and not path.is_symlink()


def of_receipt(path: Path, statement: receipt.Json) -> Run:
    """The summary of the run in a folder, from its receipt and its metrics.

    Raises KeyError for a receipt of no run, TypeError, ValueError or OSError where times or metrics can't be read.
    """
    times = statement["predicate"]["runDetails"]["metadata"]
    start, end = (datetime.datetime.fromisoformat(times[key]) for key in ("startedOn", "finishedOn"))
    metrics = json.loads((path / run_folder.METRICS).read_text())
    if not isinstance(metrics, dict):
        raise TypeError(f"{run_folder.METRICS} is no JSON object")
    engine = statement["predicate"]["buildDefinition"].get("internalParameters", {}).get("engine", "")
    parameters, name = receipt.external_parameters(statement)["parameters"], receipt.notebook_name(statement)
    return Run(path.name, name, "done", engine, (end - start).total_seconds(), parameters, metrics, "")
