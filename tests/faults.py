"""A site that takes in a file a day, and what can go wrong there: killed, full, away, set back. Nothing may be lost.

`python -m pytest tests/test_faults.py` injects each fault a few times, `make test-faults` a few hundred times.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from postgresql import PostgreSQL
from tiny import Tiny, wait_until

FIRST = date(2013, 1, 1)
PARAMETERS = "from datetime import date\nday: date = date(2013, 1, 1)"
INTAKE = """
from pathlib import Path
import pandas as pd
import samebook
try:
    frame = pd.read_parquet(samebook.find_artifact(source, Path(source).name))
except ValueError as error:
    raise samebook.DataRejected(str(error)) from None
samebook.write_partition("rows", day, frame)
"""
SCORE = """
import samebook
samebook.write_partition("scores", day, samebook.read_dataset("rows", day, day) * 2)
samebook.log_metric("rows", 1)
"""
YAML = """
parameters: {day: today, source: null}
steps:
  intake: {parameters: {day: $day, source: $source}}
  score: {needs: [intake], parameters: {day: $day}}
"""
SETTINGS = "watch: {settle: 0.2, inbox: {rows: daily}}\n"
INTO = "datasets: {{scores: {{into: scores}}}}\nwarehouse: {{url: '{url}', password: {password}}}\n"
# How long a file takes, and so when a fault may come.
SPAN = 6.0
PATIENCE = 120


@dataclass
class Site:
    """A workspace with a watcher, and the warehouse that it publishes into, if any; `days` have arrived."""

    tiny: Tiny
    server: PostgreSQL | None = None
    database: str = ""
    prefix: tuple[str, ...] = ()
    days: list[date] = field(default_factory=list)
    watcher: subprocess.Popen[str] | None = None

    @classmethod
    def create(cls, root: Path, server: PostgreSQL | None = None, database: str = "") -> "Site":
        into = INTO.format(**server.warehouse(database).model_dump()) if server else ""
        tiny = Tiny.create(root, SETTINGS + into)
        tiny.notebook("intake", parameters=f"{PARAMETERS}\nsource: str = ''", work=INTAKE)
        tiny.notebook("score", parameters=PARAMETERS, work=SCORE)
        (root / "environments" / "pipelines").mkdir()
        (root / "environments" / "pipelines" / "daily.yml").write_text(YAML)
        (root / "data" / "inbox").mkdir(parents=True)
        return cls(tiny, server, database)

    def arrive(self) -> date:
        """The file of the next day, as a careful writer leaves it."""
        import pandas as pd

        day = FIRST + timedelta(days=len(self.days))
        path = self.tiny.root / "data" / "inbox" / f"rows-{day}.parquet"
        pd.DataFrame({"n": [len(self.days), 1]}).to_parquet(path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
        self.days.append(day)
        return day

    def watch(self) -> None:
        """See to it that a watcher runs, as whatever supervises it would."""
        if self.watcher is None or self.watcher.poll() is not None:
            with (self.tiny.root / "watch.log").open("a") as log:
                command = [*self.prefix, *self.tiny.command("watch")]
                self.watcher = subprocess.Popen(
                    command, cwd=self.tiny.root, env=self.tiny.environ(), stderr=log, text=True, start_new_session=True
                )

    def stop(self, signum: int = signal.SIGTERM) -> None:
        """End the watcher as an operator does; `faketime` is its parent, and would not hand a signal on."""
        if self.watcher and self.watcher.poll() is None:
            os.killpg(self.watcher.pid, signum)
            self.watcher.wait(15)
        wait_until(lambda: not self.processes("samebook", "watch"))
        self.watcher = None

    def is_published(self, day: date) -> bool:
        """Whether the day is scored, and its file has left the inbox."""
        inbox = self.tiny.root / "data" / "inbox" / f"rows-{day}.parquet"
        return not inbox.exists() and (self.partition(day) / "part-0.parquet").is_file()

    def partition(self, day: date) -> Path:
        return self.tiny.root / "data" / "scores" / f"day={day}"

    def processes(self, *words: str) -> list[int]:
        """The running programs of this site whose command has all these words."""
        found: list[int] = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (process / "cmdline").read_bytes().decode().split("\0")
                environ = (process / "environ").read_bytes()
                ours = f"SAMEBOOK_WORKSPACE={self.tiny.root}\0".encode() in environ
                found += [int(process.name)] if ours and set(words) <= set(command) else []
        return found


# --- Faults: each strikes once, while a file is under way ------------------------------------------------------


def kill_kernel(site: Site, _: random.Random) -> bool:
    return _kill(site.tiny.kernels())


def kill_runner(site: Site, _: random.Random) -> bool:
    return _kill(site.processes("samebook", "run"))


def kill_watcher(site: Site, _: random.Random) -> bool:
    return _kill(site.processes("samebook", "watch"))


def kill_all(site: Site, _: random.Random) -> bool:
    """As when the machine, or the container, goes down: everything at once."""
    return _kill([*site.processes("samebook", "watch"), *site.processes("samebook", "run"), *site.tiny.kernels()])


def _kill(processes: list[int]) -> bool:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return bool(processes)


def fill_disk(site: Site, chance: random.Random) -> bool:
    """For a while not a byte is left."""
    large = site.tiny.root / "large.bin"
    with suppress(OSError), large.open("wb") as stream:
        while True:
            stream.write(bytes(2**16))
            stream.flush()
    time.sleep(chance.uniform(1, 3))
    large.unlink()
    return True


def break_store(site: Site, chance: random.Random) -> bool:
    """For a while the store can neither be read nor written."""
    store = site.tiny.root / "store"
    if not store.is_dir():
        return False
    store.rename(away := site.tiny.root / "store.away")
    store.write_text("no folder")
    time.sleep(chance.uniform(0.5, 2))
    store.unlink()
    away.rename(store)
    return True


def restart_server(site: Site, chance: random.Random) -> bool:
    """The warehouse throws everybody out, and is back a little later."""
    assert site.server
    site.server.stop()
    time.sleep(chance.uniform(0.1, 1))
    site.server.start()
    return True


def second_watcher(site: Site, _: random.Random) -> bool:
    """Somebody starts another one: it is told who is there, and changes nothing."""
    ended = site.tiny.samebook("watch", "--once")
    assert ended.code == 2
    assert "another watcher runs: process" in ended.stderr
    return True


def set_clock_back(site: Site, chance: random.Random) -> bool:
    """From now on it is some days earlier, for the watcher and all that it starts."""
    site.stop()
    site.prefix = ("faketime", "-f", f"-{chance.randint(1, 400)}d")
    return True


def cut_file(site: Site, _: random.Random) -> bool:
    """A file comes without its end; its writer notices, and sends it whole."""
    path = site.tiny.root / "data" / "inbox" / f"rows-{site.days[-1]}.parquet"
    wait_until(lambda: site.is_published(site.days[-1]), PATIENCE)
    archived = next((site.tiny.root / "data" / "archive").rglob(f"rows-{site.days[-1]}-*"))
    before = len(list((site.tiny.root / "data").glob("quarantine/*.parquet")))
    path.write_bytes(archived.read_bytes()[:-20])
    wait_until(lambda: len(list((site.tiny.root / "data").glob("quarantine/*.parquet"))) > before, PATIENCE)
    shutil.copyfile(archived, path.with_suffix(".part"))
    path.with_suffix(".part").rename(path)
    return True


type Fault = Callable[[Site, random.Random], bool]
FAULTS: dict[str, Fault] = {
    "kernel killed": kill_kernel,
    "runner killed": kill_runner,
    "watcher killed": kill_watcher,
    "all killed at once": kill_all,
    "disk full": fill_disk,
    "store away": break_store,
    "PostgreSQL restarted": restart_server,
    "two watchers": second_watcher,
    "clock set back": set_clock_back,
    "file cut off": cut_file,
}


@dataclass(frozen=True)
class Found:
    """What a fault did, over all the times that it struck: days lost or double, and the slowest recovery in seconds."""

    fault: str
    struck: int
    lost: list[str]
    duplicated: list[str]
    left: list[str]
    slowest: float

    def __str__(self) -> str:
        return (
            f"{self.fault:<22} {self.struck:>6} {len(self.lost):>6} {len(self.duplicated):>11} {self.slowest:>11.1f} s"
        )


HEAD = f"{'fault':<22} {'times':>6} {'lost':>6} {'duplicated':>11} {'recovered in':>13}"


def strike(site: Site, name: str, times: int, seed: int = 2013) -> Found:
    """Let a fault strike so many times, each at a random moment of a file of its own; then look at everything."""
    chance, struck, slowest = random.Random(f"{name} {seed}"), 0, 0.0
    while struck < times:
        site.watch()
        day = site.arrive()
        time.sleep(chance.uniform(0, SPAN))
        began = time.monotonic()
        struck += FAULTS[name](site, chance)
        wait_until(lambda day=day: site.watch() or site.is_published(day), PATIENCE)
        slowest = max(slowest, time.monotonic() - began)
    site.stop()
    return Found(name, struck, list(lost(site)), list(duplicated(site)), list(left(site)), slowest)


def lost(site: Site) -> Iterator[str]:
    """The days whose scores are not what their file says, in data/ or in the warehouse."""
    import pandas as pd

    for number, day in enumerate(site.days):
        expected = [2 * number, 2]
        if pd.read_parquet(site.partition(day) / "part-0.parquet")["n"].tolist() != expected:
            yield f"{day} in data/"
        if site.server and not set(expected) <= set(stored(site, day)):
            yield f"{day} in the warehouse"


def stored(site: Site, day: date) -> list[int]:
    """The day's scores in the warehouse."""
    assert site.server
    return [row[0] for row in site.server.sql(f"SELECT n FROM scores WHERE day = DATE '{day}'", site.database)]


def duplicated(site: Site) -> Iterator[str]:
    """The days that were published more than once, scored by more than one finished run, or stand there double."""
    runs: dict[str, int] = {}
    for path in site.tiny.root.glob("runs/*-score-*/receipt.json"):
        external = json.loads(path.read_text())["predicate"]["buildDefinition"]["externalParameters"]
        runs[external["parameters"]["day"]] = runs.get(external["parameters"]["day"], 0) + 1
    for day in site.days:
        versions = json.loads((site.partition(day) / "_origin.json").read_text())["versions"]
        rows = len(stored(site, day)) if site.server else 2
        if (len(versions), runs[str(day)], rows) != (1, 1, 2):
            yield f"{day}: {len(versions)} versions, {runs[str(day)]} runs, {rows} rows"


def left(site: Site) -> Iterator[str]:
    """What should be gone after the next start: programs, unfinished runs, temporary files, the inbox's content."""
    ended = site.tiny.samebook("watch", "--once")
    if ended.code:
        yield f"watch --once: {ended.stderr}"
    yield from (f"process {found}" for found in [*site.tiny.kernels(), *site.processes("samebook")])
    yield from (str(path) for path in site.tiny.unfinished)
    data = site.tiny.root / "data"
    yield from (str(path) for path in (data / "inbox").iterdir())
    yield from (str(path) for path in data.rglob(".part-0*"))
