"""What a run's folder says of it: how it ended, how long it took, and its metrics."""

import datetime
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samebook.core.errors import UsageError
from samebook.records import receipt, run_folder


@dataclass(frozen=True)
class Run:
    """A folder in runs/: `status` is done, failed or damaged, `seconds` is None where it isn't known."""

    id: str
    notebook: str
    status: str
    seconds: float | None
    parameters: dict[str, Any]
    metrics: dict[str, float]
    error: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def notebook_name(run: str) -> str:
    """The notebook's name in a run's id."""
    return run.split("-", 1)[1].rsplit("-", 1)[0]


def summarize(path: Path) -> Run:
    """What a run's folder says of it."""
    name = notebook_name(path.name)
    if not (path / run_folder.RECEIPT).is_file():
        error = path / run_folder.ERROR
        first = error.read_text().splitlines()[:1] if error.is_file() else ["no error.txt"]
        return Run(path.name, name, "failed", None, {}, {}, "".join(first))
    try:
        return _done(path, name)
    except (UsageError, ValueError, OSError) as error:
        return Run(path.name, name, "damaged", None, {}, {}, str(error))


def _done(path: Path, name: str) -> Run:
    found = receipt.read(path / run_folder.RECEIPT)
    times = found["predicate"]["runDetails"]["metadata"]
    start, end = (datetime.datetime.fromisoformat(times[key]) for key in ("startedOn", "finishedOn"))
    metrics = json.loads((path / run_folder.METRICS).read_text())
    parameters = receipt.external_parameters(found)["parameters"]
    return Run(path.name, name, "done", (end - start).total_seconds(), parameters, metrics, "")
