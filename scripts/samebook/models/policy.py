"""What a run must show before its model is promoted: one function a condition, each with what mends it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git
from samebook.core.digest import sha256
from samebook.core.errors import PolicyRefused, SamebookError
from samebook.core.workspace import Workspace
from samebook.environment.model_sections import Promotion
from samebook.models import bundle, gate_run
from samebook.records import attestations as reproduction
from samebook.records import comparison, evidence, receipt, signing
from samebook.records.receipt import Json


@dataclass(frozen=True)
class Candidate:
    """A finished run that is to be promoted as `model`, under the policy of an environment.

    `champion` is the bundle of that name on this branch; `gate` is the finished comparison of the two.
    """

    workspace: Workspace
    model: str
    path: Path
    statement: Json
    policy: Promotion
    attestations: tuple[tuple[Path, Json], ...]
    champion: bundle.Bundle | None
    gate: bundle.Gate | None

    @property
    def run(self) -> str:
        return self.path.parent.name

    @property
    def internal(self) -> Json:
        return self.statement["predicate"]["buildDefinition"].get("internalParameters", {})

    @property
    def commit(self) -> Json:
        return receipt.dependency(self.statement, receipt.COMMIT) or {"digest": {"gitCommit": ""}}


@dataclass(frozen=True)
class UnmetCondition:
    """A condition that does not hold: what was found, and the command that mends it."""

    what: str
    mend: str


def unmet_conditions(candidate: Candidate) -> list[UnmetCondition]:
    """Every condition of the policy that the candidate does not meet."""
    return [found for condition in CONDITIONS if (found := condition(candidate))]


def _whole(candidate: Candidate) -> UnmetCondition | None:
    found = evidence.file_states(candidate.workspace, candidate.path, candidate.statement)
    wrong = [f"{name}: {state}" for name, state in found.items() if state != evidence.BESIDE]
    what = f"its files are not what its receipt says: {'; '.join(wrong)}"
    return UnmetCondition(what, "run it again") if wrong else None


def _undrifted(candidate: Candidate) -> UnmetCondition | None:
    drift = candidate.internal.get("drift")
    what = f"it ran in an environment that is not the lock's: {', '.join(drift or ())}"
    return UnmetCondition(what, "run it again without --allow-drift") if drift else None


def _clean_commit(candidate: Candidate) -> UnmetCondition | None:
    again = f"git commit, then {_again(candidate)}"
    name = candidate.commit["digest"]["gitCommit"]
    if candidate.policy.clean_commit and candidate.commit.get("annotations", {}).get("dirty", True):
        return UnmetCondition("it ran on changes that are not committed", again)
    if git.is_ancestor(candidate.workspace.root, name):
        return None
    what = f"its commit {name[:12] or 'is not named'} is not in this branch, from which others could run it again"
    return UnmetCondition(what, f"git merge {name[:12]}, or {_again(candidate)} here")


def _pinned_image(candidate: Candidate) -> UnmetCondition | None:
    if not candidate.policy.pinned_image:
        return None
    found = {name: (receipt.dependency(candidate.statement, name) or {}).get("uri") for name in ("image", "base image")}
    engine = candidate.internal.get("engine")
    what = unpinned_image(engine, found["image"], found["base image"])
    return UnmetCondition(what, _again(candidate, "ENGINE=docker")) if what else None


def _reproduced(candidate: Candidate) -> UnmetCondition | None:
    if not candidate.policy.reproduced:
        return None
    author = candidate.statement["predicate"]["runDetails"]["builder"]["id"]
    told = [each["predicate"] for _, each in candidate.attestations]
    same = [each["predicate"] for _, each in candidate.attestations if _is_identical(candidate.statement, each)]
    if any(each["reproducer"]["builder"] != author for each in same):
        return None
    found = f"only by {author}, who made it" if same else f"{len(told)} times, never IDENTICAL" if told else "by nobody"
    mend = f"on another machine, or in CI: make reproduce RUN={candidate.run}, and bring reproduction-<n>.json here"
    return UnmetCondition(f"it was reproduced {found}", mend)


def _is_identical(statement: Json, attestation: Json) -> bool:
    """Whether a reproduction speaks of all that the receipt speaks of, and found each the same."""
    verdicts = reproduction.verdicts(attestation)
    subjects = set(receipt.subject_digests(statement))
    every = attestation["subject"] == statement["subject"] and set(verdicts) == subjects
    return every and {*verdicts.values(), attestation["predicate"]["verdict"]} == {comparison.Verdict.IDENTICAL}


def _signed(candidate: Candidate) -> UnmetCondition | None:
    if not candidate.policy.signed:
        return None
    signers: list[set[str]] = []
    for path in (candidate.path, *(path for path, _ in candidate.attestations)):
        try:
            signers.append(set(signing.signers(candidate.workspace, path)))
        except SamebookError as error:
            return UnmetCondition(f"{path.name}: {error}", error.mend or "sign it")
        if not signers[-1]:
            return UnmetCondition(f"{path.name} is not signed by a trusted key", "SIGNING_KEY=me.pem make run …")
    if candidate.policy.reproduced and len(signers) > 1 and not set().union(*signers[1:]) - signers[0]:
        return UnmetCondition(
            "run and reproduction are signed by the same key", "SIGNING_KEY=theirs.pem make reproduce …"
        )
    return None


def _gate(candidate: Candidate) -> UnmetCondition | None:
    gate = candidate.policy.gate
    if gate is None:
        return None
    if candidate.gate is None:
        champion = f" champion={candidate.model}" if candidate.champion else ""
        compare = f"make run NOTEBOOK={gate.notebook} PARAMS='candidate={candidate.run}{champion}'"
        return UnmetCondition(
            "it was not compared with the champion and the baseline yet", f"{compare}; a promotion does it"
        )
    worse = list(gate_run.shortfalls(gate, candidate.gate.metrics, has_champion=candidate.champion is not None))
    return (
        UnmetCondition("; ".join(worse), "train a better one, or change promotion.gate in the settings")
        if worse
        else None
    )


def _again(candidate: Candidate, *more: str) -> str:
    return " ".join(
        (f"make run NOTEBOOK={Path(receipt.external_parameters(candidate.statement)['notebook']).stem}", *more)
    )


CONDITIONS: tuple[Callable[[Candidate], UnmetCondition | None], ...] = (
    *(_whole, _undrifted, _clean_commit, _pinned_image, _reproduced, _signed, _gate),
)


def unpinned_image(engine: str | None, image: str | None, base: str | None) -> str:
    """How a run was not in an image on a base that is named by digest; empty where it was."""
    named = {"image": image, "base image": base}
    loose = [f"{name} {uri or 'none'}" for name, uri in named.items() if "sha256:" not in (uri or "")]
    loose += [] if engine == "docker" else [f"engine {engine}"]
    return f"it did not run in an image whose base is pinned by digest: {', '.join(loose)}" if loose else ""


def unmet_by_bundle(found: bundle.Bundle, asked: Promotion, attested: Collection[str]) -> list[str]:
    """What a promoted model lacks of what an environment asks: a merge may bring it from one that asks for less.

    `attested` are the builders whose reproduction is at hand, and says IDENTICAL.
    """
    environment = found.environment
    lacks = {
        "it ran on changes that are not committed": asked.clean_commit and found.source.dirty,
        "nobody but its author's machine has reproduced it": asked.reproduced
        and not set(attested) - {found.receipt.builder},
        "it is not signed": asked.signed and not found.receipt.envelope,
        "no gate has compared it": asked.gate and not found.promoted.gate,
        unpinned_image(environment.engine, environment.image, environment.base_image): asked.pinned_image,
    }
    return [what for what, is_lacking in lacks.items() if what and is_lacking]


def enforce(candidate: Candidate, env: str) -> None:
    """Raise PolicyRefused with every unmet condition, each with what mends it."""
    found = unmet_conditions(candidate)
    if found:
        lines = (f"  - {each.what}\n    -> {each.mend}" for each in found)
        raise PolicyRefused(
            "\n".join((f"{candidate.run} can't be promoted as {candidate.model} in {env}:", *lines)),
            mend="see what the policy asks: make settings ENV=" + env,
        )


def attestations(path: Path) -> tuple[tuple[Path, Json], ...]:
    """The reproductions beside a receipt that speak of this very receipt, oldest first."""
    files = sorted(path.parent.glob("reproduction-*.json"), key=lambda file: (len(file.name), file.name))
    found = ((each, reproduction.read(each)) for each in files)
    digest = sha256(path)
    return tuple((each, told) for each, told in found if told and told["predicate"]["receipt"]["sha256"] == digest)
