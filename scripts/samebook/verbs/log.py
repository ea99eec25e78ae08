"""The story of a day: the events that pipelines and jobs wrote, and the runs, with their errors."""

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samebook.core.text import align
from samebook.core.workspace import Workspace
from samebook.pipelines import story
from samebook.pipelines.story import Line
from samebook.records import receipt, run_folder, summary

LEVELS = ("info", "warning", "error")
COLUMNS = ("time", "level", "env", "pipeline", "step", "run")
METRICS_SHOWN = 4


@dataclass(frozen=True)
class LogRequest:
    """One call of `samebook log`: a day, the lowest level to show, and an environment, "" for all."""

    day: datetime.date
    level: str = LEVELS[0]
    env: str = ""


def log(workspace: Workspace, request: LogRequest) -> list[Line]:
    """The lines written on a day (UTC), and those of runs for that day's data, oldest first."""
    lines = list(story.lines(workspace, request.day))
    run_ids = {str(line["run"]) for line in lines if line.get("run")}
    lines += [line for run in _runs(workspace, request.day, run_ids) for line in _run_lines(run)]
    lines = [line for line in lines if _rank(line) >= LEVELS.index(request.level)]
    return sorted((line for line in lines if request.env in ("", line.get("env"))), key=lambda line: line["time"])


def _rank(line: Line) -> int:
    """The rank of a line's level; an unknown level ranks highest, so that no filter hides it."""
    level = line.get("level")
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def _runs(workspace: Workspace, day: datetime.date, run_ids: set[str]) -> Iterator[Path]:
    """The folders of the runs that started on `day`, had it as their parameter `day`, or are among `run_ids`."""
    for path in sorted(workspace.runs.glob("[0-9]*Z-*")):
        if path.name.startswith(f"{day:%Y%m%d}T") or path.name in run_ids or _is_for(path, f"{day:%Y-%m-%d}"):
            yield path


def _is_for(run: Path, day: str) -> bool:
    path = run / run_folder.RECEIPT
    # Much cheaper than to parse each receipt; the bare day stands in many, as that of their end.
    if not path.is_file() or f'"day": "{day}"'.encode() not in path.read_bytes():
        return False
    return summary.summarize(run).parameters.get("day") == day


def _run_lines(path: Path) -> Iterator[Line]:
    """The errors in a run's own log, and a line for the run's end."""
    run, lines = summary.summarize(path), _log_lines(path)
    env = next((line["env"] for line in lines if "env" in line), "")
    facts = {"env": env, "step": run.notebook, "run": run.id}
    yield from ({**line, **facts} for line in lines if line.get("level") == "error")
    metrics = list(run.metrics.items())[:METRICS_SHOWN]
    text = run.error or "  ".join(f"{name} {value:.4g}" for name, value in metrics)
    level = "info" if run.status == "done" else "error"
    yield {"time": _end(path, lines), "level": level, "event": f"run-{run.status}", **facts, "text": text}


def _log_lines(run: Path) -> list[Line]:
    path = run / run_folder.LOG
    contents = path.read_bytes().splitlines() if path.is_file() else []
    return [line for content in contents if (line := story.parse(content))]


def _end(run: Path, lines: list[Line]) -> str:
    """The time of a run's end, by its receipt; without one, of the last line in its log, else of its start."""
    try:
        details = receipt.read(run / run_folder.RECEIPT)["predicate"]["runDetails"]
        return story.timestamp(datetime.datetime.fromisoformat(details["metadata"]["finishedOn"]))
    except (receipt.UsageError, ValueError, KeyError):
        return lines[-1]["time"] if lines else story.timestamp(run_folder.start_time(run.name))


def table(lines: list[Line], day: datetime.date) -> str:
    """The lines as text, without the columns that are empty in all of them."""
    rows = [(*(_plain(_cell(line, name, day)) for name in COLUMNS), _event(line)) for line in lines]
    titles = (*COLUMNS, "what")
    columns = [number for number in range(len(titles)) if any(row[number] for row in rows)]
    return "\n".join(align([[row[number] for number in columns] for row in (titles, *rows)]))


def _cell(line: Line, name: str, day: datetime.date) -> str:
    value = str(line.get(name) or "")
    if name != "time":
        return value
    date, _, time = value[:19].partition("T")
    return time if date == f"{day:%Y-%m-%d}" else f"{date} {time}"


def _event(line: Line) -> str:
    """The event with its text, and the line's other fields by name."""
    others = {name: value for name, value in line.items() if name not in (*COLUMNS, "event", "text")}
    parts = (line.get("event"), line.get("text"), *(f"{name} {_value(value)}" for name, value in others.items()))
    return "  ".join(_plain(str(part)) for part in parts if part)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _plain(text: str) -> str:
    """A text in one line, without control characters, which would move a terminal's cursor."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
