"""The progress of a run, shown while it runs: a line for each cell on stderr, and JSON lines in run.log."""

import datetime
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, override

from samebook.core.processes import STEP
from samebook.core.text import COLOURS, Say, visible
from samebook.execution.preparation import RunRequest
from samebook.records import run_folder
from samebook.redaction.redactor import Redaction
from samebook.verbs.run import Reporter

TICK = 0.5
# Characters that a cell's output may take in run.log, each line with its other facts; the notebook has all of it.
MOST_LOGGED, FACTS = 10**5, 150
# Seconds after which a cell is named, for it may be an endless one.
LONG = 60


class Console(Reporter):
    """Progress on a stream: each cell's name and seconds, the notebook's notes, and, if `verbose`, its output."""

    def __init__(self, *, verbose: bool = False, stream: TextIO | None = None) -> None:
        self.is_verbose = verbose
        self.stream = stream or sys.stderr
        self.is_live = self.stream.isatty()
        self.run: Path | None = None
        self.redaction = Redaction({})
        # Fields of each line in run.log: the environment, and the step where a pipeline started the run.
        self.context: dict[str, str] = {}
        self.cell = ""
        self.cell_start = 0.0
        self.is_told = False
        self.logged = 0
        self.events_shown = 0
        self.log_file: TextIO | None = None
        self.ended = threading.Event()
        self.lock = threading.RLock()

    @override
    def run_started(self, run: Path, request: RunRequest, redaction: Redaction) -> None:
        self.run, self.redaction = run, redaction
        self.context = {"env": request.env} | ({"step": os.environ[STEP]} if STEP in os.environ else {})
        self._say(f"{run.name}  (env {request.env})")
        self._log(event="run-started", parameters=dict.fromkeys(request.parameters, "given"))
        threading.Thread(target=self._tick, daemon=True).start()

    @override
    def cell_started(self, index: int, total: int, name: str) -> None:
        self.cell, self.cell_start = f"{index + 1:>3}/{total} {name}", time.monotonic()
        self.is_told, self.logged = False, 0
        self._log(event="cell-started", cell=index + 1, name=name)

    @override
    def cell_finished(self, index: int, total: int, name: str, seconds: float, failed: bool) -> None:
        self._show_notes()
        mark = "  failed" if failed else ""
        self._say(f"{index + 1:>3}/{total} {name:<24} {seconds:7.1f} s{mark}")
        self.cell = ""
        level = "error" if failed else "info"
        self._log(level=level, event="cell-finished", cell=index + 1, name=name, seconds=round(seconds, 3))

    @override
    def printed(self, lines: Sequence[str]) -> None:
        ends = itertools.accumulate((len(line) + FACTS for line in lines), initial=self.logged)
        if logged := [line[:MOST_LOGGED] for line, start in zip(lines, ends, strict=False) if start < MOST_LOGGED]:
            self._log(event="printed", texts=logged)
            self.logged += sum(map(len, lines)) + FACTS * len(lines)
            if self.logged >= MOST_LOGGED:
                self._log(event="note", text=f"the rest of what the cell prints is in {run_folder.NOTEBOOK} alone")
        if self.is_verbose:
            self._say("\n".join(f"      | {COLOURS.sub('', line)}" for line in lines))

    @override
    def noted(self, line: str) -> None:
        self._say(line)
        self._log(event="note", text=line)

    @override
    def run_ended(self) -> None:
        self.ended.set()
        with self.lock:
            self._write("")
            if self.log_file:
                self.log_file.close()
            self.run = self.log_file = None

    def _tick(self) -> None:
        """Twice a second, show new notes, flush run.log and, on a terminal, renew the running cell's line."""
        while not self.ended.wait(TICK):
            self._show_notes()
            self.tell_long()
            with self.lock, suppress(OSError):  # a full disk fails the run at its own next write
                if self.log_file:
                    self.log_file.flush()
            cell, elapsed = self.cell, time.monotonic() - self.cell_start
            if self.is_live and cell and elapsed > TICK:
                self._write(f"{cell:<32} {elapsed:7.1f} s")

    def tell_long(self) -> None:
        """Say once which cell has run for a minute, and how it is ended."""
        if self.cell and not self.is_told and time.monotonic() - self.cell_start > LONG:
            self.is_told = True
            self._say(f"{self.cell} runs for more than a minute: Ctrl-C ends it; with TIMEOUT=600 no cell takes longer")

    def _show_notes(self) -> None:
        with self.lock:  # the ticking thread and the end of a cell would both show the newest note
            path = self.run / run_folder.EVENTS if self.run else None
            if not self.run or not path or not path.is_file():
                return
            # Only whole lines, and only new ones: a run that reads years of days has as many events.
            start, self.events_shown = self.events_shown, path.read_bytes().rfind(b"\n") + 1
            for note in run_folder.events(self.run, "note", slice(start, self.events_shown)):
                text = self.redaction.text(note["text"])
                self._say(f"      {text}")
                self._log(event="note", text=text)

    def _say(self, line: str) -> None:
        self._write(line + "\n")

    def _write(self, text: str) -> None:
        """Write in place of the running cell's line. A closed pipe, as after `| head`, fails no run.

        Names of cells, notes and output are the notebook's: nothing in them acts on the terminal.
        """
        text = visible(text)
        with self.lock:
            try:
                self.stream.write(f"\r\x1b[K{text}" if self.is_live else text)
                self.stream.flush()
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def _log(self, *, event: str, level: str = "info", texts: Sequence[str] = (), **facts: Any) -> None:
        """Write a line into run.log, or one line for each of `texts`."""
        with self.lock:
            if self.run is None:
                return
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
            context = {"run": self.run.name, **self.context}
            line = json.dumps({"time": now, "level": level, **context, "event": event, **facts})
            if self.log_file is None:
                self.log_file = (self.run / run_folder.LOG).open("a")
            lines = [f'{line[:-1]}, "text": {json.dumps(text)}}}\n' for text in texts] or [line + "\n"]
            self.log_file.write("".join(lines))
            if event != "printed":  # there may be thousands of these a second: the ticking thread flushes them
                self.log_file.flush()


@contextmanager
def status_line(stream: TextIO | None = None) -> Iterator[Say]:
    """A function that shows progress: on a terminal each line replaces the last, and the end clears it."""
    console = Console(stream=stream)
    try:
        yield console._write if console.is_live else console._say
    finally:
        if console.is_live:
            console._write("")
