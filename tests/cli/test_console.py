"""What a person sees of a run: told once, and never what fails the run."""

import io
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import Tiny

from samebook.cli import console
from samebook.cli.console import Console
from samebook.execution.preparation import RunRequest
from samebook.records import run_folder


def test_closed_pipe_fails_no_run(tiny: Tiny) -> None:
    """A run whose reader stops reading, as `head` does, goes on to its end."""
    tiny.notebook("talks", talk="for n in range(20_000): print(n)", work="import samebook; samebook.log_metric('n', 1)")
    command = tiny.command("run", "talks", "--verbose")
    with subprocess.Popen(
        command, cwd=tiny.root, env=tiny.environ(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as run:
        assert run.stdout
        run.stdout.readline()
        run.stdout.close()
        assert run.wait(timeout=120) == 0
    assert (tiny.last / "receipt.json").is_file()


def test_note_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note is told once, also when a cell ends as the ticking thread tells it."""
    shown = Console(stream=io.StringIO())
    shown.run = tmp_path
    run_folder.append_event(tmp_path, {"kind": "note", "text": "waits"})
    read = run_folder.events

    def slowly(*arguments: Any) -> list[dict[str, Any]]:
        found = list(read(*arguments))
        time.sleep(0.05)
        return found

    monkeypatch.setattr(run_folder, "events", slowly)
    threads = [threading.Thread(target=shown._tell_notes) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown.stream.getvalue().count("waits") == 1


def test_end_of_run_ends_ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends while the ticking thread is at work leaves it without an error, and says no more."""
    monkeypatch.setattr(console, "TICK", 0.0001)
    for _ in range(50):
        shown = Console(stream=io.StringIO())
        shown.run_started(tmp_path, RunRequest("work", {}))
        shown.run_ended()
        said = shown.stream.getvalue()
        run_folder.append_event(tmp_path, {"kind": "note", "text": "late"})
        time.sleep(0.001)
        assert shown.stream.getvalue() == said


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_newest_line_stands() -> None:
    """How far something is: one line on a terminal, gone at last; in a log a line each."""
    for stream, expected in ((Terminal(), "\r\x1b[K1 of 2\r\x1b[K2 of 2\r\x1b[K"), (io.StringIO(), "1 of 2\n2 of 2\n")):
        with console.newest(stream) as say:
            say("1 of 2")
            say("2 of 2")
        assert stream.getvalue() == expected
