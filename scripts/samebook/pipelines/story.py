"""The story of a day: a log of events in runs/.story/<UTC date>.jsonl, a JSON line an event.

A line has `time` (UTC), `level` and `event`, then facts: env, pipeline, step, run, day (of the data), text and others.
"""

import datetime
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from samebook.core import secret
from samebook.core.errors import UsageError
from samebook.core.file_lock import hold
from samebook.core.workspace import Workspace
from samebook.environment.settings import Settings
from samebook.redaction.redactor import Redaction

FOLDER = ".story"

type Level = Literal["info", "warning", "error"]
type Line = dict[str, Any]


def append(workspace: Workspace, event: str, *, level: Level = "info", **facts: Any) -> None:
    """Append a line to today's story. A line that cannot be written is lost: logging never stops other work.

    Texts are written as they are; pass those that may hold a secret through `redacted` first.
    """
    now = datetime.datetime.now(datetime.UTC)
    line: Line = {"time": timestamp(now), "level": level, "event": event, **facts}
    with suppress(OSError, UsageError):
        _append(_folder(workspace) / f"{now:%Y-%m-%d}.jsonl", json.dumps(line, default=str).encode() + b"\n")


def timestamp(moment: datetime.datetime) -> str:
    """The time as a line has it: UTC, ISO 8601, to the millisecond."""
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds")


def redacted(text: str, settings: Settings) -> str:
    """The text without the secrets that the settings name."""
    return Redaction(secret.texts(settings.secret_names())).text(text)


def lines(workspace: Workspace, day: datetime.date) -> Iterator[Line]:
    """The lines that were written on `day` (UTC), and those about that day's data, oldest first."""
    name = f"{day:%Y-%m-%d}"
    for path in sorted(_folder(workspace).glob("*.jsonl")):
        is_of_day = path.stem == name
        for content in path.read_bytes().splitlines():
            line = parse(content) if is_of_day or name.encode() in content else None
            if line and (is_of_day or line.get("day") == name):
                yield line


def _folder(workspace: Workspace) -> Path:
    return workspace.runs / FOLDER


def _append(path: Path, line: bytes) -> None:
    """Append a line in one write, under a lock, because another process could write into a long line."""
    with hold(path) as handle:
        size = os.lseek(handle, 0, os.SEEK_END)
        was_cut = size > 0 and os.pread(handle, 1, size - 1) != b"\n"  # the disk was full
        os.write(handle, b"\n" + line if was_cut else line)


def parse(content: bytes) -> Line | None:
    """A line of a story from its bytes; None where they are not a whole one."""
    try:
        line = json.loads(content)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("time"), str) else None
