"""A day's story: what happened, told by whatever runs, a line an event, in runs/.story/<UTC date>.jsonl.

A line has `time` (UTC), `level` and `event`, then facts, among them env, pipeline, step, run, day (of the data), text.
"""

import datetime
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from samebook.core import secret
from samebook.core.file_lock import hold
from samebook.core.redaction import Redaction
from samebook.core.workspace import Workspace
from samebook.environment.settings import Settings

FOLDER = ".story"

type Level = Literal["info", "warning", "error"]
type Line = dict[str, Any]


def append(workspace: Workspace, event: str, *, level: Level = "info", **facts: Any) -> None:
    """Append a line to today's story. A full disk, or no permission, stops nobody's work: the line is then lost.

    The texts are written as they are: `safe` takes secrets out of those that may hold one.
    """
    now = datetime.datetime.now(datetime.UTC)
    line: Line = {"time": timestamp(now), "level": level, "event": event, **facts}
    with suppress(OSError):
        _append(_folder(workspace) / f"{now:%Y-%m-%d}.jsonl", json.dumps(line, default=str).encode() + b"\n")


def timestamp(moment: datetime.datetime) -> str:
    """A moment as a line tells it: UTC, to the millisecond."""
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds")


def redacted(text: str, in_force: Settings) -> str:
    """`text` without the secrets that the settings name."""
    return Redaction(secret.texts(in_force.secret_names())).text(text)


def lines(workspace: Workspace, day: datetime.date) -> Iterator[Line]:
    """What was told on `day` (UTC), or at any time of that day's data, oldest first."""
    name = f"{day:%Y-%m-%d}"
    for path in sorted(_folder(workspace).glob("*.jsonl")):
        is_told_then = path.stem == name
        for written in path.read_bytes().splitlines():
            line = parse(written) if is_told_then or name.encode() in written else None
            if line and (is_told_then or line.get("day") == name):
                yield line


def _folder(workspace: Workspace) -> Path:
    return workspace.runs / FOLDER


def _append(path: Path, line: bytes) -> None:
    """One write, at the end wherever that is by now; one writer at a time, as a long line grows while it is written."""
    with hold(path) as handle:
        size = os.lseek(handle, 0, os.SEEK_END)
        was_cut = size > 0 and os.pread(handle, 1, size - 1) != b"\n"  # by a disk that was full
        os.write(handle, b"\n" + line if was_cut else line)


def parse(written: bytes) -> Line | None:
    """A line as it was told; None for what is none, as one that was cut off."""
    try:
        found = json.loads(written)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("time"), str) else None
