"""Faults of a site that takes in a file a day (kills, a full disk, a missing store, a clock set back), and the losses.

`python -m pytest tests/test_faults.py` injects each fault a few times, `make test-faults` a few hundred times.
"""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tiny import wait_until
from watched_site import Site

# Seconds that a file takes, within which a fault strikes.
SPAN = 6.0


def kill_kernel(site: Site, _: random.Random) -> bool:
    return _kill(site.tiny.kernels())


def kill_runner(site: Site, _: random.Random) -> bool:
    return _kill(site.processes("samebook", "run"))


def kill_watcher(site: Site, _: random.Random) -> bool:
    return _kill(site.processes("samebook", "watch"))


def kill_all(site: Site, _: random.Random) -> bool:
    """Kill everything at once, as when the machine, or the container, goes down."""
    return _kill([*site.processes("samebook", "watch"), *site.processes("samebook", "run"), *site.tiny.kernels()])


def _kill(pids: list[int]) -> bool:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pids)


def fill_disk(site: Site, chance: random.Random) -> bool:
    """Fill the disk to the last byte, for a while."""
    large = site.tiny.root / "large.bin"
    with suppress(OSError), large.open("wb") as stream:
        while True:
            stream.write(bytes(2**16))
            stream.flush()
    time.sleep(chance.uniform(1, 3))
    large.unlink()
    return True


def break_store(site: Site, chance: random.Random) -> bool:
    """Put a file in the place of the store's folder, for a while."""
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
    """Restart the warehouse, which ends all connections."""
    assert site.server
    site.server.stop()
    time.sleep(chance.uniform(0.1, 1))
    site.server.start()
    return True


def second_watcher(site: Site, _: random.Random) -> bool:
    """Start another watcher, which must refuse and name the process of the first one."""
    ended = site.tiny.samebook("watch", "--once")
    assert ended.code == 2
    assert "another watcher runs: process" in ended.stderr
    return True


def set_clock_back(site: Site, chance: random.Random) -> bool:
    """Set the clock back by some days, for the watcher and all that it starts."""
    site.stop()
    site.prefix = ("faketime", "-f", f"-{chance.randint(1, 400)}d")
    return True


def cut_file(site: Site, _: random.Random) -> bool:
    """Send a file without its end, and then, once it is rejected, the whole file."""
    path = site.tiny.root / "data" / "inbox" / f"rows-{site.days[-1]}.parquet"
    wait_until(lambda: site.is_published(site.days[-1]))
    archived = next((site.tiny.root / "data" / "archive").rglob(f"rows-{site.days[-1]}-*"))
    before = len(list((site.tiny.root / "data").glob("quarantine/*.parquet")))
    path.write_bytes(archived.read_bytes()[:-20])
    wait_until(lambda: len(list((site.tiny.root / "data").glob("quarantine/*.parquet"))) > before)
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
class Finding:
    """The effects of a fault over all its strikes: days lost or double, and the slowest recovery in seconds."""

    fault: str
    struck: int
    lost: list[str]
    duplicated: list[str]
    leftovers: list[str]
    slowest: float

    def __str__(self) -> str:
        return (
            f"{self.fault:<22} {self.struck:>6} {len(self.lost):>6} {len(self.duplicated):>11} {self.slowest:>11.1f} s"
        )


HEAD = f"{'fault':<22} {'times':>6} {'lost':>6} {'duplicated':>11} {'recovered in':>13}"


def strike(site: Site, name: str, times: int, seed: int = 2013) -> Finding:
    """Let a fault strike this many times, each at a random moment of a file of its own; then check the whole site."""
    chance, struck, slowest = random.Random(f"{name} {seed}"), 0, 0.0
    while struck < times:
        site.watch()
        day = site.arrive()
        time.sleep(chance.uniform(0, SPAN))
        start = time.monotonic()
        struck += FAULTS[name](site, chance)
        wait_until(lambda day=day: site.watch() or site.is_published(day))
        slowest = max(slowest, time.monotonic() - start)
    site.stop()
    return Finding(name, struck, list(lost(site)), list(duplicated(site)), list(leftovers(site)), slowest)


def lost(site: Site) -> Iterator[str]:
    """The days whose scores are not those of their file, in data/ or in the warehouse."""
    import pandas as pd

    for number, day in enumerate(site.days):
        expected = [2 * number, 2]
        if pd.read_parquet(site.partition(day) / "part-0.parquet")["n"].tolist() != expected:
            yield f"{day} in data/"
        if site.server and not set(expected) <= set(warehouse_scores(site, day)):
            yield f"{day} in the warehouse"


def warehouse_scores(site: Site, day: date) -> list[int]:
    """The day's scores in the warehouse."""
    assert site.server
    return [row[0] for row in site.server.sql(f"SELECT n FROM scores WHERE day = DATE '{day}'", site.database)]


def duplicated(site: Site) -> Iterator[str]:
    """The days that were published twice, scored by more than one finished run, or have rows twice."""
    runs: dict[str, int] = {}
    for path in site.tiny.root.glob("runs/*-score-*/receipt.json"):
        external = json.loads(path.read_text())["predicate"]["buildDefinition"]["externalParameters"]
        runs[external["parameters"]["day"]] = runs.get(external["parameters"]["day"], 0) + 1
    for day in site.days:
        versions = json.loads((site.partition(day) / "_origin.json").read_text())["versions"]
        rows = len(warehouse_scores(site, day)) if site.server else 2
        if (len(versions), runs[str(day)], rows) != (1, 1, 2):
            yield f"{day}: {len(versions)} versions, {runs[str(day)]} runs, {rows} rows"


def leftovers(site: Site) -> Iterator[str]:
    """The programs, unfinished runs, temporary files and files of the inbox that the next start has not removed."""
    ended = site.tiny.samebook("watch", "--once")
    if ended.code:
        yield f"watch --once: {ended.stderr}"
    yield from survivors(site)
    yield from (str(path) for path in site.tiny.unfinished)
    data = site.tiny.root / "data"
    yield from (str(path) for path in (data / "inbox").iterdir())
    yield from (str(path) for path in data.rglob(".part-0*"))


def survivors(site: Site) -> list[str]:
    """The commands of the programs that are still there seconds later: a kernel looks for its parent each second."""
    deadline = time.monotonic() + 20
    while (pids := {*site.tiny.kernels(), *site.processes("samebook")}) and time.monotonic() < deadline:
        time.sleep(0.5)
    commands: list[str] = []
    for pid in pids:
        with suppress(OSError):
            commands.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode())
    return commands
