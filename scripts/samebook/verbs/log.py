"""A day's story, whole: what pipelines and jobs have told, and what ran."""

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samebook.core.table import align
from samebook.core.workspace import Workspace
from samebook.records import receipt, run_folder, story, summary
from samebook.records.story import Line

LEVELS = ("info", "warning", "error")
COLUMNS = ("time", "level", "env", "pipeline", "step", "run")
METRICS_SHOWN = 4


@dataclass(frozen=True)
class LogRequest:
    """Of which day; from which level on; of which environment, "" for all."""

    day: datetime.date
    level: str = LEVELS[0]
    env: str = ""


def log(workspace: Workspace, request: LogRequest) -> list[Line]:
    """The lines of a day (UTC), or of that day's data, oldest first."""
    lines = list(story.told(workspace, request.day))
    named = {str(line["run"]) for line in lines if line.get("run")}
    lines += [line for run in _runs(workspace, request.day, named) for line in _of_run(run)]
    wanted = [line for line in lines if _rank(line) >= LEVELS.index(request.level)]
    return sorted((line for line in wanted if request.env in ("", line.get("env"))), key=lambda line: line["time"])


def _rank(line: Line) -> int:
    """How grave; a level that nobody knows is shown rather than hidden."""
    level = line.get("level")
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def _runs(workspace: Workspace, day: datetime.date, named: set[str]) -> Iterator[Path]:
    """The runs that started on `day`, that had it as their parameter `day`, or that its story names."""
    for path in sorted(workspace.runs.glob("[0-9]*Z-*")):
        if path.name.startswith(f"{day:%Y%m%d}T") or path.name in named or _is_for(path, f"{day:%Y-%m-%d}"):
            yield path


def _is_for(run: Path, day: str) -> bool:
    made = run / run_folder.RECEIPT
    if not made.is_file() or day.encode() not in made.read_bytes():
        return False
    return summary.described(run).parameters.get("day") == day


def _of_run(path: Path) -> Iterator[Line]:
    """What a run's own log says of errors, and how the run ended."""
    run, logged = summary.described(path), _logged(path)
    env = next((line["env"] for line in logged if "env" in line), "")
    facts = {"env": env, "step": run.notebook, "run": run.id}
    yield from ({**line, **facts} for line in logged if line.get("level") == "error")
    metrics = list(run.metrics.items())[:METRICS_SHOWN]
    text = run.error or "  ".join(f"{name} {value:.4g}" for name, value in metrics)
    level = "info" if run.status == "done" else "error"
    yield {"time": _ended(path, logged), "level": level, "event": f"run-{run.status}", **facts, "text": text}


def _logged(run: Path) -> list[Line]:
    path = run / run_folder.LOG
    written = path.read_bytes().splitlines() if path.is_file() else []
    return [line for each in written if (line := story.parsed(each))]


def _ended(run: Path, logged: list[Line]) -> str:
    """When a run ended, as far as that is known: else when it was last heard of, else when it started."""
    try:
        details = receipt.read(run / run_folder.RECEIPT)["predicate"]["runDetails"]
        return story.stamp(datetime.datetime.fromisoformat(details["metadata"]["finishedOn"]))
    except (receipt.UsageError, ValueError, KeyError):
        return logged[-1]["time"] if logged else story.stamp(run_folder.started(run.name))


def table(lines: list[Line], day: datetime.date) -> str:
    """The lines as text; a column that is empty in all of them is left out."""
    rows = [(*(_plain(_cell(line, name, day)) for name in COLUMNS), _what(line)) for line in lines]
    titles = (*COLUMNS, "what")
    shown = [n for n in range(len(titles)) if any(row[n] for row in rows)]
    return "\n".join(align([[row[n] for n in shown] for row in (titles, *rows)]))


def _cell(line: Line, name: str, day: datetime.date) -> str:
    value = str(line.get(name) or "")
    if name != "time":
        return value
    date, _, time = value[:19].partition("T")
    return time if date == f"{day:%Y-%m-%d}" else f"{date} {time}"


def _what(line: Line) -> str:
    """The event, its text, and whatever else is known."""
    rest = {name: value for name, value in line.items() if name not in (*COLUMNS, "event", "text")}
    parts = (line.get("event"), line.get("text"), *(f"{name} {_value(value)}" for name, value in rest.items()))
    return "  ".join(_plain(str(part)) for part in parts if part)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _plain(text: str) -> str:
    """A text in one line, without what would move a terminal's cursor."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
