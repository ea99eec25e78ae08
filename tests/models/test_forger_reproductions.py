"""Cheats with reproductions: one attestation must meet all that is asked of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forging import attest, attest_gate, edit, findings, run_of, sign
from tiny import Tiny

from samebook.environment.model_sections import Promotion
from samebook.records import signing
from samebook.verbs import verify

pytestmark = [pytest.mark.host, pytest.mark.forger]


@pytest.mark.parametrize(
    ("signer", "options", "message"),
    [
        ("ada", {}, "signed by the same key"),
        ("laptop", {}, "signed by the same key's owner, ada"),
        ("dan", {}, "dan, who may not sign reproductions"),
        ("stranger", {}, "an unknown key, or a wrong signature"),
        ("", {}, "carries no signature"),
        ("ben", {"verdict": "DIFFERENT"}, "never IDENTICAL"),
        ("ben", {"verdict": "EQUIVALENT"}, "never IDENTICAL"),
        ("ben", {"builder": "author"}, "who made it"),
    ],
)
def test_lone_attestation(tiny: Tiny, signer: str, options: dict[str, str], message: str) -> None:
    """An attestation by the author, in either name, by a stranger, or of another verdict, is not a reproduction."""
    if "builder" in options:
        details = json.loads(run_of(tiny).read_text())["predicate"]["runDetails"]
        options = {"builder": details["builder"]["id"]}
    attest(tiny, signer, **options)
    assert message in findings(tiny)


def test_two_halves(tiny: Tiny) -> None:
    """A colleague's signed DIFFERENT and the author's own IDENTICAL are not one signed IDENTICAL."""
    attest(tiny, "ben", verdict="DIFFERENT")
    attest(tiny, "ada")
    attest(tiny)
    assert "it was reproduced" in findings(tiny)


def test_trials_beside_do_not_block(tiny: Tiny) -> None:
    """Unsigned, failed, broken and foreign attestations beside a good one block nothing."""
    attest(tiny)
    attest(tiny, "stranger", verdict="DIFFERENT")
    broken = attest(tiny, "cleo")
    signing.envelope_path(broken).write_text("[]")
    attest(tiny, "ben")
    attest(tiny)  # the same bytes once more, without their signature
    attest_gate(tiny, "ben")
    assert findings(tiny) == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item["subject"].pop(),
        lambda item: item["predicate"]["verdicts"].popitem(),
        lambda item: item["subject"][0]["digest"].update(sha256="0" * 64),
        lambda item: item["predicate"]["receipt"].update(sha256="0" * 64),
        lambda item: item["predicate"].update(verdict="DIFFERENT"),
    ],
    ids=["subject", "verdict", "digest", "receipt", "overall"],
)
def test_partial_attestation(tiny: Tiny, change: Callable[[Any], None]) -> None:
    """An attestation of fewer or of other results counts for nothing, though it is signed."""
    path = attest(tiny)
    edit(path, change)
    sign(tiny, path, "ben")
    assert "it was reproduced" in findings(tiny)


def test_edited_after_signing(tiny: Tiny) -> None:
    """An attestation that was edited after it was signed counts for nothing."""
    path = attest(tiny, "ben", verdict="DIFFERENT")
    path.write_text(path.read_text().replace("DIFFERENT", "IDENTICAL"))
    assert "is not what was signed" in findings(tiny)


def envelope_of_run(tiny: Tiny) -> Path:
    """An attestation with the envelope of the receipt beside it."""
    path = attest(tiny)
    shutil.copyfile(signing.envelope_path(run_of(tiny)), signing.envelope_path(path))
    return path


def test_borrowed_envelope(tiny: Tiny) -> None:
    """An envelope of another statement signs nothing."""
    envelope_of_run(tiny)
    assert "is not what was signed" in findings(tiny)


def by(count: int, *, signed: bool = True) -> Promotion:
    return Promotion.model_validate({"reproduced": {"by": count}, "signed": signed})


def cosign(tiny: Tiny, path: Path, names: tuple[str, ...]) -> None:
    """Put the signatures of several keys into one envelope."""
    signatures: list[Any] = []
    for name in names:
        sign(tiny, path, name)
        signatures += json.loads(signing.envelope_path(path).read_text())["signatures"]
    edit(signing.envelope_path(path), lambda envelope: envelope.update(signatures=signatures))


def test_k_of_n(tiny: Tiny) -> None:
    """`by: 2` asks for two owners with a reproduction each: not one twice, nor two signatures on one file."""
    first = attest(tiny, "ben")
    assert "where 2 others are asked for" in findings(tiny, by(2))
    attest(tiny, "ben", builder="urn:third")
    assert "only by ben" in findings(tiny, by(2))
    cosign(tiny, first, ("ben", "cleo"))
    for path in run_of(tiny).parent.glob("reproduction-2.json*"):
        path.unlink()
    assert "where 2 others are asked for" in findings(tiny, by(2))
    attest(tiny, "cleo", builder="urn:third")
    assert findings(tiny, by(2)) == ""


@pytest.mark.parametrize("names", [("ada", "cleo"), ("cleo", "ada")])
def test_run_of_two_signers(tiny: Tiny, names: tuple[str, str]) -> None:
    """Neither of the two who have signed a run counts as another owner, in whatever order their signatures stand."""
    cosign(tiny, run_of(tiny), names)
    attest(tiny, "cleo")
    assert "signed by the same key, cleo" in findings(tiny, by(1))
    attest(tiny, "ben", builder="urn:third")
    assert findings(tiny, by(1)) == ""


def test_copied_attestation(tiny: Tiny) -> None:
    """The same attestation under two numbers, signed by two owners, is one reproduction."""
    first = attest(tiny, "ben")
    second = first.with_name("reproduction-2.json")
    shutil.copyfile(first, second)
    sign(tiny, second, "cleo")
    assert "where 2 others are asked for" in findings(tiny, by(2))


def test_verified_is_not_identical(tiny: Tiny) -> None:
    """The verification of an attestation says its verdict: DIFFERENT can be signed and verified, too."""
    path = attest(tiny, "ben", verdict="DIFFERENT")
    assert verify.table(verify.verify(path)).endswith("signed by ben; its verdict is DIFFERENT")


def test_k_of_n_builders(tiny: Tiny) -> None:
    """Without signatures `by: 2` counts builders, each once."""
    for builder, has_enough in (("urn:b", False), ("urn:b", False), ("urn:c", True)):
        attest(tiny, builder=builder)
        assert (findings(tiny, by(2, signed=False)) == "") is has_enough


@pytest.mark.parametrize(
    ("undeclared", "engine", "ignored", "counts"),
    [
        ({"child process cat": "unseen"}, "local", [], False),
        ({"another interpreter": "unseen"}, "local", [], False),
        ({"child process cat": "unseen"}, "docker", [], True),
        ({"child process cat": "unseen"}, "local", ["child process cat"], True),
        ({"child process cat": "unseen", "child process sh": "unseen"}, "local", ["child process cat"], False),
        ({"network 10.0.0.1:80": "unseen", "child process.csv": "0" * 64}, "local", [], True),
    ],
)
def test_unseen_reads(tiny: Tiny, undeclared: dict[str, str], engine: str, ignored: list[str], counts: bool) -> None:
    """A reproduction in which a program may have copied an earlier result counts only from a container, which has none,
    or where the policy answers for that program.
    """
    path = attest(tiny)
    edit(path, lambda item: item["predicate"].update(undeclared=undeclared))
    edit(path, lambda item: item["predicate"]["reproducer"].update(engine=engine))
    policy = Promotion.model_validate({"reproduced": {"by": 1, "ignore_unseen": ignored}})
    assert ("maybe an earlier result; ENGINE=docker has none" not in findings(tiny, policy)) is counts
    assert (findings(tiny, policy) == "") is counts


@pytest.mark.parametrize("builder", ["urn:samebook:builder:container", "urn:samebook:builder:0123456789ab"])
def test_container_is_no_machine(tiny: Tiny, builder: str) -> None:
    """A container's id does not make one machine two."""
    attest(tiny, builder=builder)
    assert "is a container on some machine" in findings(tiny, by(1, signed=False))


@pytest.mark.parametrize(
    ("fact", "is_essential", "is_pinned", "counts"),
    [
        ("internalParameters.engine", False, True, False),
        ("base image", False, True, False),
        ("image", False, True, True),
        ("internalParameters.engine", False, False, True),
        ("externalParameters.parameters.level", True, False, False),
    ],
)
def test_contradicted_definition(tiny: Tiny, fact: str, is_essential: bool, is_pinned: bool, counts: bool) -> None:
    """A verdict beside another engine or base image counts only where no image is pinned; beside other facts, never."""
    path = attest(tiny)
    definition = {fact: {"original": "a", "reproduced": "b", "essential": is_essential}}
    edit(path, lambda item: item["predicate"].update(definition=definition))
    sign(tiny, path, "ben")
    conditions = Promotion(reproduced=True, signed=True, pinned_image=is_pinned)
    assert (f"it was found IDENTICAL with another {fact}" not in findings(tiny, conditions)) is counts
