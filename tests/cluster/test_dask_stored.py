"""Sweeps and backfills by workers of a real Dask cluster that have a checkout of their own: results by a real S3."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import dask_processes
import pytest
from dask_processes import Processes
from s3 import S3
from tiny import HELD, PATIENCE, Result, Tiny, git, wait_until

pytestmark = pytest.mark.host  # the S3 is not in the image

WORK = """
import samebook
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
    tiny.notebook("train", parameters="n: int = 1", work=WORK + HELD.replace("../hold", str(tiny.root / "hold")))
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


def test_same_as_here(tiny: Tiny, there: Tiny, cluster: Processes, tmp_path: Path) -> None:
    """Runs come from a checkout that shares no folder with this one, have the subjects of runs here, and are made once,
    whoever asks again.
    """
    assert len(cluster.workers) == 2
    done = sweep(tiny, "n=1,2,3")
    assert done.code == 0, done.stdout + done.stderr
    assert "cluster: 2 workers, whose results come by the shared store" in done.stderr
    assert "3 ran, 0 done already, 0 failed" in done.stdout
    for run in tiny.runs:
        assert tiny.samebook("verify", run.name).code == 0
    assert subjects(tiny) == subjects(there)
    assert [path.name for path in (there.root / "runs" / ".cluster").iterdir()] == []
    shutil.rmtree(tiny.root / "runs")
    again = sweep(tiny, "n=1,2,3")
    assert again.code == 0, again.stdout + again.stderr
    assert len(subjects(there)) == len(subjects(tiny)) == 3
    git(tiny, "worktree", "add", "--quiet", str(tmp_path / "here"))
    here = Tiny(tmp_path / "here")
    assert here.samebook("sweep", "train", "--grid", "n=1,2,3").code == 0
    assert subjects(here) == subjects(tiny)
    days = ("--from", "2013-01-01", "--to", "2013-01-02", "--on", "dask")
    filled = tiny.samebook("backfill", "daily", *days)
    assert "2 ran, 0 done already, 0 failed" in filled.stdout, filled.stdout + filled.stderr
    assert [n for n, _ in subjects(tiny)] == [n for n, _ in subjects(there)] == [1, 2, 3, 7]


def test_killed_worker(tiny: Tiny, there: Tiny, cluster: Processes) -> None:
    """Where a worker dies, another makes its run again, and what was sent before is not made again."""
    (tiny.root / "hold").touch()
    process = tiny.start("sweep", "train", "--grid", "n=1,2,3", "--on", "dask")
    wait_until(lambda: len(there.unfinished) == 2 or process.poll() is not None)
    cluster.kill(cluster.workers.pop())
    (tiny.root / "hold").unlink()
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert "3 ran, 0 done already, 0 failed" in stdout, stdout + stderr
    assert [n for n, _ in subjects(tiny)] == [1, 2, 3]


def test_stopped(tiny: Tiny, there: Tiny, cluster: Processes) -> None:
    """Ctrl-C ends the runs of a checkout elsewhere, and the same command again does the rest."""
    assert len(cluster.workers) == 2
    (tiny.root / "hold").touch()
    process = tiny.start("sweep", "train", "--grid", "n=1,2,3", "--on", "dask")
    wait_until(lambda: len(there.unfinished) == 2 or process.poll() is not None)
    process.send_signal(2)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    wait_until(lambda: not there.unfinished)
    (tiny.root / "hold").unlink()
    assert "3 ran, 0 done already, 0 failed" in sweep(tiny, "n=1,2,3").stdout


def test_refused(tiny: Tiny, there: Tiny, cluster: Processes) -> None:
    """A worker with other files, or another commit, a sender with changes, and ranks, are refused before a run."""
    cluster.kill(cluster.workers.pop())
    expected = {"an edit here": ("notebooks/beside.py", 2), "an edit there": ("has another code", 5)}
    for where, (message, code) in expected.items():
        path = (tiny if where.endswith("here") else there).root / "notebooks" / "beside.py"
        path.write_text("changed = True\n")
        refused = sweep(tiny, "n=1")
        assert (refused.code, message in refused.stderr) == (code, True), refused.stderr
        path.unlink()
    (there.root / "environments" / "dev.yml").write_text("{}\n")
    assert "has uncommitted changes: environments/dev.yml" in sweep(tiny, "n=1").stderr
    git(there, "checkout", "--quiet", "environments/dev.yml")
    git(there, "commit", "--quiet", "--allow-empty", "--message", "ahead")
    ahead = sweep(tiny, "n=1")
    assert (ahead.code, f"is of commit {git(there, 'rev-parse', 'HEAD')[:12]}" in ahead.stderr) == (5, True)
    assert tiny.runs == there.runs == []


def test_no_store(tiny: Tiny, there: Tiny, cluster: Processes) -> None:
    """Without a shared store, and without its key at a worker, nothing runs there."""
    cluster.kill(cluster.workers.pop())
    cluster.kill(cluster.workers.pop())
    cluster.add_worker(S3_KEY="")
    assert "S3_KEY" in sweep(tiny, "n=1").stdout
    for root in (tiny.root, there.root):
        (root / "environments" / "dev.yml").write_text("{}\n")
    refused = sweep(tiny, "n=1")
    assert (refused.code, "there is no shared store for its results" in refused.stderr) == (2, True), refused.stderr
    assert tiny.runs == there.runs == []
