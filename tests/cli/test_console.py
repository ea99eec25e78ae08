"""The progress of a run on a terminal or in a log: each note is shown once, and no trouble with it fails the run."""

import io
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import PATIENCE, Tiny

from samebook.cli import console, main, options
from samebook.cli.console import Console
from samebook.core.errors import UsageError
from samebook.execution.preparation import RunRequest
from samebook.records import run_folder
from samebook.redaction.redactor import Redaction


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
        assert run.wait(PATIENCE) == 0
    assert (tiny.last / "receipt.json").is_file()


def test_note_shown_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note is shown once, also when a cell ends while the ticking thread shows it."""
    progress = Console(stream=io.StringIO())
    progress.run_started(tmp_path, RunRequest("work", {}), Redaction({"TOKEN": "canary"}))
    run_folder.append_event(tmp_path, {"kind": "note", "text": "waits for canary"})
    read = run_folder.events

    def slow_events(*arguments: Any) -> list[dict[str, Any]]:
        notes = list(read(*arguments))
        time.sleep(0.05)
        return notes

    monkeypatch.setattr(run_folder, "events", slow_events)
    threads = [threading.Thread(target=progress._show_notes) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.run_ended()
    assert progress.stream.getvalue().count("waits for [redacted TOKEN]\n") == 1
    assert "canary" not in (tmp_path / "run.log").read_text()


def test_long_cell_told_once() -> None:
    """A cell that runs for more than a minute is named once, with what ends it; a short one is not."""
    progress = Console(stream=io.StringIO())
    progress.cell_started(3, 9, "fit")
    progress.tell_long()
    assert progress.stream.getvalue() == ""
    progress.cell_start -= console.LONG
    progress.tell_long()
    progress.tell_long()
    assert progress.stream.getvalue().count("4/9 fit runs for more than a minute: Ctrl-C ends it") == 1


def test_end_of_run_ends_ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends while the ticking thread is at work causes no error there, and no more output."""
    monkeypatch.setattr(console, "TICK", 0.0001)
    for _ in range(50):
        progress = Console(stream=io.StringIO())
        progress.run_started(tmp_path, RunRequest("work", {}), Redaction({}))
        progress.run_ended()
        output = progress.stream.getvalue()
        run_folder.append_event(tmp_path, {"kind": "note", "text": "late"})
        time.sleep(0.001)
        assert progress.stream.getvalue() == output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_status_line() -> None:
    """Progress is one line on a terminal, which is cleared at the end; in a log it is a line for each step."""
    for stream, expected in ((Terminal(), "\r\x1b[K1 of 2\r\x1b[K2 of 2\r\x1b[K"), (io.StringIO(), "1 of 2\n2 of 2\n")):
        with console.status_line(stream) as say:
            say("1 of 2")
            say("2 of 2")
        assert stream.getvalue() == expected


def test_names_command_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Results, progress, errors and a run's cells, notes and output write no escape of their own to the terminal."""
    hostile = "x\x1b[2J\x1b[31my\r\x07"
    stream = io.StringIO()
    progress = Console(verbose=True, stream=stream)
    progress.noted(hostile)
    progress.cell_finished(0, 1, hostile, 0.1, False)
    progress.printed([hostile.rstrip("\r\x07")])
    options.show(hostile)
    options.say(hostile)
    main._print_error(UsageError(hostile, mend=hostile), 2, hostile)
    shown = capsys.readouterr()
    assert not {"\x1b", "\r", "\x07"} & {*stream.getvalue(), *shown.out, *shown.err}
    assert "      | x\\x1b[2Jy" in stream.getvalue()
