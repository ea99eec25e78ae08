"""Cheats with the gate's run: others must have reproduced it as they have the model's run."""

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from forging import (
    PROD,
    admit,
    attest,
    attest_gate,
    commit,
    edit,
    fields,
    findings,
    named,
    promote,
    reseal,
    run_of,
    sign,
    stored,
)
from tiny import Tiny

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import PolicyRefused
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.model_sections import Promotion
from samebook.records import signing
from samebook.store import objects

pytestmark = [pytest.mark.host, pytest.mark.forger]
UNREPRODUCED = "its gate's run was reproduced"


def regate(tiny: Tiny, *paths: Any, **changes: Any) -> None:
    """Commit the bundle with a gate that names these attestations alone, and has other fields changed."""
    promoted = fields(tiny)["promoted"]
    gate = promoted["gate"] | {"reproductions": named(tiny, *paths)} | changes
    reseal(tiny, promoted=promoted | {"gate": gate})


def invent(tiny: Tiny, auc: float) -> None:
    """Give the gate's run other metrics, and sign its receipt again: an author who has a key can do that."""
    path = run_of(tiny, "gate")
    metrics = json_bytes(json.loads((path.parent / "metrics.json").read_text()) | {"candidate_auc": auc})
    (path.parent / "metrics.json").write_bytes(metrics)
    edit(path, lambda item: subject_of(item, "metrics.json")["digest"].update(sha256=sha256(metrics)))
    sign(tiny, path, "ada")


def subject_of(statement: Any, name: str) -> Any:
    return next(item for item in statement["subject"] if item["name"] == name)


def test_invented_gate(tiny: Tiny) -> None:
    """A gate's receipt that its author invents and signs does not count beside a reproduction of the model's run, nor
    beside the honest receipt's reproduction.
    """
    attest(tiny, "ben")
    attest_gate(tiny, "ben")
    assert findings(tiny) == ""
    invent(tiny, 0.9)
    assert findings(tiny) == f"{UNREPRODUCED} by nobody"


def test_invented_gate_at_use(tiny: Tiny) -> None:
    """A bundle that names an invented receipt of the gate, with or without the honest one's reproduction, fails."""
    promote(tiny)
    honest = attest_gate(tiny, "ben")
    invent(tiny, 0.9)
    path = run_of(tiny, "gate")
    envelope = stored(tiny, signing.envelope_path(path).read_bytes())
    metrics = json.loads((path.parent / "metrics.json").read_text())
    invented = {"receipt": stored(tiny, path.read_bytes()), "envelope": envelope, "metrics": metrics}
    regate(tiny, **invented)
    with pytest.raises(PolicyRefused, match=f"{UNREPRODUCED} by nobody"):
        admit(tiny)
    regate(tiny, honest, **invented)
    with pytest.raises(PolicyRefused, match="it is not about this receipt"):
        admit(tiny)


CASES: list[tuple[str, dict[str, str], str]] = [
    ("ada", {}, "signed by the same key"),
    ("laptop", {}, "signed by the same key's owner, ada"),
    ("stranger", {}, "an unknown key, or a wrong signature"),
    ("dan", {}, "dan, who may not sign reproductions"),
    ("", {}, "carries no signature"),
    ("ben", {"verdict": "DIFFERENT"}, "never IDENTICAL"),
    ("ben", {"verdict": "EQUIVALENT"}, "never IDENTICAL"),
    ("ben", {"builder": "author"}, "who made it"),
]


@pytest.mark.parametrize(("signer", "options", "message"), CASES)
def test_lone_attestation(tiny: Tiny, signer: str, options: dict[str, str], message: str) -> None:
    """An attestation of the gate's run by its author, by a stranger or of another verdict counts neither at promotion
    nor at use.
    """
    promote(tiny)
    for path in run_of(tiny, "gate").parent.glob("reproduction-*"):
        path.unlink()
    if "builder" in options:
        details = json.loads(run_of(tiny, "gate").read_text())["predicate"]["runDetails"]
        options = {"builder": details["builder"]["id"]}
    path = attest_gate(tiny, signer, **options)
    assert UNREPRODUCED in findings(tiny)
    assert message in findings(tiny)
    regate(tiny, path)
    with pytest.raises(PolicyRefused, match=message):
        admit(tiny)


def less(item: Any) -> None:
    """Leave the metrics out, of the subjects and of the verdicts."""
    item["subject"] = [subject for subject in item["subject"] if subject["name"] != "metrics.json"]
    del item["predicate"]["verdicts"]["metrics.json"]


@pytest.mark.parametrize(
    "change",
    [
        less,
        lambda item: item["predicate"]["verdicts"]["metrics.json"].update(verdict="DIFFERENT"),
        lambda item: subject_of(item, "metrics.json")["digest"].update(sha256="0" * 64),
        lambda item: item["predicate"]["receipt"].update(sha256="0" * 64),
    ],
    ids=["no metrics", "other verdict", "other metrics", "other receipt"],
)
def test_partial_attestation(tiny: Tiny, change: Callable[[Any], None]) -> None:
    """An attestation that leaves out the gate's metrics, or speaks of others, counts for nothing, though signed."""
    promote(tiny)
    path = attest_gate(tiny)
    edit(path, change)
    sign(tiny, path, "ben")
    regate(tiny, path)
    with pytest.raises(PolicyRefused, match=UNREPRODUCED):
        admit(tiny)
    for other in path.parent.glob("reproduction-1.json*"):
        other.unlink()
    assert UNREPRODUCED in findings(tiny)


def test_receipt_without_metrics(tiny: Tiny) -> None:
    """A gate whose receipt leaves its metrics out does not count, whatever lies beside it and was reproduced."""
    attest(tiny, "ben")
    path = run_of(tiny, "gate")
    edit(path, lambda item: item["subject"].remove(subject_of(item, "metrics.json")))
    (path.parent / "metrics.json").write_text('{"candidate_auc": 0.9, "baseline_auc": 0.1}')
    sign(tiny, path, "ada")
    attest_gate(tiny, "ben")
    assert "its receipt does not name metrics.json" in findings(tiny)


@pytest.mark.parametrize("kind", ["train", "gate"])
def test_attestation_of_another_run(tiny: Tiny, kind: str) -> None:
    """The reproduction of the model's run, or of another run of the gate, is not that of this gate's run."""
    promote(tiny)
    folder = run_of(tiny, "gate").parent
    if kind == "gate":
        other = shutil.copytree(folder, tiny.root / "runs" / "20130101T000000Z-gate-abcdef")
        for copied in other.glob("reproduction-*"):
            copied.unlink()
        edit(other / "receipt.json", lambda _: None)  # other bytes
        path = attest(tiny, "ben", run=other.name)
    else:
        path = attest(tiny, "ben")
    regate(tiny, path)
    with pytest.raises(PolicyRefused, match="it is not about this receipt"):
        admit(tiny)
    for own in folder.glob("reproduction-*"):
        own.unlink()
    shutil.copyfile(path, folder / "reproduction-1.json")
    if kind == "gate":
        shutil.rmtree(other)
    assert UNREPRODUCED in findings(tiny)


def test_k_of_n(tiny: Tiny) -> None:
    """`by: 2` asks for two others for the gate's run as well, at promotion and at use."""
    for attesting in (attest, attest_gate):
        attesting(tiny, "ben")
    attest(tiny, "cleo", builder="urn:third")
    two = Promotion.model_validate(
        {"reproduced": {"by": 2}, "signed": True, "gate": {"notebook": "gate", "metric": "auc", "margin": 0.05}}
    )
    assert f"{UNREPRODUCED} only by ben, where 2 others are asked for" in findings(tiny, two)
    promote(tiny)
    (tiny.root / "environments" / "prod.yml").write_text(PROD.replace("reproduced: true", "reproduced: {by: 2}"))
    commit(tiny)
    with pytest.raises(PolicyRefused, match=f"{UNREPRODUCED} only by ben"):
        admit(tiny)
    regate(tiny, attest_gate(tiny, "ben"), attest_gate(tiny, "cleo", builder="urn:third"))
    admit(tiny)


def test_gate_of_before(tiny: Tiny) -> None:
    """A bundle of before there were reproductions of the gate is still read; prod refuses it and says what is missing,
    and a policy without reproductions admits it.
    """
    promote(tiny)
    promoted = fields(tiny)["promoted"]
    del promoted["gate"]["reproductions"]
    reseal(tiny, promoted=promoted)
    with pytest.raises(PolicyRefused, match=f"{UNREPRODUCED} by nobody") as refusal:
        admit(tiny)
    assert str(refusal.value.mend).startswith("make promote RUN=")
    assert str(refusal.value.mend).endswith("MODEL=delay ENV=prod")
    admit(tiny, "dev")


def test_missing_reproduction(tiny: Tiny) -> None:
    """A reproduction of the gate that is named and not at hand is a refusal with the command that brings it."""
    promote(tiny)
    digest = fields(tiny)["promoted"]["gate"]["reproductions"][0]["sha256"]
    objects.local_store(Workspace(tiny.root)).path(digest).unlink()
    with pytest.raises(PolicyRefused, match="a reproduction of its gate's run is not here") as refusal:
        admit(tiny)
    assert refusal.value.mend == "make pull ENV=prod"


def test_command_for_both(tiny: Tiny) -> None:
    """One command is named for both runs; once the candidate's is reproduced, the gate's alone is."""
    run, gate = run_of(tiny).parent.name, run_of(tiny, "gate").parent.name
    assert f"make reproduce RUN={run}," in mends(tiny)
    assert gate not in mends(tiny)
    attest(tiny, "ben")
    assert f"make reproduce RUN={gate}," in mends(tiny)


def mends(tiny: Tiny) -> str:
    ended = tiny.samebook("promote", run_of(tiny).parent.name, "delay", "--env", "prod", "--dry-run")
    assert ended.code == 6, ended.stderr
    assert settings.committed_promotion(Workspace(tiny.root), "prod").signed
    return ended.stderr


def test_renamed_gate(tiny: Tiny) -> None:
    """A gate's run in a folder of another name, which a bundle would name, does not count."""
    attest(tiny, "ben")
    folder = run_of(tiny, "gate").parent
    folder.rename(folder.with_name("20130101T000000Z-gate-abcdef"))
    assert f"its receipt is that of run {folder.name}" in findings(tiny)
