"""The row of a run in the table of runs, short texts only: there may be 10,000 rows."""

from typing import Any

from samebook.records import run_folder
from samebook.records.receipt import Json
from samebook.records.summary import Run
from samebook.report.javascript import file_name

COLUMNS = (
    *("id", "file", "notebook", "status", "start", "seconds", "engine", "env", "commit", "dirty", "environment"),
    *("parameters", "metrics", "verdicts", "makers", "error"),
)
# The characters of a text that a row has.
SHOWN = 200


def of(run: Run, start: float | None, **facts: Any) -> Json:
    """The row of a run that started at a time, in seconds; `facts` are further columns."""
    row: Json = dict.fromkeys(COLUMNS, "")
    row |= {"file": file_name(run.id), "start": start, "verdicts": list[str](), "makers": list[str]()}
    row |= {"notebook": text(run.notebook), "status": run.status, "seconds": run.seconds, "engine": text(run.engine)}
    row |= {"id": text(run.id), "metrics": run.metrics, "dirty": False, "error": run.error[:SHOWN]}
    return row | {"parameters": {name: _short(value) for name, value in run.parameters.items()}} | facts


def start(run: str) -> float | None:
    """The time of a run's start by its id, in seconds; None where it is no time."""
    try:
        return run_folder.start_time(run).timestamp()
    except ValueError:
        return None


def text(value: object) -> str:
    """A value as text; half characters, as in a folder's name that is not UTF-8, become `?`."""
    return str(value if value is not None else "").encode(errors="replace").decode()


def _short(value: Any) -> Any:
    long = value if isinstance(value, str) else "" if isinstance(value, int | float | None) else str(value)
    return f"{long[:SHOWN]}…" if len(long) > SHOWN else value
