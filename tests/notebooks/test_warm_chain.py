"""The shipped notebooks give the same bytes in a warm kernel as in a cold one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

STEPS = {
    "ingest": ["start=2013-06-29", "end=2013-07-01"],
    "intake": ["day=2013-07-01", "source=data/flights/day=2013-07-01/part-0.parquet"],
    "train": ["as_of=2013-06-30", "train_days=10", "holdout_days=3", "n_estimators=20"],
    "gate": [],
    "predict": ["day=2013-07-01", "model=train"],
    "monitor": ["day=2013-07-01", "days=2", "model=train"],
}


def command(workspace: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAMEBOOK_")}
    return [sys.executable, "-m", "samebook", *arguments], {**kept, "SAMEBOOK_WORKSPACE": str(workspace)}


def ran(workspace: Path, notebook: str) -> tuple[str, list[dict[str, object]]]:
    """Whether a run was warm or cold, and its subjects."""
    given = [part for pair in STEPS.get(notebook, ()) for part in ("-p", pair)]
    typed, env = command(workspace, "run", notebook, *given)
    done = subprocess.run(typed, env=env, cwd=workspace, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    receipt = json.loads((workspace / done.stdout.split()[0] / "receipt.json").read_text())
    byproducts = receipt["predicate"]["runDetails"]["byproducts"]
    (start,) = (name for each in byproducts if each["name"] == "kernel" for name in each["annotations"])
    return start, receipt["subject"]


@contextmanager
def warm(workspace: Path, notebook: str) -> Iterator[None]:
    typed, env = command(workspace, "warm", notebook)
    with subprocess.Popen(typed, env=env, cwd=workspace, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            assert "is warm" in process.stderr.readline()
            yield
        finally:
            process.terminate()


def check_same(workspace: Path, notebook: str) -> None:
    """Run it cold and warm."""
    cold = ran(workspace, notebook)
    with warm(workspace, notebook):
        assert ran(workspace, notebook) == ("warm", cold[1])
    assert cold[0] == "cold"


@pytest.mark.timeout(900)
def test_warm_or_cold(workspace: Path) -> None:
    """Each step of the chain has the same subjects, its executed notebook among them, warm and cold."""
    for notebook in STEPS:
        check_same(workspace, notebook)
