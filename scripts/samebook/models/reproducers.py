"""The others who have reproduced a run: builders by name or, where signatures are asked, owners of trusted keys.

An attestation counts where it is IDENTICAL, complete, of this receipt, and by another builder; where signatures are
asked, the same attestation must also be signed by an owner of a key who has not signed the run. One that does not count
blocks none that does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from samebook.core.digest import sha256
from samebook.core.errors import PolicyRefused
from samebook.environment.model_sections import Promotion
from samebook.records import attestations, comparison, receipt, signing
from samebook.records.receipt import Json
from samebook.records.signing import Purpose, SignedFile, TrustedKey

# The beginnings of unseen reads that a program makes which is not the kernel.
PROGRAMS = ("child process ", "another interpreter")
# The gate's run in the words of a finding.
GATE = "its gate's run"


@dataclass(frozen=True)
class SignedRun:
    """A run's receipt with the attestations of its reproductions, and the keys that are trusted.

    `subject` is the run in words: the model's own, or the gate's.
    """

    receipt: SignedFile
    statement: Json
    attestations: Sequence[SignedFile]
    keys: Mapping[str, TrustedKey]
    subject: str = "it"

    @property
    def id(self) -> str:
        return self.statement["predicate"]["runDetails"]["metadata"]["invocationId"]

    @property
    def builder(self) -> str:
        return self.statement["predicate"]["runDetails"]["builder"]["id"]


def signature_problem(file: SignedFile, keys: Mapping[str, TrustedKey], purpose: Purpose) -> str:
    """The problem of a statement's signature, with the command that mends it; empty where it holds."""
    try:
        signing.verify(file, keys, purpose)
    except PolicyRefused as error:
        return f"{file.name}: {error}"
    return ""


def shortfall(run: SignedRun, policy: Promotion) -> str:
    """The finding that too few others have reproduced a run, by this policy; empty where enough have."""
    identities: dict[bytes, set[str]] = {}  # the same bytes under two numbers are one reproduction
    problems: list[str] = []
    for file in run.attestations:
        try:
            identities[file.content] = identities.get(file.content, set()) | _identities(run, file, policy)
        except PolicyRefused as error:
            problems.append(f"{file.name}: {error}")
    others = _distinct(list(identities.values()))
    if len(others) >= policy.reproducers:
        return ""
    by = f"only by {', '.join(sorted(others))}, where {policy.reproducers} others are asked for"
    return "; ".join((f"{run.subject} was reproduced {by if others else _by_no_other(run)}", *problems))


def _by_no_other(run: SignedRun) -> str:
    """The result of reproductions none of which counts, in words."""
    parsed = [attestation for file in run.attestations if (attestation := attestations.parse(file.content))]
    if not any(_is_identical(run.statement, attestation) for attestation in parsed):
        return f"{len(parsed)} times, never IDENTICAL" if parsed else "by nobody"
    builders = {attestations.facts(attestation)["builder"] for attestation in parsed}
    return f"only by {run.builder}, who made it" if builders == {run.builder} else "by nobody who counts"


def _distinct(identities: list[set[str]]) -> set[str]:
    """One identity for each attestation, none of them twice: a file that two have signed is one reproduction."""
    chosen = set[str]()
    for names in sorted(identities, key=len):
        chosen |= set(sorted(names - chosen)[:1])
    return chosen


def _identities(run: SignedRun, file: SignedFile, policy: Promotion) -> set[str]:
    """The builder or the key owners that an attestation speaks for. Raises PolicyRefused where it does not count."""
    attestation = attestations.parse(file.content)
    if attestation is None or attestation["predicate"]["receipt"]["sha256"] != sha256(run.receipt.content):
        raise PolicyRefused("it is not about this receipt")
    if not _is_identical(run.statement, attestation):
        raise PolicyRefused(
            f"its verdict is {attestations.facts(attestation)['verdict']}, not IDENTICAL for each result"
        )
    if facts := attestations.contradicted_facts(attestation, policy.pinned_image):
        raise PolicyRefused(f"it was found IDENTICAL with another {', '.join(facts)}")
    if programs := [name for name in attestations.unseen_reads(attestation) if _may_copy(name, policy)]:
        raise PolicyRefused(
            f"it has read unseen by {', '.join(programs)}, maybe an earlier result; ENGINE=docker has none"
        )
    builder = attestations.facts(attestation)["builder"]
    if builder == run.builder:
        raise PolicyRefused(f"it is by {builder}, the builder that made the run")
    if not policy.signed:
        if unnamed := [name for name in (builder, run.builder) if receipt.is_unnamed(name)]:
            raise PolicyRefused(
                f"{unnamed[0]} is a container on some machine, maybe the same one; set SAMEBOOK_BUILDER"
            )
        return {builder}
    return _other_owners(run, signing.verify(file, run.keys, Purpose.REPRODUCTIONS))


def _may_copy(name: str, policy: Promotion) -> bool:
    """Whether an unseen read is that of a program, which may have copied an earlier result, and the policy minds it."""
    return name.startswith(PROGRAMS) and not name.startswith(policy.ignored_reads)


def _other_owners(run: SignedRun, keys: Sequence[TrustedKey]) -> set[str]:
    """The owners of keys, without those who have signed the run. Raises PolicyRefused where none is left."""
    own = signing.verify(run.receipt, run.keys, Purpose.RUNS)
    if others := {key.owner for key in keys} - {key.owner for key in own}:
        return others
    is_same = {key.name for key in keys} <= {key.name for key in own}
    raise PolicyRefused(
        "run and reproduction are signed by the same key" + ("'s owner" if not is_same else "") + f", {keys[0].owner}"
    )


def _is_identical(statement: Json, attestation: Json) -> bool:
    """Whether a reproduction has the receipt's subjects, all of them, and the verdict IDENTICAL for each."""
    verdicts = attestations.verdicts(attestation)
    is_complete = attestation["subject"] == statement["subject"] and set(verdicts) == set(
        receipt.subject_digests(statement)
    )
    return is_complete and {*verdicts.values(), attestation["predicate"]["verdict"]} == {comparison.Verdict.IDENTICAL}
