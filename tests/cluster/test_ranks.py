"""Ranks on the workers of a real Dask cluster: together or not at all, whatever dies."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import dask_processes
import pytest
from dask_processes import Processes
from tiny import PATIENCE, Result, Tiny, wait_until

# The ranks meet by a socket of rank 0, as a library's do.
WORK = """
import os, pathlib, socket, time
import samebook
factor = 10

def together(rank):
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
    tiny.notebook("train", parameters="n: int = 2\nminutes: float = 5.0", work=WORK)
    return tiny


@pytest.fixture
def cluster(tiny: Tiny, tmp_path: Path) -> Iterator[Processes]:
    with dask_processes.running(tiny, tmp_path, 2) as processes:
        yield processes
    wait_until(lambda: not rank_processes(tiny))


def rank_processes(tiny: Tiny) -> dict[int, int]:
    """The process of each rank that is running, by its number."""
    pids = dict(path.name.split("-")[1:] for path in tiny.root.glob("rank-*"))
    started = sorted(tiny.root.glob("rank-*"), key=lambda path: path.stat().st_mtime)
    pids = dict(map(int, path.name.split("-")[1:]) for path in started)
    return {index: pid for index, pid in pids.items() if Path(f"/proc/{pid}").exists()}


def metrics(tiny: Tiny) -> dict[str, float]:
    return json.loads((tiny.last / "metrics.json").read_text())


def run(tiny: Tiny, *options: str, **variables: str) -> Result:
    return tiny.samebook("run", "train", *options, **variables)


def test_together(tiny: Tiny, cluster: Processes) -> None:
    """Ranks speak to each other, know what the notebook knows, and have its number of threads; nothing is left."""
    assert len(cluster.workers) == 2
    done = run(tiny)
    assert done.code == 0, done.stderr
    assert metrics(tiny)["sum"] == 10
    assert metrics(tiny)["threads"] == metrics(tiny)["own"]
    key = (tiny.root / ".samebook" / "cluster" / "key.pem").read_text().splitlines()[1]
    files = [path.read_bytes() for path in tiny.last.rglob("*") if path.is_file()]
    assert not [content for content in files if key.encode() in content or b"key.pem" in content]
