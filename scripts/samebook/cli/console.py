"""Shows a run while it runs: a line a cell on a terminal or in a log, and the same as JSON lines in run.log."""

import datetime
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, override

from samebook.core.processes import STEP
from samebook.execution.preparation import RunRequest
from samebook.records import run_folder
from samebook.verbs.run import Reporter

TICK = 0.5


class Console(Reporter):
    """Progress for a person: each cell's name and time, what the notebook waits for, and, if asked, what it prints."""

    def __init__(self, *, verbose: bool = False, stream: TextIO | None = None) -> None:
        self.verbose = verbose
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.run: Path | None = None
        # In which environment, and as which step of a pipeline.
        self.where: dict[str, str] = {}
        self.current = ""
        self.since = 0.0
        self.notes = 0
        self.log: TextIO | None = None
        self.ended = threading.Event()
        self.lock = threading.RLock()

    @override
    def run_started(self, run: Path, request: RunRequest) -> None:
        self.run = run
        self.where = {"env": request.env} | ({"step": os.environ[STEP]} if STEP in os.environ else {})
        self._say(f"{run.name}  (env {request.env})")
        self._log(event="run-started", parameters=dict.fromkeys(request.parameters, "given"))
        threading.Thread(target=self._tick, daemon=True).start()

    @override
    def cell_started(self, index: int, total: int, name: str) -> None:
        self.current, self.since = f"{index + 1:>3}/{total} {name}", time.monotonic()
        self._log(event="cell-started", cell=index + 1, name=name)

    @override
    def cell_finished(self, index: int, total: int, name: str, seconds: float, failed: bool) -> None:
        self._tell_notes()
        mark = "  failed" if failed else ""
        self._say(f"{index + 1:>3}/{total} {name:<24} {seconds:7.1f} s{mark}")
        self.current = ""
        level = "error" if failed else "info"
        self._log(level=level, event="cell-finished", cell=index + 1, name=name, seconds=round(seconds, 3))

    @override
    def printed(self, lines: Sequence[str]) -> None:
        shown = [line.rsplit("\r", 1)[-1] for line in lines]  # what a terminal would be left with
        self._log(event="printed", texts=shown)
        if self.verbose:
            self._say("\n".join(f"      | {line}" for line in shown))

    @override
    def noted(self, line: str) -> None:
        self._say(line)

    @override
    def run_ended(self) -> None:
        self.ended.set()
        with self.lock:
            self._write("")
            if self.log:
                self.log.close()
            self.run = self.log = None

    def _tick(self) -> None:
        """On a terminal, keep the line of the running cell alive; anywhere, say what the notebook waits for."""
        while not self.ended.wait(TICK):
            self._tell_notes()
            with self.lock, suppress(OSError):  # a full disk is told where the run itself writes next
                if self.log:
                    self.log.flush()
            current, elapsed = self.current, time.monotonic() - self.since
            if self.live and current and elapsed > TICK:
                self._write(f"{current:<32} {elapsed:7.1f} s")

    def _tell_notes(self) -> None:
        with self.lock:  # the ticking thread and the end of a cell would both tell the newest
            notes = list(run_folder.events(self.run, "note")) if self.run else []
            for note in notes[self.notes :]:
                self._say(f"      {note['text']}")
                self._log(event="note", text=note["text"])
            self.notes = max(self.notes, len(notes))

    def _say(self, line: str) -> None:
        self._write(line + "\n")

    def _write(self, text: str) -> None:
        """Write in place of the running cell's line. A reader that has gone, as `head` has, fails no run."""
        with self.lock:
            try:
                self.stream.write(f"\r\x1b[K{text}" if self.live else text)
                self.stream.flush()
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def _log(self, *, event: str, level: str = "info", texts: Sequence[str] = (), **facts: Any) -> None:
        """Write a line; of several texts, a line each."""
        with self.lock:
            if self.run is None:
                return
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
            where = {"run": self.run.name, **self.where}
            line = json.dumps({"time": now, "level": level, **where, "event": event, **facts})
            if self.log is None:
                self.log = (self.run / run_folder.LOG).open("a")
            lines = [f'{line[:-1]}, "text": {json.dumps(text)}}}\n' for text in texts] or [line + "\n"]
            self.log.write("".join(lines))
            if event != "printed":  # of these there may be thousands a second: the ticking thread sees to them
                self.log.flush()


@contextmanager
def newest(stream: TextIO | None = None) -> Iterator[Callable[[str], None]]:
    """A way to say how far it is: on a terminal each line takes the place of the one before it, and is gone at last."""
    console = Console(stream=stream)
    try:
        yield console._write if console.live else console._say
    finally:
        if console.live:
            console._write("")
