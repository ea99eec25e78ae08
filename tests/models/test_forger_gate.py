"""Cheats with the signature of a run, and with the gate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import promoting
import pytest
from forging import attest, commit, edit, findings, promote, run_of, sign
from tiny import Tiny, git

from samebook.core import git as program
from samebook.core.digest import json_bytes, sha256
from samebook.core.workspace import Workspace
from samebook.models import gate_run, lookup
from samebook.records import signing

pytestmark = [pytest.mark.host, pytest.mark.forger]

PINNED = {"name": "pinned", "annotations": {"inputs": "by a receipt"}}
# Another result of the candidate than its model.
REFERENCE = sha256(json_bytes({"rows": 3}))


def resigned(tiny: Tiny, path: Path, change: Callable[[Any], None], name: str = "cleo") -> None:
    """Edit a receipt and sign it again with another trusted key."""
    edit(path, change)
    sign(tiny, path, name)


def commit_of(statement: Any) -> Any:
    return next(
        item for item in statement["predicate"]["buildDefinition"]["resolvedDependencies"] if item["name"] == "commit"
    )


def external(statement: Any) -> Any:
    return statement["predicate"]["buildDefinition"]["externalParameters"]


def model_read(statement: Any) -> Any:
    """The input that is the candidate's model."""
    items = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    return next(item for item in items if item["name"].endswith("/model.txt"))


@pytest.mark.parametrize("name", ["ben", "dan", "stranger"])
def test_run_signed_by_another(tiny: Tiny, name: str) -> None:
    """A receipt counts as signed only by an owner who may sign runs."""
    attest(tiny, "cleo")
    sign(tiny, run_of(tiny), name)
    assert "its receipt is not signed by a trusted key" in findings(tiny)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda item: commit_of(item)["annotations"].update(dirty=True, patch="a" * 64), "not committed"),
        (lambda item: commit_of(item)["annotations"].pop("dirty"), "not committed"),
        (lambda item: external(item)["parameters"].update(draws=1), "the champion alone"),
        (lambda item: external(item)["parameters"].update(candidate="train"), "it was not compared"),
        (lambda item: external(item).update(notebook="notebooks/gate2.ipynb"), "it was not compared"),
        (lambda item: commit_of(item)["digest"].update(gitCommit="e" * 40), "is not in this branch"),
        (
            lambda item: item["predicate"]["buildDefinition"]["internalParameters"].update(drift={"numpy": "2"}),
            "not the lock's",
        ),
        (lambda item: item["subject"][0]["digest"].update(sha256="0" * 64), "metrics.json: found sha256"),
        (lambda item: item["predicate"]["runDetails"]["byproducts"].append(PINNED), "it is a run of a receipt"),
        (lambda item: model_read(item)["digest"].update(sha256=REFERENCE), "it was not compared"),
    ],
    ids=[
        *("patch deleted", "no word", "parameters", "candidate", "notebook", "commit", "drift", "metrics"),
        *("of a receipt", "another file under the model's name"),
    ],
)
def test_gate_of_another_kind(tiny: Tiny, change: Callable[[Any], None], message: str) -> None:
    """A gate counts only clean, with its two parameters, at a commit in HEAD's past, with its own results."""
    attest(tiny, "ben")
    resigned(tiny, run_of(tiny, "gate"), change)
    assert message in findings(tiny)


def test_gate_of_another_champion(tiny: Tiny) -> None:
    """A gate that has read other bytes under the name of the champion's model does not count."""
    promote(tiny)
    champion = lookup.read(Workspace(tiny.root), "delay")
    for digest, is_champions in ((champion.artifacts["outputs/model.txt"].sha256, True), (REFERENCE, False)):
        item = {"name": "delay/model.txt", "digest": {"sha256": digest}, "annotations": {"input": True}}
        definition = {"externalParameters": {"parameters": {"champion": "delay"}}, "resolvedDependencies": [item]}
        statement = {"predicate": {"buildDefinition": definition}}
        assert gate_run._has_read_champion(statement, champion) == is_champions


def test_gate_edited_by_hand(tiny: Tiny) -> None:
    """A gate whose receipt was edited and not signed again, or was never signed, does not count."""
    attest(tiny, "ben")
    edit(run_of(tiny, "gate"), lambda _: None)
    assert "is not what was signed" in findings(tiny)
    signing.envelope_path(run_of(tiny, "gate")).unlink()
    assert "carries no signature" in findings(tiny)


def test_gate_of_other_code(tiny: Tiny) -> None:
    """A gate that ran with other code than HEAD's, on a branch or before a change, does not count."""
    attest(tiny, "ben")
    tiny.notebook("gate", parameters=promoting.RIVALS, work="pass")
    commit(tiny)
    assert "notebooks/ has changed since its commit" in findings(tiny)


def test_false_ancestor(tiny: Tiny) -> None:
    """A commit of another branch is not in HEAD's past because a graft or a replaced commit says so."""
    other = git(tiny, "commit-tree", "HEAD^{tree}", "-m", "other")
    git(tiny, "replace", "--graft", "HEAD", other)
    assert other in git(tiny, "rev-list", "HEAD")
    assert not program.is_ancestor(tiny.root, other)
    git(tiny, "replace", "--delete", git(tiny, "rev-parse", "HEAD"))
    (tiny.root / ".git" / "info" / "grafts").write_text(f"{git(tiny, 'rev-parse', 'HEAD')} {other}\n")
    assert not program.is_ancestor(tiny.root, other)


def test_removed_champion(tmp_path: Path) -> None:
    """A model that was removed without a rollback is still the champion that the next one has to beat."""
    tiny = promoting.create(tmp_path / "workspace", 8, 5)
    best = promoting.promote(tiny, 8)
    git(tiny, "rm", "--quiet", "models/delay.json")
    git(tiny, "commit", "--quiet", "-m", "Withdraw delay")
    worse = tiny.samebook("promote", promoting.run_of(tiny, 5), "delay")
    refusal = promoting.stderr_of(worse, 6)
    assert f"the last one is the champion still, delay@{best}" in refusal
    assert "0.5 is more than 0.05 worse than the champion's 0.8" in refusal
    assert "-> make rollback MODEL=delay WITHDRAW=1" in refusal
    assert "-> make rollback MODEL=delay WITHDRAW=1" in promoting.stderr_of(tiny.samebook("rollback", "delay"), 2)
    assert tiny.samebook("rollback", "delay", "--withdraw", "--dry-run").code == 0
    tip = git(tiny, "rev-parse", "HEAD")
    withdrawn = tiny.samebook("rollback", "delay", "--withdraw")
    assert withdrawn.code == 0, withdrawn.stderr
    assert git(tiny, "rev-parse", "HEAD~1") == tip
    assert git(tiny, "diff", "--name-only", "HEAD~1") == git(tiny, "status", "--porcelain") == ""
    assert "no model 'delay' is promoted here" in promoting.stderr_of(
        tiny.samebook("rollback", "delay", "--withdraw"), 2
    )
    promoting.promote(tiny, 5)


@pytest.mark.parametrize("is_merged", [False, True], ids=["here", "merged"])
def test_withdrawn_champion(tmp_path: Path, is_merged: bool) -> None:
    """A model that a rollback has withdrawn, here or on a branch that is merged, is no champion any more."""
    tiny = promoting.create(tmp_path / "workspace", 8, 5)
    promoting.promote(tiny, 8)
    if is_merged:
        git(tiny, "switch", "--quiet", "--create", "back")
    lacking = promoting.stderr_of(tiny.samebook("rollback", "delay"), 2)
    assert "-> make rollback MODEL=delay WITHDRAW=1" in lacking
    assert "neither TO nor REOPEN" in promoting.stderr_of(
        tiny.samebook("rollback", "delay", "--withdraw", "--to=main"), 2
    )
    assert tiny.samebook("rollback", "delay", "--withdraw", "--dry-run").stdout.endswith("dry run: nothing changed\n")
    assert promoting.promoted_level(tiny) == 8
    withdrawn = tiny.samebook("rollback", "delay", "--withdraw", "--why", "it harms")
    assert withdrawn.code == 0, withdrawn.stderr
    assert not (tiny.root / "models" / "delay.json").exists()
    assert git(tiny, "status", "--porcelain") == ""
    if is_merged:
        git(tiny, "switch", "--quiet", "main")
        git(tiny, "merge", "--quiet", "--no-ff", "--no-edit", "back")
    promoting.promote(tiny, 5)
    assert promoting.promoted_level(tiny) == 5
