"""The story of a day: whole lines of many processes, read back by day, together with the runs."""

import datetime
import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from tiny import Tiny

from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.sections import Warehouse
from samebook.pipelines import story
from samebook.verbs import log
from samebook.verbs.log import LogRequest

TODAY = datetime.datetime.now(datetime.UTC).date()


def lines_of(tiny: Tiny, day: str = f"{TODAY}") -> list[dict[str, Any]]:
    return list(story.lines(Workspace(tiny.root), datetime.date.fromisoformat(day)))


def file(tiny: Tiny, day: str = f"{TODAY}") -> Path:
    return tiny.root / "runs" / ".story" / f"{day}.jsonl"


def write(tiny: Tiny, day: str, *lines: dict[str, Any]) -> None:
    file(tiny, day).parent.mkdir(parents=True, exist_ok=True)
    file(tiny, day).write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_line_has_facts(tiny: Tiny) -> None:
    """A line has its time in UTC to the millisecond, its level and event, then the facts, dates as text."""
    story.append(Workspace(tiny.root), "step-failed", level="error", env="prod", step="predict", day=TODAY)
    line = json.loads(file(tiny).read_text())
    assert list(line) == ["time", "level", "event", "env", "step", "day"]
    assert datetime.datetime.fromisoformat(line["time"]).utcoffset() == datetime.timedelta(0)
    assert len(line["time"]) == len("2026-11-21T12:34:12.123+00:00")
    assert line["day"] == f"{TODAY}"


def many(root: Path, writer: int) -> None:
    for number in range(200):
        story.append(Workspace(root), "counted", writer=writer, number=number, text="x" * 5000)


def test_writers_do_not_mix(tiny: Tiny) -> None:
    """Four processes write 200 long lines each: all are there, and whole."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=many, args=(tiny.root, number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = {(line["writer"], line["number"]) for line in lines_of(tiny)}
    assert len(found) == len(file(tiny).read_text().splitlines()) == 800


def test_full_disk_stops_nobody(tiny: Tiny) -> None:
    """A line without room, or without a folder, is lost without an error."""
    file(tiny).parent.mkdir(parents=True)
    file(tiny).symlink_to("/dev/full")
    story.append(Workspace(tiny.root), "lost")
    (tiny.root / "file").touch()
    story.append(Workspace(tiny.root / "file"), "lost")


def test_cut_line_costs_itself_only(tiny: Tiny) -> None:
    """A line that is cut off is skipped, and the next one is whole, in a line of its own."""
    file(tiny).parent.mkdir(parents=True)
    file(tiny).write_bytes(b'\xff\x00\n[1]\n{"no": "time"}\n\n{"time": "2013-')
    story.append(Workspace(tiny.root), "next")
    story.append(Workspace(tiny.root), "and-next")
    assert [line["event"] for line in lines_of(tiny)] == ["next", "and-next"]


def test_day_of_line_or_of_data(tiny: Tiny) -> None:
    """A day's story has the lines of that day, and later lines about its data, but not those that only mention it."""
    later = {"time": "2026-01-03T00:00:00.000+00:00", "level": "info"}
    write(tiny, "2026-01-02", {**later, "time": "2026-01-02T09:00:00.000+00:00", "event": "then"})
    write(
        tiny, "2026-01-03", {**later, "event": "of", "day": "2026-01-02"}, {**later, "event": "a", "text": "2026-01-02"}
    )
    assert [line["event"] for line in lines_of(tiny, "2026-01-02")] == ["then", "of"]
    assert len(lines_of(tiny, "2026-01-03")) == 2


def test_secret_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """`redacted` takes the secrets that the settings name out of a text."""
    monkeypatch.setenv("DATABASE", "hunter2-and-more")
    env_settings = settings.Settings(warehouse=Warehouse(password="DATABASE"))
    assert story.redacted("no hunter2-and-more here", env_settings) == "no [redacted DATABASE] here"


@pytest.fixture
def worked(tiny: Tiny) -> Tiny:
    """A workspace where one notebook ran well for a day of data, and one failed."""
    tiny.notebook("score", parameters="day: str = ''", work="import samebook\nsamebook.log_metric('rows', 3)")
    tiny.notebook("broken", fit="raise ValueError('no such carrier')")
    assert tiny.samebook("run", "score", "-p", "day=2013-07-01").code == 0
    assert tiny.samebook("run", "broken").code == 1
    story.append(
        Workspace(tiny.root), "step-failed", level="error", env="prod", pipeline="daily", step="predict", text="a\nb"
    )
    return tiny


def test_story_has_the_runs(worked: Tiny) -> None:
    """The story of today has the runs too, done and failed, with the cell that failed; the oldest first."""
    lines = log.log(Workspace(worked.root), LogRequest(TODAY))
    events = [line["event"] for line in lines]
    assert sorted(events) == ["cell-finished", "run-done", "run-failed", "step-failed"]
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    failed = next(line for line in lines if line["event"] == "run-failed")
    assert (failed["env"], failed["step"], failed["level"]) == ("dev", "broken", "error")
    assert "no such carrier" in failed["text"]


def test_run_is_of_its_day_of_data(worked: Tiny) -> None:
    """A run whose parameter is a day belongs to that day's story too."""
    ended = worked.samebook("log", "--day", "2013-07-01", "--json")
    assert [line["event"] for line in json.loads(ended.stdout)] == ["run-done"]


def test_story_is_readable(worked: Tiny) -> None:
    """`samebook log` prints a line an event, in columns; level and env narrow it."""
    shown = worked.samebook("log").stdout.splitlines()
    assert shown[0].split() == ["time", "level", "env", "pipeline", "step", "run", "what"]
    assert len(shown) == 5
    assert any(line.endswith("step-failed  a b") for line in shown)
    assert len(worked.samebook("log", "--level", "error").stdout.splitlines()) == 4
    assert len(worked.samebook("log", "--env", "prod").stdout.splitlines()) == 2


def test_terminal_is_left_alone(tiny: Tiny) -> None:
    """Codes that move a terminal's cursor, or colour it, are not printed."""
    story.append(Workspace(tiny.root), "odd", text="\x1b[31mred\x1b]0;title\x07\nnew")
    assert "\x1b" not in tiny.samebook("log").stdout
    assert "\x07" not in tiny.samebook("log").stdout


def test_quiet_day_is_said(tiny: Tiny) -> None:
    """`samebook log` says that a day has no lines; a text that is not a day is an error of use."""
    assert tiny.samebook("log", "--day", "2013-01-01").stdout == "no event on 2013-01-01\n"
    assert tiny.samebook("log", "--day", "2013-01-01", "--json").stdout == "[]\n"
    assert tiny.samebook("log", "--day", "yesterday").code == 2
