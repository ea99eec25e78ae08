"""Sweeps by the workers of a real Dask cluster: the same receipts as here, each run once, whatever dies."""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dask_processes
import pytest
from dask_processes import Processes
from distributed import Client
from tiny import HELD, PATIENCE, Tiny, wait_until

from samebook.core import file_lock

PARAMETERS = "n: int = 1"
WORK = """
import os, samebook
samebook.log_metrics({"score": -(n - 3) ** 2, "threads": int(os.environ["OMP_NUM_THREADS"])})
samebook.output_path("n.txt").write_text(f"{n}")
"""


@pytest.fixture
def tiny(tiny: Tiny) -> Tiny:
    tiny.notebook("train", parameters=PARAMETERS, imports="import numpy", work=WORK)
    return tiny


@pytest.fixture
def cluster(tiny: Tiny, tmp_path: Path) -> Iterator[Processes]:
    with dask_processes.running(tiny, tmp_path, 2) as processes:
        yield processes
    wait_until(lambda: not tiny.kernels())


def sweep(tiny: Tiny, grid: str, *options: str, code: int = 0) -> str:
    ended = tiny.samebook("sweep", "train", "--grid", grid, "--on", "dask", *options)
    assert ended.code == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def subjects(tiny: Tiny) -> list[tuple[int, str]]:
    """The value of `n` of each finished run, with its subjects; sorted."""
    receipts = [json.loads(path.read_text()) for path in tiny.root.glob("runs/[0-9]*/receipt.json")]
    values = (item["predicate"]["buildDefinition"]["externalParameters"]["parameters"]["n"] for item in receipts)
    return sorted((n, json.dumps(item["subject"])) for n, item in zip(values, receipts, strict=True))


def test_same_as_here(tiny: Tiny, cluster: Processes, tmp_path: Path) -> None:
    """Runs of a cluster have the subjects of a sweep here; what is done is left out, here and there; a failed set
    stops no other, and Dask's own number of threads changes nothing.
    """
    tiny.notebook("train", parameters=PARAMETERS, imports="import numpy", work=f"{WORK}\nassert n != 13, 'unlucky'")
    cluster.add_worker(OMP_NUM_THREADS="1")
    said = sweep(tiny, "n=1,2,13", "--jobs", "3", code=1)
    assert "2 ran, 0 done already, 1 failed" in said
    assert "n=13: cell `work` (4 of 4) raised AssertionError: unlucky" in said
    assert "0 ran, 2 done already" in sweep(tiny, "n=1,2")
    here = Tiny.create(tmp_path / "here")
    here.notebook("train", parameters=PARAMETERS, imports="import numpy", work=f"{WORK}\nassert n != 13, 'unlucky'")
    assert here.samebook("sweep", "train", "--grid", "n=1,2").code == 0
    assert subjects(tiny) == subjects(here)


def test_killed_workers(tiny: Tiny, cluster: Processes, tmp_path: Path) -> None:
    """Each set is run once although workers are killed at random while they run, and has the subjects of a sweep here;
    others take over from them.
    """
    chance = random.Random(os.environ.get("FAULTS_SEED", "17"))
    sets = 8 * int(os.environ.get("FAULTS", "1"))
    grid = f"n={','.join(map(str, range(sets)))}"
    process = tiny.start("sweep", "train", "--grid", grid, "--on", "dask")
    for finished in (1, sets // 2):
        wait_until(lambda: len(subjects(tiny)) >= finished and tiny.unfinished)  # noqa: B023
        cluster.kill(cluster.workers.pop(chance.randrange(len(cluster.workers))))
        cluster.add_worker()
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    assert f"{sets} ran, 0 done already, 0 failed" in stdout
    assert Counter(n for n, _ in subjects(tiny)) == dict.fromkeys(range(sets), 1)
    here = Tiny.create(tmp_path / "here")
    here.notebook("train", parameters=PARAMETERS, imports="import numpy", work=WORK)
    assert here.samebook("sweep", "train", "--grid", grid).code == 0
    assert subjects(tiny) == subjects(here)
    assert [path.name for path in (tiny.root / "runs" / ".cluster").iterdir()] == [".lock"]


@pytest.mark.long
def test_fatal_set(tiny: Tiny, tmp_path: Path) -> None:
    """A set that takes its worker with it each time has failed in the end, and stops no other."""
    kill = """
import os, pathlib
if n == 2:
    pid = os.getpid()
    while b"distributed.cli.dask_worker" not in (path := pathlib.Path(f"/proc/{pid}")).joinpath("cmdline").read_bytes():
        pid = int(path.joinpath("stat").read_text().rpartition(")")[2].split()[1])
    os.kill(pid, 9)
    import time
    time.sleep(600)
"""
    tiny.notebook("train", parameters=PARAMETERS, work=WORK + kill)
    with dask_processes.running(tiny, tmp_path, 3, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1") as cluster:
        said = sweep(tiny, "n=1,2,3", code=1)
        assert "2 ran, 0 done already, 1 failed" in said
        assert "n=2: each worker that had it in hand was killed, 2 of them, as for lack of memory" in said
        wait_until(lambda: [worker.poll() for worker in cluster.workers].count(-9) == 2)
    wait_until(lambda: not tiny.kernels())


@pytest.mark.long
def test_found_when_finished(tiny: Tiny, cluster: Processes) -> None:
    """What another worker has in hand, which nobody hears of any more, is waited for, and not run again."""
    assert len(cluster.workers) == 2
    (tiny.root / "hold").touch()
    tiny.notebook("train", parameters=PARAMETERS, work=WORK + HELD)
    stopped = tiny.start("sweep", "train", "--grid", "n=1", "--on", "dask")
    wait_until(lambda: tiny.unfinished)
    (path,) = (tiny.root / "runs" / ".cluster").glob("[0-9a-f]*")
    stopped.terminate()
    stopped.communicate(timeout=PATIENCE)
    (tiny.root / "hold").unlink()
    with file_lock.hold(path):
        process = tiny.start("sweep", "train", "--grid", "n=1", "--on", "dask")
        wait_until(lambda: list(path.parent.glob("session-*")))
        assert tiny.samebook("run", "train", "-p", "n=1").code == 0
        assert process.poll() is None
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert "1 ran, 0 done already, 0 failed" in stdout, stderr
    assert len(subjects(tiny)) == 1


@pytest.mark.long
def test_two_senders(tiny: Tiny, cluster: Processes) -> None:
    """Of two sweeps of the same sets each set is run once, and the second goes on though the first is stopped."""
    (tiny.root / "hold").touch()
    tiny.notebook("train", parameters=PARAMETERS, work=WORK + HELD)
    stopped, other = (tiny.start("sweep", "train", "--grid", "n=1,2,3", "--on", "dask") for _ in range(2))
    for process in (stopped, other):
        assert process.stderr is not None
        assert any(f"cluster: {len(cluster.workers)} workers" in line for line in process.stderr)
    time.sleep(1)  # each sends its sets once it has said so
    wait_until(lambda: len(tiny.unfinished) == 2)
    before = tiny.unfinished
    stopped.terminate()
    stopped.communicate(timeout=PATIENCE)
    assert tiny.unfinished == before
    (tiny.root / "hold").unlink()
    stdout, stderr = other.communicate(timeout=PATIENCE)
    assert "3 ran, 0 done already, 0 failed" in stdout, stdout + stderr
    assert Counter(n for n, _ in subjects(tiny)) == dict.fromkeys((1, 2, 3), 1)
    assert [path.name for path in (tiny.root / "runs" / ".cluster").iterdir()] == [".lock"]


def test_lost_scheduler(tiny: Tiny, cluster: Processes) -> None:
    """Without its scheduler a sweep ends with a clear error; runs end with their workers."""
    (tiny.root / "hold").touch()
    tiny.notebook("train", parameters=PARAMETERS, work=WORK + HELD)
    process = tiny.start("sweep", "train", "--grid", "n=1", "--on", "dask")
    wait_until(lambda: tiny.unfinished)
    cluster.kill(cluster.scheduler)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "the scheduler is lost, with 0 of 1 done" in stderr
    assert "with a cluster, the same command goes on from there" in stderr
    wait_until(lambda: not tiny.unfinished)


@pytest.mark.long
def test_frozen_scheduler(tiny: Tiny, cluster: Processes) -> None:
    """A scheduler that stands still for a while, with runs under way, changes nothing."""
    (tiny.root / "hold").touch()
    tiny.notebook("train", parameters=PARAMETERS, work=WORK + HELD)
    process = tiny.start("sweep", "train", "--grid", "n=1,2,3", "--on", "dask")
    wait_until(lambda: len(tiny.unfinished) == 2)
    os.kill(cluster.scheduler.pid, signal.SIGSTOP)
    (tiny.root / "hold").unlink()
    wait_until(lambda: len(subjects(tiny)) == 2)
    assert process.poll() is None
    os.kill(cluster.scheduler.pid, signal.SIGCONT)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert "3 ran, 0 done already, 0 failed" in stdout, stderr


DAILY = "parameters: {day: today}\nsteps: {make: {parameters: {day: $day}}}"
OF_DAY = """
import pandas as pd, samebook
assert day.day != 3, "the third is wrong"
samebook.write_partition("rows", day, pd.DataFrame({"n": [day.day]}))
"""


@pytest.mark.long
def test_backfill(tiny: Tiny, cluster: Processes) -> None:
    """Days of a pipeline run on workers, each once though one is killed, and what is done is left out; a step that
    promotes is refused.
    """
    tiny.notebook("make", parameters="from datetime import date\nday: date = date(2013, 1, 1)", work=OF_DAY)
    pipelines = tiny.root / "environments" / "pipelines"
    pipelines.mkdir()
    (pipelines / "daily.yml").write_text(DAILY)
    days = ("--from", "2013-01-01", "--to", "2013-01-05", "--on", "dask")
    process = tiny.start("backfill", "daily", *days)
    wait_until(lambda: tiny.unfinished)
    cluster.kill(cluster.workers.pop())
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert "4 ran, 0 done already, 1 failed" in stdout, stderr
    assert "2013-01-03: step make failed with exit code 1" in stdout
    assert "the third is wrong" in stdout
    published = sorted(path.parent.name for path in (tiny.root / "data" / "rows").glob("*/part-0.parquet"))
    assert published == [f"day=2013-01-0{day}" for day in (1, 2, 4, 5)]
    assert len(list(tiny.root.glob("runs/*-make-*/receipt.json"))) == 4
    assert "0 ran, 4 done already, 1 failed" in tiny.samebook("backfill", "daily", *days).stdout
    (pipelines / "daily.yml").write_text(
        f"{DAILY[:-1]}, promote: {{needs: [make], promote: {{run: make, model: m}}}}}}"
    )
    refused = tiny.samebook("backfill", "daily", *days)
    assert (refused.code, "step promote has to promote; a cluster only runs notebooks" in refused.stderr) == (2, True)


@pytest.mark.long
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_stopped(signum: int, tiny: Tiny, cluster: Processes) -> None:
    """A stopped or killed sweep ends its runs on all workers; started again, it does the rest."""
    (tiny.root / "hold").touch()
    tiny.notebook("train", parameters=PARAMETERS, work=WORK + HELD)
    process = tiny.start("sweep", "train", "--grid", "n=1,2,3", "--on", "dask")
    wait_until(lambda: len(tiny.unfinished) == len(cluster.workers))
    os.kill(process.pid, signum)
    process.communicate(timeout=PATIENCE)
    assert process.returncode in (-signum, 128 + signum)
    wait_until(lambda: not tiny.unfinished)
    (tiny.root / "hold").unlink()
    assert "3 ran, 0 done already" in sweep(tiny, "n=1,2,3")


def test_refused(tiny: Tiny, cluster: Processes) -> None:
    """Another environment is refused with the difference, as are fewer workers than were asked for."""
    assert "the cluster has 2 workers; expected 3" in sweep(tiny, "n=1", "--jobs", "3", code=2)
    signed = tiny.samebook("sweep", "train", "--grid", "n=1", "--on", "dask", SIGNING_KEY="-----BEGIN")
    assert (signed.code, "a signing key is not sent to a cluster" in signed.stderr) == (2, True)
    secret = tiny.samebook("sweep", "train", "--grid", "n=1", "--on", "dask", "-e", "API_TOKEN", API_TOKEN="a1b2c3d4")
    assert (secret.code, "API_TOKEN holds a secret" in secret.stderr) == (2, True)
    for worker in cluster.workers:
        cluster.kill(worker)
    cluster.workers.clear()
    cluster.add_worker(SAMEBOOK_HASH_SEED="7")
    said = sweep(tiny, "n=1", code=5)
    assert "the cluster has another environment than this one: PYTHONHASHSEED 0 here, 7 in the cluster" in said
    assert tiny.runs == []


def test_no_cluster(tiny: Tiny, tmp_path: Path) -> None:
    """Without a cluster, with one that does not answer or whose scheduler has another environment, with certificates of
    another one, or without TLS, nothing runs.
    """
    assert "this checkout has no cluster" in sweep(tiny, "n=1", code=2)
    assert tiny.samebook("cluster", "certificates", "tls://127.0.0.1:1").code == 0
    assert "no scheduler answers at tls://127.0.0.1:1" in sweep(tiny, "n=1", code=2)
    assert "expected tls://host:port" in tiny.samebook("cluster", "certificates", "tcp://127.0.0.1:8786").stderr
    with dask_processes.running(tiny, tmp_path, 1, SAMEBOOK_HASH_SEED="7") as cluster:
        assert "PYTHONHASHSEED 0 here, 7 in the cluster" in sweep(tiny, "n=1", code=5)
        with pytest.raises(OSError, match=r"reset|closed"):
            Client(cluster.access.scheduler.replace("tls://", "tcp://"), timeout=5, set_as_default=False)
        assert tiny.samebook("cluster", "certificates", cluster.access.scheduler).code == 0
        assert f"no scheduler answers at {cluster.access.scheduler}" in sweep(tiny, "n=1", code=2)
