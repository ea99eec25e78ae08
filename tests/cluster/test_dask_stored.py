"""Sweeps and backfills by workers of a real Dask cluster that have a checkout of their own: results by a real S3."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dask_processes
import pandas as pd
import pytest
from dask_processes import Processes
from s3 import S3
from tiny import HELD, PATIENCE, Result, Tiny, git, wait_until

pytestmark = pytest.mark.host  # the S3 is not in the image

WORK = """
import samebook
from datetime import date
if n > 7:
    samebook.read_dataset("rows", date(2013, 1, 1), date(2013, 1, 1))
samebook.log_metrics({"score": -(n - 3) ** 2})
samebook.output_path("n.txt").write_text(f"{n}")
"""
PIPELINE = "parameters: {day: null}\nsteps: {work: {notebook: train, parameters: {n: 7}}}\n"
GIT_IGNORE = "/runs/\n/store/\n/data/\n/hold\n/.samebook/\n"


@pytest.fixture
def tiny(tiny: Tiny, s3: S3) -> Tiny:
    """A workspace with a shared store, and nothing uncommitted."""
    (tiny.root / "environments" / "dev.yml").write_text(s3.settings())
    (tiny.root / "environments" / "pipelines").mkdir()
    (tiny.root / "environments" / "pipelines" / "daily.yml").write_text(PIPELINE)
    (tiny.root / ".gitignore").write_text(GIT_IGNORE)
    tiny.notebook("train", parameters="n: int = 1", work=HELD.replace("../hold", str(tiny.root / "hold")) + WORK)
    git(tiny, "init", "--quiet")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "--message", "work")
    return tiny


@pytest.fixture
def there(tiny: Tiny, tmp_path: Path) -> Tiny:
    """A clone of the workspace, as another machine has it, with the cluster's certificates in it."""
    git(tiny, "clone", "--quiet", ".", str(tmp_path / "there"))
    return Tiny(tmp_path / "there")


@pytest.fixture
def cluster(tiny: Tiny, there: Tiny, tmp_path: Path) -> Iterator[Processes]:
    """A cluster whose workers are in the clone; they have the store's key, as this machine has it."""
    with dask_processes.running(tiny, tmp_path, 0) as processes:
        shutil.copytree(tiny.root / ".samebook" / "cluster", there.root / ".samebook" / "cluster")
        processes.tiny = there
        for _ in range(2):
            processes.add_worker()
        yield processes


def sweep(tiny: Tiny, grid: str, *options: str) -> Result:
    return tiny.samebook("sweep", "train", "--grid", grid, "--on", "dask", *options)


def subjects(tiny: Tiny) -> list[tuple[int, str]]:
    """The value of `n` of each finished run, with its subjects; sorted."""
    receipts = [json.loads(path.read_text()) for path in tiny.root.glob("runs/[0-9]*/receipt.json")]
    values = (item["predicate"]["buildDefinition"]["externalParameters"]["parameters"]["n"] for item in receipts)
    return sorted((n, json.dumps(item["subject"])) for n, item in zip(values, receipts, strict=True))


def held(tiny: Tiny, *there: Tiny, grid: str = "n=1,2") -> subprocess.Popen[str]:
    """A sweep, two of whose runs wait."""
    (tiny.root / "hold").touch()
    process = tiny.start("sweep", "train", "--grid", grid, "--on", "dask")
    wait_until(lambda: sum(len(each.unfinished) for each in there) == 2 or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.long
def test_same_as_here(tiny: Tiny, there: Tiny, cluster: Processes, tmp_path: Path) -> None:
    """Runs come from a checkout that shares no folder with this one, have the subjects of runs here, and are made once,
    though they are stopped, a worker dies, or somebody asks again; a day that a worker lacks is named.
    """
    process = held(tiny, there)
    process.send_signal(2)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    wait_until(lambda: not there.unfinished)
    process = held(tiny, there)
    cluster.kill(cluster.workers.pop())
    (tiny.root / "hold").unlink()
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert "cluster: 2 workers, whose results come by the shared store" in stderr
    assert "2 ran, 0 done already, 0 failed" in stdout, stdout + stderr
    assert tiny.samebook("verify", tiny.last.name).code == 0
    shutil.rmtree(tiny.root / "runs")
    again = sweep(tiny, "n=1,2")
    assert again.code == 0, again.stdout + again.stderr
    assert [n for n, _ in subjects(tiny)] == [1, 2]
    assert subjects(tiny) == subjects(there)
    filled = tiny.samebook("backfill", "daily", "--from", "2013-01-01", "--to", "2013-01-02", "--on", "dask")
    assert "2 ran, 0 done already, 0 failed" in filled.stdout, filled.stdout + filled.stderr
    assert [n for n, _ in subjects(tiny)] == [n for n, _ in subjects(there)] == [1, 2, 7]
    (tiny.root / "data" / "rows" / "day=2013-01-01").mkdir(parents=True)
    lacking = sweep(tiny, "n=9")
    assert (lacking.code, "dataset rows: no partition for 2013-01-01" in lacking.stdout) == (1, True), lacking.stdout
    git(tiny, "worktree", "add", "--quiet", str(tmp_path / "here"))
    here = Tiny(tmp_path / "here")
    assert here.samebook("sweep", "train", "--grid", "n=1,2,7").code == 0
    assert subjects(here) == subjects(tiny)


def test_day_missing_at_one_worker(tiny: Tiny, there: Tiny, cluster: Processes, tmp_path: Path) -> None:
    """Of two workers with a checkout each, of which one lacks a day, the other one's run is made; the error names the
    day, and what brings it.
    """
    day = there.root / "data" / "rows" / "day=2013-01-01"
    day.mkdir(parents=True)
    pd.DataFrame({"n": [1]}).to_parquet(day / "part-0.parquet")
    cluster.kill(cluster.workers.pop())
    cluster.tiny = Tiny(shutil.copytree(there.root, tmp_path / "other", ignore=shutil.ignore_patterns("data", "runs")))
    cluster.add_worker()
    process = held(tiny, there, cluster.tiny, grid="n=8,9")
    (tiny.root / "hold").unlink()
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert "1 ran, 0 done already, 1 failed" in stdout, stdout + stderr
    assert "dataset rows: no partition for 2013-01-01" in stdout
    assert "-> write `datasets: {rows: {made_by: NOTEBOOK}}` in environments/<env>.yml" in stdout
    assert len(subjects(tiny)) == len(subjects(there)) == 1


def test_refused(tiny: Tiny, there: Tiny, cluster: Processes) -> None:
    """A worker with other files or another commit, a sender with changes, a worker without the store's key, and one
    without a store, run nothing.
    """
    for root, expected in {tiny.root: ("has changes: notebooks/beside.py", 2), there.root: ("another code", 5)}.items():
        path = root / "notebooks" / "beside.py"
        path.write_text("changed = True\n")
        refused = sweep(tiny, "n=1")
        assert (expected[0] in refused.stderr, refused.code) == (True, expected[1]), refused.stderr
        path.unlink()
    settings = (there.root / "environments" / "dev.yml").read_text()
    (there.root / "environments" / "dev.yml").write_text("{}\n")
    assert "has uncommitted changes: environments/dev.yml" in sweep(tiny, "n=1").stderr
    (there.root / "environments" / "dev.yml").write_text(settings)
    git(there, "commit", "--quiet", "--allow-empty", "--message", "ahead")
    ahead = sweep(tiny, "n=1")
    assert (ahead.code, f"is of commit {git(there, 'rev-parse', 'HEAD')[:12]}" in ahead.stderr) == (5, True)
    git(there, "reset", "--quiet", "--hard", "HEAD^")
    for worker in cluster.workers:
        cluster.kill(worker)
    cluster.workers.clear()
    cluster.add_worker(S3_KEY="")
    assert "S3_KEY" in sweep(tiny, "n=1").stdout
    (tiny.root / "environments" / "dev.yml").write_text("{}\n")
    refused = sweep(tiny, "n=1")
    assert (refused.code, "there is no shared store for its results" in refused.stderr) == (2, True), refused.stderr
    assert tiny.runs == there.runs == []
