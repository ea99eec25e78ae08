"""Ranks on the workers of a real Dask cluster: together or not at all, whatever dies."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cloudpickle
import dask_processes
import pandas as pd
import pytest
import reproducing
from dask_processes import Processes
from tiny import PATIENCE, Result, Tiny, wait_until

from samebook.cluster.rank import CALL
from samebook.cluster.worker import RANK
from samebook.core import file_lock

# The ranks meet by a socket of rank 0, as a library's do.
WORK = """
import os, pathlib, socket, time
import samebook
factor = 10
read = pathlib.Path(os.environ["SAMEBOOK_WORKSPACE"], "beside.txt")

def together(rank):
    read.read_text()
    (root / f"rank-{rank.index}-{os.getpid()}").touch()
    while (root / "hold").exists():
        time.sleep(0.1)
    if rank.index == 0:
        with socket.create_server((rank.host, rank.port)) as server:
            numbers = [int(server.accept()[0].recv(9)) for _ in range(rank.count - 1)]
        return sum(numbers)
    while True:
        try:
            with socket.create_connection((rank.host, rank.port)) as connection:
                connection.sendall(str(rank.index * factor).encode())
                return os.environ["OMP_NUM_THREADS"]
        except ConnectionRefusedError:
            time.sleep(0.05)

root = pathlib.Path(os.environ["SAMEBOOK_WORKSPACE"])
results = samebook.run_ranks(together, workers=n, minutes=minutes)
samebook.log_metrics({"sum": results[0], "threads": int(results[1]), "own": int(os.environ["OMP_NUM_THREADS"])})
"""


@pytest.fixture
def tiny(tiny: Tiny) -> Tiny:
    (tiny.root / "beside.txt").write_text("beside")
    tiny.notebook("train", parameters="n: int = 2\nminutes: float = 5.0", work=WORK)
    return tiny


def test_rank_ends_by_itself(tiny: Tiny, tmp_path: Path) -> None:
    """A rank ends after its seconds, although nobody ends it: its scheduler may be silent."""
    (tmp_path / CALL).write_bytes(cloudpickle.dumps((lambda _: time.sleep(60), [])))
    command = [sys.executable, "-P", "-m", RANK, str(tmp_path), "0", "1", "127.0.0.1", "1", "1"]
    environ = tiny.environ(SAMEBOOK_RUN=str(tmp_path))
    assert subprocess.run(command, cwd=tiny.root, env=environ, check=False).returncode == -signal.SIGALRM


@pytest.fixture
def cluster(tiny: Tiny, tmp_path: Path) -> Iterator[Processes]:
    with dask_processes.running(tiny, tmp_path, 2) as processes:
        yield processes
    wait_until(lambda: not ranks_at(tiny) and not tiny.kernels())


def rank_processes(tiny: Tiny) -> dict[int, int]:
    """The process of each rank that is running, by its number."""
    started = sorted(tiny.root.glob("rank-*"), key=lambda path: path.stat().st_mtime)
    pids = dict(map(int, path.name.split("-")[1:]) for path in started)
    return {index: pid for index, pid in pids.items() if Path(f"/proc/{pid}").exists()}


def ranks_at(tiny: Tiny) -> list[int]:
    """The processes of ranks in this workspace, whatever they do."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"samebook.cluster.rank" in (text := path.read_bytes()) and os.fsencode(tiny.root) in text:
                found.append(int(path.parent.name))
    return found


def metrics(tiny: Tiny) -> dict[str, float]:
    return json.loads((tiny.last / "metrics.json").read_text())


def run(tiny: Tiny, *options: str, **variables: str) -> Result:
    return tiny.samebook("run", "train", *options, **variables)


def test_together(tiny: Tiny, cluster: Processes) -> None:
    """Ranks speak to each other, know what the notebook knows and have its threads; the receipt has their number and
    what they have read beside the notebook, and nothing has the cluster's key.
    """
    done = run(tiny)
    assert done.code == 0, done.stderr
    assert f"network {cluster.access.scheduler.removeprefix('tls://')}" not in done.stderr
    assert metrics(tiny)["sum"] == 10
    assert metrics(tiny)["threads"] == metrics(tiny)["own"]
    definition = json.loads((tiny.last / "receipt.json").read_text())["predicate"]["buildDefinition"]
    assert definition["internalParameters"]["logged"] == {"ranks": 2}
    read = [
        item["name"] for item in definition["resolvedDependencies"] if item.get("annotations", {}).get("undeclared")
    ]
    assert read == ["beside.txt"]
    key = (tiny.root / ".samebook" / "cluster" / "key.pem").read_text().splitlines()[1]
    files = [path.read_bytes() for path in tiny.last.rglob("*") if path.is_file()]
    assert not [content for content in files if key.encode() in content or b"key.pem" in content]


def started(tiny: Tiny, *options: str) -> subprocess.Popen[str]:
    """A run whose ranks all wait."""
    (tiny.root / "hold").touch()
    process = tiny.start("run", "train", *options)
    wait_until(lambda: len(rank_processes(tiny)) == 2 or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]
    return process


@pytest.mark.parametrize("lost", ["worker", "rank"])
def test_start_again(lost: str, tiny: Tiny, cluster: Processes) -> None:
    """Where a worker is lost, or a rank is killed, all ranks end and start again; the result is complete."""
    process, before = started(tiny), rank_processes(tiny)
    if lost == "worker":
        cluster.kill(cluster.workers.pop())
        cluster.add_worker()
    else:
        os.kill(before[1], signal.SIGKILL)
    wait_until(lambda: len(rank_processes(tiny)) == 2 and not {*before.values()} & {*rank_processes(tiny).values()})
    (tiny.root / "hold").unlink()
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    assert "all 2 ranks start again" in stderr
    assert metrics(tiny)["sum"] == 10


@pytest.mark.long
def test_failures(tiny: Tiny, cluster: Processes) -> None:
    """A rank that raises, that a library ends, or that takes longer than its limit ends all others; the error says
    which and why, and has the exit code of its kind.
    """
    assert len(cluster.workers) == 2
    cell = (
        "import os, samebook, time\ndef fail(rank):\n    {}\n    time.sleep(600)\nsamebook.run_ranks(fail, minutes={})"
    )
    faults = {
        "if rank.index: raise ValueError('torn')": ("rank 1 of 2 has failed: ValueError: torn", 1),
        "if rank.index: raise samebook.DataRejected('odd')": ("rank 1 of 2 has failed: odd", 4),
        "if not rank.index: os._exit(7)": ("rank 0 of 2 has failed: it ended with exit code 7", 1),
        "if rank.index: raise SystemExit(0)": ("rank 1 of 2 has failed: it ended with exit code 0, and returned", 1),
        "pass": ("0 of 2 ranks were done after 0.5 minutes, their time limit; all are ended", 1),
    }
    for line, (message, code) in faults.items():
        tiny.notebook("train", work=cell.format(line, 0.5 if line == "pass" else 5))
        failed = run(tiny)
        assert message in failed.stderr
        assert failed.code == code
        wait_until(lambda: not ranks_at(tiny))


@pytest.mark.long
def test_day_missing_at_one_worker(tiny: Tiny, cluster: Processes, tmp_path: Path) -> None:
    """A rank whose worker lacks a day ends all, with an error that names the day, and what brings it."""
    read = "samebook.read_dataset('rows', day, day)"
    work = f"import samebook\nfrom datetime import date\nday = date(2013, 1, 1)\nsamebook.run_ranks(lambda _: {read})"
    tiny.notebook("train", work=work)
    day = tiny.root / "data" / "rows" / "day=2013-01-01"
    day.mkdir(parents=True)
    pd.DataFrame({"n": [1]}).to_parquet(day / "part-0.parquet")
    done = run(tiny)
    assert done.code == 0, done.stderr
    cluster.kill(cluster.workers.pop())
    clone = shutil.copytree(tiny.root, tmp_path / "clone", ignore=shutil.ignore_patterns("data", "runs"))
    (clone / "runs").symlink_to(tiny.root / "runs")
    cluster.tiny = Tiny(clone)
    cluster.add_worker()
    failed = run(tiny)
    assert failed.code == 2
    assert "of 2 has failed: dataset rows: no partition for 2013-01-01" in failed.stderr
    assert "-> write `datasets: {rows: {made_by: NOTEBOOK}}` in environments/<env>.yml" in failed.stderr


@pytest.mark.long
def test_limit_of_all_waits(tiny: Tiny, cluster: Processes) -> None:
    """The time limit ends whatever is waited for: the ranks of another notebook, a frozen worker, a lost one."""
    with file_lock.hold(tiny.root / "runs" / ".cluster" / ".ranks"):
        said = run(tiny, "-p", "minutes=0.5").stderr
    assert "the ranks of another notebook were not done after 0.5 minutes, their time limit" in said
    cluster.workers[0].send_signal(signal.SIGSTOP)
    said = run(tiny, "-p", "minutes=0.1").stderr
    cluster.workers[0].send_signal(signal.SIGCONT)
    assert "no rank was done after 0.1 minutes, their time limit" in said
    process = started(tiny, "-p", "minutes=1.0")
    cluster.kill(cluster.workers.pop())
    _, stderr = process.communicate(timeout=PATIENCE)
    assert "the cluster had 1 of 2 workers after 1 minutes, their time limit" in stderr
    assert "-> samebook.run_ranks(…, minutes=2)" in stderr


def test_killed_again_and_again(tiny: Tiny, cluster: Processes) -> None:
    """A rank that is killed each time has failed in the end, with a command that gives workers more memory."""
    assert len(cluster.workers) == 2
    kill = "os.kill(os.getpid(), 9)"
    tiny.notebook("train", work=f"import os, samebook\nsamebook.run_ranks(lambda rank: {kill}, workers=2)")
    failed = run(tiny)
    assert failed.code == 1
    assert "4 times a worker was lost, or its rank was killed, as for lack of memory" in failed.stderr
    assert "-> make cluster WORKERS=2 MEMORY=4g" in failed.stderr


def test_stopped(tiny: Tiny, cluster: Processes) -> None:
    """The ranks of a run that is killed, and of one whose scheduler is lost, end."""
    process = started(tiny)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not ranks_at(tiny))
    process = started(tiny)
    cluster.kill(cluster.scheduler)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "the scheduler is lost" in stderr
    wait_until(lambda: not ranks_at(tiny))


def test_refused(tiny: Tiny, cluster: Processes) -> None:
    """More ranks than workers are refused, as are ranks of a run that a worker executes, and other environments."""
    assert "the cluster has 2 workers; expected 3" in run(tiny, "-p", "n=3").stderr
    assert "expected more than 0" in run(tiny, "-p", "n=0").stderr
    swept = tiny.samebook("sweep", "train", "--grid", "n=2", "--on", "dask")
    assert "can't be asked for by a run that a worker of it executes" in swept.stdout
    for worker in cluster.workers:
        cluster.kill(worker)
    cluster.workers.clear()
    for _ in range(2):
        cluster.add_worker(SAMEBOOK_HASH_SEED="7")
    refused = run(tiny)
    assert refused.code == 5
    assert "PYTHONHASHSEED 0 here, 7 in the cluster" in refused.stderr


def test_no_cluster(tiny: Tiny) -> None:
    """Without a cluster, or with one that does not answer, a run that asks for ranks has failed at once."""
    failed = run(tiny)
    assert (failed.code, "this checkout has no cluster" in failed.stderr) == (2, True)
    assert tiny.samebook("cluster", "certificates", "tls://127.0.0.1:1").code == 0
    failed = run(tiny)
    assert (failed.code, "no scheduler answers at tls://127.0.0.1:1" in failed.stderr) == (2, True)
    assert tiny.samebook("cluster", "certificates").code == 0
    failed = run(tiny)
    assert (failed.code, "-> make … ENGINE=docker" in failed.stderr) == (2, True)


# Rank 1 of a reproduction looks for the result of the run that it is to be compared with.
CHEAT = """
import os, pathlib, samebook

def look(rank):
    here = pathlib.Path(os.environ["SAMEBOOK_WORKSPACE"])
    is_aside = here.parent.name.startswith("worktree-")
    if rank.index and is_aside and {is_killed}:
        os.kill(os.getpid(), 9)
    return here.joinpath("../../../runs/earlier.txt").read_text() if rank.index and is_aside else "6"

samebook.output_path("n.txt").write_text(samebook.run_ranks(look, workers=2)[1])
"""


def test_reproduction(tmp_path: Path) -> None:
    """A run with ranks is reproduced without its cluster, by as many processes; a rank that reads an earlier result is
    found, and one that is killed gives an error and no verdict.
    """
    work = WORK.replace("read.read_text()", "pass")
    repository = reproducing.make_repository(
        tmp_path / "repository", parameters="n: int = 3\nminutes: float = 5.0", work=work
    )
    for name, is_killed in {"cheat": False, "killed": True}.items():
        repository.notebook(name, work=CHEAT.format(is_killed=is_killed))
    reproducing.commit(repository)
    with dask_processes.running(repository, tmp_path, 3):
        for name in ("sum", "cheat", "killed"):
            done = repository.samebook("run", name)
            assert done.code == 0, done.stderr
    (repository.root / "runs" / "earlier.txt").write_text("6")
    said = {name: reproducing.reproduce(repository, name) for name in ("sum", "cheat", "killed")}
    assert [result.code for result in said.values()] == [0, 3, 3], said
    assert "IDENTICAL: 2 of 2 subjects" in said["sum"].stdout
    assert "the new run has read an earlier result" in said["cheat"].stderr
    assert "all 2 ranks of a reproduction are on one machine" in said["killed"].stderr
