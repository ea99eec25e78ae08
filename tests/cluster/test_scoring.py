"""The example's scoring by the workers of a real Dask cluster: the bytes of a backfill here, whatever dies."""

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dask_processes
import pytest
from tiny import CHECKOUT, PATIENCE, Tiny, wait_until

from samebook.core.digest import sha256

LEARNT = ("as_of=2013-06-30", "train_days=10", "holdout_days=3", "n_estimators=20")
SCORE = "parameters: {day: today}\nsteps: {predict: {parameters: {day: $day}}}\n"
DAYS = [f"2013-07-0{day}" for day in range(1, 7)]
BACKFILL = ("backfill", "score", "--from", DAYS[0], "--to", DAYS[-1])


@pytest.fixture
def trained(tmp_path: Path) -> Tiny:
    """The example with a model, and the flights that are to be scored."""
    tiny = Tiny(tmp_path / "workspace")
    for name in ("environments", "notebooks"):
        shutil.copytree(CHECKOUT / name, tiny.root / name)
    (tiny.root / "environments" / "pipelines" / "score.yml").write_text(SCORE)
    given = {"train": LEARNT, "ingest": (f"start={DAYS[0]}", f"end={DAYS[-1]}")}
    for notebook, parameters in given.items():
        done = tiny.samebook("run", notebook, *(part for each in parameters for part in ("-p", each)))
        assert done.code == 0, done.stderr
    return tiny


def predictions(tiny: Tiny) -> dict[str, str]:
    """The sha256 of each part of the predictions that are published; the file beside it names the run."""
    folder = tiny.root / "data" / "predictions"
    return {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*.parquet")}


def scored(tiny: Tiny) -> Counter[str]:
    """How many finished runs of `predict` each day has."""
    receipts = [json.loads(path.read_text()) for path in tiny.root.glob("runs/[0-9]*-predict-*/receipt.json")]
    external = (each["predicate"]["buildDefinition"]["externalParameters"] for each in receipts)
    return Counter(each["parameters"]["day"] for each in external)


def writing(tiny: Tiny) -> set[str]:
    """The runs under way that have begun to write predictions."""
    return {path.name for path in tiny.unfinished if list(path.glob("outputs/predictions/day=*"))}


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """The block in which these processes stand still; some may end meanwhile."""
    _signal(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], signum: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


@pytest.mark.long
def test_worker_killed_in_mid_scoring(trained: Tiny, tmp_path: Path) -> None:
    """Each day is scored once, and has the bytes of a backfill without a cluster, though a worker is killed while it
    writes a day's predictions.
    """
    here = Tiny(shutil.copytree(trained.root, tmp_path / "here"))
    ended = here.samebook(*BACKFILL)
    assert ended.code == 0, ended.stdout + ended.stderr
    with dask_processes.running(trained, tmp_path, 2) as cluster:
        process = trained.start(*BACKFILL, "--on", "dask")
        wait_until(lambda: len(writing(trained)) == 2 or process.poll() is not None)
        with stopped(trained.kernels()):
            begun = writing(trained)
            cluster.kill(cluster.workers.pop())
            wait_until(lambda: len(writing(trained)) < 2)
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert f"{len(DAYS)} ran, 0 done already, 0 failed" in stdout, stdout + stderr
    finished = {path.parent.name for path in trained.root.glob("runs/[0-9]*/receipt.json")}
    assert (len(begun), len(begun - finished)) == (2, 1)
    assert scored(trained) == scored(here) == dict.fromkeys(DAYS, 1)
    assert predictions(trained) == predictions(here)
    assert sorted(predictions(here)) == [f"day={day}/part-0.parquet" for day in DAYS]
    wait_until(lambda: not trained.kernels() and not trained.unfinished)
