"""The models that a branch brings: reproduced from the branch's commits alone, as a job of CI does."""

import json
import shutil
from pathlib import Path

import pytest
from promoting import clone, promoted_bundle, stderr_of
from tiny import Tiny, git

from samebook.core.digest import sha256
from samebook.core.workspace import Workspace
from samebook.review import new_models

pytestmark = pytest.mark.host  # with git


def names(tiny: Tiny, range_: str) -> list[str]:
    found = new_models.references(Workspace(tiny.root), range_, "dev", print)
    return [name.partition("@")[0] for name in found]


def elsewhere(tiny: Tiny, root: Path) -> Tiny:
    """A clone, as a job has it: of the base, with the branch's commits, and without runs."""
    copy = clone(tiny, root)
    git(copy, "switch", "--quiet", "main")
    return copy


def test_new_and_other_models(tiny: Tiny) -> None:
    """A model that the branch adds or changes counts; not one that it takes away or leaves, nor another file."""
    assert names(tiny, "main..retrain") == ["delay"]
    assert names(tiny, "retrain..retrain") == []
    content = (tiny.root / "models" / "delay.json").read_text()
    (tiny.root / "models" / "notes").mkdir()
    for name in ("notes/delay.json", "README.md"):
        (tiny.root / "models" / name).write_text(content)
    (tiny.root / "models" / "delay.json").unlink()
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "away")
    assert names(tiny, "main..HEAD") == []
    done = tiny.samebook("reproduce", "--range", "main..HEAD")
    assert (done.code, done.stderr) == (0, "main..HEAD brings no model\n")


def test_branch_is_reproduced_elsewhere(tiny: Tiny, tmp_path: Path) -> None:
    """The base's checkout reproduces the branch's model and its gate, by another builder, and attests both beside the
    receipts; the branch's own policy and code of samebook are not asked.
    """
    other = elsewhere(tiny, tmp_path / "clone")
    shutil.copytree(tiny.root / "store", other.root / "store")
    done = other.samebook("reproduce", "--range", "main..origin/retrain", SAMEBOOK_BUILDER="urn:ci")
    assert done.code == 0, done.stderr
    assert done.stdout.count("\nIDENTICAL: ") == 2
    bundle = promoted_bundle(tiny, "retrain")
    for run in (bundle["receipt"]["run"], bundle["promoted"]["gate"]["run"]):
        (attestation,) = (other.root / "runs" / ".received" / run).glob("reproduction-*.json")
        predicate = json.loads(attestation.read_text())["predicate"]
        assert (predicate["verdict"], predicate["reproducer"]["builder"]) == ("IDENTICAL", "urn:ci")
    assert git(other, "status", "--porcelain") == ""


def test_forged_model_is_found(tiny: Tiny, tmp_path: Path) -> None:
    """A bundle whose receipt says another result than its code gives is DIFFERENT, and the job fails."""
    receipt = next(path for path in tiny.root.glob("runs/*-train-*/receipt.json") if '"level": 3' in path.read_text())
    (receipt.parent / "outputs" / "model.txt").write_text("9")
    content = json.loads(receipt.read_text())

    for subject in content["subject"]:
        if subject["name"] == "outputs/model.txt":
            subject["digest"]["sha256"] = sha256(receipt.parent / "outputs" / "model.txt")
    receipt.write_text(json.dumps(content))
    git(tiny, "switch", "--quiet", "main")
    git(tiny, "switch", "--quiet", "-c", "forged")
    (tiny.root / "environments" / "dev.yml").write_text("promotion: {}\n")
    git(tiny, "commit", "--quiet", "-am", "no gate")
    promoted = tiny.samebook("promote", receipt.parent.name, "delay")
    assert promoted.code == 0, promoted.stderr
    other = elsewhere(tiny, tmp_path / "clone")
    shutil.copytree(tiny.root / "store", other.root / "store")
    done = other.samebook("reproduce", "--range", "main..origin/forged")
    assert done.code == 3, done.stderr
    assert "\nDIFFERENT: " in done.stdout


def test_refused(tiny: Tiny, tmp_path: Path) -> None:
    """Without a shared store a receipt is missing, and that is said; a base that is no ancestor, a text that is no
    range, and RUN beside a range are refused.
    """
    other = elsewhere(tiny, tmp_path / "clone")
    missing = stderr_of(other.samebook("reproduce", "--range", "main..origin/retrain"), 2)
    assert "the receipt of model delay@" in missing
    assert "is not in the store" in missing
    git(tiny, "checkout", "--quiet", "--orphan", "alone")
    git(tiny, "commit", "--quiet", "--allow-empty", "-m", "alone")
    assert "no commit in common" in stderr_of(tiny.samebook("reproduce", "--range", "main..alone"), 2)
    assert "with two dots between" in stderr_of(tiny.samebook("reproduce", "--range", "main"), 2)
    for arguments in (["train", "--range", "main..HEAD"], []):
        assert "expected RUN, or RANGE alone" in stderr_of(tiny.samebook("reproduce", *arguments), 2)
