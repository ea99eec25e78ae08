"""The gate's run is reproduced with the run that it has compared: on another machine, by one command."""

import json
import shutil
from pathlib import Path

import promoting
import pytest
from promoting import stderr_of
from tiny import Tiny, git

pytestmark = pytest.mark.host

POLICY = "promotion: {reproduced: true, gate: {notebook: gate, metric: auc, margin: 0.05}}\n"
ELSEWHERE = {"SAMEBOOK_BUILDER": "urn:samebook:builder:elsewhere"}


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """A repository with a champion of level 3 and a candidate of level 5; preprod asks for gate and reproductions."""
    tiny = promoting.create(tmp_path / "workspace", 3)
    (tiny.root / "environments" / "preprod.yml").write_text(POLICY)
    git(tiny, "commit", "--quiet", "--all", "-m", "policy")
    promoting.promote(tiny, 3)
    assert tiny.samebook("run", "train", "-p", "level=5").code == 0
    return tiny


def hand_over(tiny: Tiny, other: Tiny, name: str) -> None:
    """Copy the files of this name in runs/, as colleagues send them."""
    for path in tiny.root.glob(f"runs/*/{name}"):
        target = other.root / path.relative_to(tiny.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def test_one_command_for_both(tiny: Tiny, tmp_path: Path) -> None:
    """A promotion runs the gate and asks for one command; a clone with nothing but receipts reproduces both runs, and
    then the promotion passes. The model's name reproduces both again from the store.
    """
    run = promoting.run_of(tiny, 5)
    call = ("promote", run, "delay", "--env", "preprod")
    refusal = stderr_of(tiny.samebook(*call), 6)
    assert f"make reproduce RUN={run}" in refusal
    assert "its gate's run was reproduced by nobody" in refusal
    gate = max(tiny.root.glob("runs/*-gate-*"))

    other = promoting.clone(tiny, tmp_path / "other")
    hand_over(tiny, other, "receipt.json")
    ended = other.samebook("reproduce", run, **ELSEWHERE)
    assert ended.code == 0, ended.stderr
    assert f"and its gate's run, {gate.name}" in ended.stderr
    for name in (run, gate.name):
        assert f"attested in runs/{name}/reproduction-1.json" in ended.stdout
    attested = json.loads((other.root / "runs" / gate.name / "reproduction-1.json").read_text())["predicate"]
    assert attested["verdicts"]["metrics.json"]["verdict"] == attested["verdict"] == "IDENTICAL"

    hand_over(other, tiny, "reproduction-1.json")
    promoted = tiny.samebook(*call)
    assert promoted.code == 0, promoted.stderr
    assert tiny.samebook("run", "score", "--env", "preprod").code == 0
    third = promoting.clone(tiny, tmp_path / "third")
    shutil.copytree(tiny.root / "store", third.root / "store")
    again = third.samebook("reproduce", "delay", **ELSEWHERE)
    assert again.code == 0, again.stderr
    assert again.stdout.count("attested in runs/.received/") == 2


def test_false_gate_is_found(tiny: Tiny, tmp_path: Path) -> None:
    """A gate's receipt with invented metrics is found DIFFERENT where it is reproduced with its candidate's run."""
    run = promoting.run_of(tiny, 5)
    assert tiny.samebook("promote", run, "delay", "--env", "preprod").code == 6
    gate = max(tiny.root.glob("runs/*-gate-*"))
    receipt = json.loads((gate / "receipt.json").read_text())
    metrics = next(item for item in receipt["subject"] if item["name"] == "metrics.json")
    metrics["digest"]["sha256"] = "0" * 64
    (gate / "receipt.json").write_text(json.dumps(receipt))
    other = promoting.clone(tiny, tmp_path / "other")
    hand_over(tiny, other, "receipt.json")
    ended = other.samebook("reproduce", run, **ELSEWHERE)
    assert ended.code == 3, ended.stderr
    assert "IDENTICAL: 4 of 4" in ended.stdout
    assert "DIFFERENT: 1 of 2" in ended.stdout
