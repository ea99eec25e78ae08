"""Cases and their subjects: data, and how they are measured."""

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import places, trials
from benchmarks.figures import SLOW, Result, number
from benchmarks.places import Place
from benchmarks.preparation import END
from benchmarks.trials import FailedTrial, Measurement, measure, measure_answer, processor_seconds
from tiny import CHECKOUT

WARM_UP = 60


@dataclass(frozen=True)
class Subject:
    """A command line of a case, and how its result is known to be whole.

    {root} is the folder of the case; {python}, {checkout} and {port} are there too, in `beside` and `environ` as well.
    `folder` is the working directory below the root, by default one of the subject's name. `peer` has the programs, by
    default our environment. `clears` are patterns below the root of what is removed before each round, then `before` is
    called. `leaves` are patterns of the files that the command must leave, and how many; notebooks are executed to
    their end. A line that begins with `shows` must be in its output. A process `beside` works for the command. The
    seconds of a command with an `address` are those until it answers there, and one with a `clock` measures a part of
    itself, as a JSON object in its last line.
    """

    line: str
    peer: str = ""
    folder: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Place], object] = lambda _: None
    clears: Sequence[str] = ()
    before: Callable[[Place], object] = lambda _: None
    shows: str = ""
    leaves: Mapping[str, int] = field(default_factory=dict)
    check: Callable[[Path, str], object] = lambda *_: None
    beside: str = ""
    address: str = ""
    clock: bool = False

    def prepared(self, name: str, place: Place) -> Callable[[], Measurement]:
        """The measurement of a round; all that it needs is there. Raises FailedTrial."""
        if self.prepare not in place.prepared:
            self.prepare(place)
            place.prepared.add(self.prepare)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        names = {"root": place.root, "python": sys.executable, "checkout": CHECKOUT, "port": port}
        command, beside = ([word.format(**names) for word in shlex.split(line)] for line in (self.line, self.beside))
        environ = place.environ(places.programs(self.peer) if self.peer else None)
        environ |= {key: text.format(**names) for key, text in self.environ.items()}
        call = (command, place.folder(self.folder or name), environ, place.root / f"{name}.txt")
        pid = _warm(place, beside, *call[1:3]) if beside else None
        return partial(self._round, place, call, self.address.format(**names), pid)

    def _round(self, place: Place, call: tuple[Any, ...], address: str, beside: int | None) -> Measurement:
        for path in [path for pattern in self.clears for path in place.root.glob(pattern)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.before(place)
        busy = processor_seconds(beside)
        measurement = measure_answer(*call, address) if address else measure(*call)
        printed = call[-1].read_text(errors="replace")
        self._check(place.root, printed)
        if self.clock:
            return replace(measurement, **json.loads(printed.splitlines()[-1]))
        if beside:  # the command does not wait for that process, so its memory is unknown
            return replace(measurement, cpu=(measurement.cpu or 0) + processor_seconds(beside) - busy, peak=None)
        return measurement

    def _check(self, root: Path, printed: str) -> None:
        if f"\n{self.shows}" not in f"\n{printed}":
            raise FailedTrial(f"expected a line `{self.shows}…` in the output, found none")
        for pattern, count in self.leaves.items():
            paths = list(root.glob(pattern))
            if len(paths) != count:
                raise FailedTrial(f"expected {count} of {pattern}, found {len(paths)}")
            for path in paths:
                # In a source these words follow a single quote; only an output begins with them.
                if path.suffix == ".ipynb" and not re.search(rf'"{END} ', path.read_text()):
                    raise FailedTrial(f"expected an output `{END} …` in {path.name}, found none")
        self.check(root, printed)


@dataclass(frozen=True)
class Case:
    """Subjects that do the same, measured in turns; the others are compared with those `against`.

    Slow cases are only for `--slow`, or by name.
    """

    name: str
    title: str
    subjects: Mapping[str, Subject]
    against: Sequence[str] = ("script", "papermill-best")
    is_slow: bool = False


def race(case: Case, repeats: int, subjects: Collection[str], say: Callable[[str], None]) -> dict[str, Result]:
    """The result of each of these subjects, by default of all."""
    chosen = {name: subject for name, subject in case.subjects.items() if not subjects or name in subjects}
    results, rounds = {name: Result() for name in chosen}, dict[str, Callable[[], Measurement]]()
    temporary = tempfile.TemporaryDirectory(prefix="samebook-bench-", ignore_cleanup_errors=True)
    with temporary as folder, ExitStack() as stack:
        place = Place(Path(folder), stack)
        for name, subject in chosen.items():
            say(f"{case.name}: preparing {name}")
            with results[name].guard():
                rounds[name] = subject.prepared(name, place)
        for turn in range(repeats + 1):
            waiting = [name for name in rounds if not results[name].is_enough(repeats if turn else 1)]
            start = turn % max(len(waiting), 1)
            for name in waiting[start:] + waiting[:start]:  # none is always the first
                with results[name].guard():
                    measured = rounds[name]()
                    # The first round warms up the disk's cache, and counts only for a slow subject.
                    counts = turn > 0 or measured.seconds > SLOW
                    results[name].rounds += [measured] * counts
                    say(f"{case.name}: {name}: {number(measured.seconds)} s{'' if counts else ', to warm up'}")
                if results[name].error:
                    say(f"{case.name}: {name}: error: {results[name].error}")
    return results


def _warm(place: Place, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> int:
    """Start a process that ends with the case, and wait until it says that something is warm; returns its id."""
    log = place.root / "beside.txt"
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=file, stderr=file)
    place.stack.callback(trials.end, process)
    last = time.monotonic() + WARM_UP
    while " is warm" not in log.read_text():
        if process.poll() is not None or time.monotonic() > last:
            raise FailedTrial(f"not warm after {WARM_UP} s, or ended: {trials.last_words(log)}")
        time.sleep(0.1)
    return process.pid
