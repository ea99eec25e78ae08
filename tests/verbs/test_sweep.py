"""Sweeps: every set runs once, side by side, with its receipt, and a failed one stops no other."""

import csv
import json
import os
import re
import signal
from pathlib import Path

import pytest
from tiny import PATIENCE, Result, Tiny, wait_until

WORK = """
import os, samebook
if n == 13:
    raise ValueError("unlucky")
samebook.log_metrics({"score": -(n - 3) ** 2, "threads": int(os.environ["OMP_NUM_THREADS"])})
samebook.output_path("n.txt").write_text(f"{n} {kind}")
"""
# How many of a thousand sets run: `make test-faults` asks for all.
SETS = 20 * int(os.environ.get("FAULTS", "2"))
PARAMETERS = (
    "from typing import Annotated\nfrom pydantic import Field\nn: Annotated[int, Field(ge=0)] = 1\nkind: str = 'a'"
)


@pytest.fixture
def tiny(tiny: Tiny) -> Tiny:
    tiny.notebook("train", parameters=PARAMETERS, imports="import numpy", work=WORK)
    return tiny


def sweep(tiny: Tiny, *options: str, code: int = 0, **variables: str) -> Result:
    ended = tiny.samebook("sweep", "train", *options, **variables)
    assert ended.code == code, ended.stderr
    return ended


def started(run: Path) -> str:
    byproducts = json.loads((run / "receipt.json").read_text())["predicate"]["runDetails"]["byproducts"]
    return next(name for byproduct in byproducts if byproduct["name"] == "kernel" for name in byproduct["annotations"])


def rows(tiny: Tiny) -> list[dict[str, str]]:
    newest = max(tiny.root.glob("runs/.sweeps/*/sweep.csv"), key=lambda path: path.stat().st_mtime_ns)
    return list(csv.DictReader(newest.read_text().splitlines()))


def test_every_set_once(tiny: Tiny) -> None:
    """Each combination runs once, warm, and is listed with the best first, as text, CSV and picture."""
    ended = sweep(tiny, "--grid", "n=1,2,3 kind=a,b", "--jobs", "2")
    assert len(tiny.runs) == 6
    assert {started(run) for run in tiny.runs} == {"warm"}
    assert ended.stdout.splitlines()[1].split()[:3] == ["3", "a", "0"]
    assert "6 ran, 0 done already, 0 failed" in ended.stdout
    assert "best 0: n=3" in ended.stderr
    assert [row["score"] for row in rows(tiny)] == ["0.0", "0.0", "-1.0", "-1.0", "-4.0", "-4.0"]
    assert next(tiny.root.glob("runs/.sweeps/*/sweep.png")).read_bytes().startswith(b"\x89PNG")
    assert tiny.kernels() == []
    assert tiny.unfinished == []


def test_same_as_single_runs(tiny: Tiny) -> None:
    """A run of a sweep has the very results of a run alone."""
    sweep(tiny, "--grid", "n=4", "-p", "kind=c", OMP_NUM_THREADS="1")
    ended = tiny.samebook("run", "train", "-p", "n=4", "-p", "kind=c", OMP_NUM_THREADS="1")
    assert ended.code == 0
    first, second = (json.loads((run / "receipt.json").read_text()) for run in tiny.runs)
    assert first["subject"] == second["subject"]
    assert [started(run) for run in tiny.runs] == ["warm", "cold"]


def test_jobs_decide_no_result(tiny: Tiny) -> None:
    """Threads are as many as in a run alone, however many runs are side by side, unless the caller says how many."""
    sweep(tiny, "--grid", "n=1", "--jobs", "64")
    sweep(tiny, "--grid", "n=2", "--jobs", "64", OMP_NUM_THREADS="3")
    assert [json.loads((run / "metrics.json").read_text())["threads"] for run in tiny.runs] == [2.0, 3.0]


def test_goes_on_where_it_stopped(tiny: Tiny) -> None:
    """Finished sets are left out; an edited notebook runs all again; --dry-run shows the sets of both kinds."""
    sweep(tiny, "--grid", "n=1,2")
    assert "2 ran, 2 done already" in sweep(tiny, "--grid", "n=1,2,3,4").stdout
    planned = sweep(tiny, "--grid", "n=4,5", "--dry-run").stdout
    assert "as before  n=4\nrun        n=5" in planned
    assert len(tiny.runs) == 4
    tiny.notebook("train", parameters=PARAMETERS, imports="import numpy", work=f"{WORK}\n1")
    assert "2 ran, 0 done already" in sweep(tiny, "--grid", "n=1,2").stdout


def test_failure_costs_itself(tiny: Tiny) -> None:
    """A failed set is listed at the end with its reason, and tried again by the next sweep; the others are done."""
    ended = sweep(tiny, "--grid", "n=12,13,14", code=1)
    assert "2 ran, 0 done already, 1 failed" in ended.stdout
    assert "n=13: cell `work` (4 of 4) raised ValueError: unlucky" in ended.stdout
    assert [row["error"] != "" for row in rows(tiny)] == [False, False, True]
    assert "0 ran, 2 done already, 1 failed" in sweep(tiny, "--grid", "n=12,13,14", code=1).stdout


def test_stops_if_asked(tiny: Tiny) -> None:
    """With --on-failure stop nothing more is started once a set has failed."""
    ended = sweep(tiny, "--grid", "n=13,1,2,3,4", "--jobs", "1", "--on-failure", "stop", code=1)
    assert "0 ran, 0 done already, 1 failed" in ended.stdout
    assert len(tiny.runs) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--grid", "n=1,-1,x m=3"), "no parameter 'm'; expected one of: kind, n"),
        (("--grid", "n=1,-1,x m=3"), "parameter n: found 'x'"),
        (("--grid", "n=1,-1,x m=3"), "parameter n: found '-1'"),
        (("--grid", "n=1:9"), "parameter n has a range"),
        (("--grid", "n=1", "-p", "n=2"), "parameter n is given, and varies too"),
        ((), "found no parameter set"),
        (("--grid", "n"), "expected name=value"),
    ],
)
def test_wrong_grid_runs_nothing(options: tuple[str, ...], message: str, tiny: Tiny) -> None:
    """Wrong names and values are refused before the first run, all at once."""
    assert message in sweep(tiny, *options, code=2).stderr
    assert tiny.runs == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_in_the_middle(signum: int, tiny: Tiny) -> None:
    """A stopped or killed sweep leaves no process behind; started again, it does the rest."""
    tiny.notebook(
        "train", parameters=PARAMETERS, imports="import numpy", work=f"{WORK}\nimport time\ntime.sleep(n // 5 * 600)"
    )
    process = tiny.start("sweep", "train", "--grid", "n=1,2,5,6", "--jobs", "2")
    wait_until(lambda: len(tiny.unfinished) == 2 and len(tiny.runs) == 2)
    os.kill(process.pid, signum)
    process.communicate(timeout=PATIENCE)
    assert process.returncode in (-signum, 128 + signum)
    wait_until(lambda: not tiny.kernels())
    assert "2 ran, 2 done already" in sweep(tiny, "--grid", "n=1,2,3,4").stdout
    assert tiny.unfinished == []


def test_killed_runner_costs_its_set(tiny: Tiny) -> None:
    """Where a run's process is killed, as for lack of memory, that set alone has failed."""
    tiny.notebook(
        "train",
        parameters=PARAMETERS,
        work=f"{WORK}\nif n == 2:\n    os.kill(int(open('../runner').read()), 9)\n    import time\n    time.sleep(600)",
    )
    process = tiny.start("sweep", "train", "--grid", "n=2,1,3", "--jobs", "1")
    wait_until(lambda: tiny.unfinished)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(
        lambda: [
            pid for pid in children.read_text().split() if b"zygote" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
    )
    worker = [pid for pid in children.read_text().split() if b"zygote" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
    (tiny.root / "runner").write_text(worker[0])
    stdout, _ = process.communicate(timeout=PATIENCE)
    assert "2 ran, 0 done already, 1 failed" in stdout
    assert "n=2: its process was ended by signal 9" in stdout


def test_two_at_once(tiny: Tiny) -> None:
    """Two sweeps side by side don't disturb each other."""
    both = [tiny.start("sweep", "train", "--grid", f"n={n},{n + 1}") for n in (1, 3)]
    for process in both:
        process.communicate(timeout=PATIENCE)
    assert [process.returncode for process in both] == [0, 0]
    assert len(tiny.runs) == 4


@pytest.mark.timeout(3600)
def test_many_sets(tiny: Tiny) -> None:
    """A thousand sets are planned in seconds; many run, and each is done once, though killed in the middle."""
    (tiny.root / "sets.csv").write_text("n\n" + "\n".join(map(str, range(1000))))
    assert "1000 sets, 0 done already" in sweep(tiny, "--sets", str(tiny.root / "sets.csv"), "--dry-run").stdout

    few = tiny.root / "few.csv"
    few.write_text("n\n" + "\n".join(map(str, range(SETS))))
    killed = tiny.start("sweep", "train", "--sets", str(few))
    wait_until(lambda: len(tiny.runs) > SETS // 3, seconds=1800)
    killed.kill()
    killed.communicate(timeout=PATIENCE)
    wait_until(lambda: not tiny.kernels())
    again = tiny.start("sweep", "train", "--sets", str(few))
    stdout, stderr = again.communicate(timeout=1800)
    assert again.returncode == 1
    (done,) = map(int, re.findall(r"(\d+) done already", stdout))
    assert done > SETS // 3 - 4
    assert f"{SETS - done - 1} ran, {done} done already, 1 failed" in stdout, stderr[-1000:]
    assert sorted(int(row["n"]) for row in rows(tiny) if row["score"]) == [n for n in range(SETS) if n != 13]
    receipts = [json.loads(path.read_text())["predicate"] for path in tiny.root.glob("runs/[0-9]*/receipt.json")]
    given = [receipt["buildDefinition"]["externalParameters"]["parameters"]["n"] for receipt in receipts]
    assert sorted(given) == [n for n in range(SETS) if n != 13]
    assert (tiny.kernels(), tiny.unfinished) == ([], [])
