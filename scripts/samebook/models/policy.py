"""The policy of a promotion: the conditions that a run must meet, one function each, with the command that mends it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git
from samebook.core.digest import sha256
from samebook.core.errors import PolicyRefused, SamebookError
from samebook.core.workspace import Workspace
from samebook.environment.model_sections import Promotion
from samebook.models import bundle, gate_run
from samebook.records import attestations, comparison, evidence, receipt, signing
from samebook.records.receipt import Json


@dataclass(frozen=True)
class Candidate:
    """A finished run that is to be promoted as `model`, under the policy of an environment.

    `path` is that of its receipt; `attestations` are those of its reproductions, with their paths. `champion` is the
    bundle of that name on this branch; `gate` is the finished comparison of the two.
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
    """A condition that does not hold: the finding, and the command that mends it."""

    finding: str
    mend: str


def unmet_conditions(candidate: Candidate) -> list[UnmetCondition]:
    """Every condition of the policy that the candidate does not meet."""
    return [unmet for condition in CONDITIONS if (unmet := condition(candidate))]


def _whole(candidate: Candidate) -> UnmetCondition | None:
    states = evidence.file_states(candidate.workspace, candidate.path, candidate.statement)
    problems = [f"{name}: {state}" for name, state in states.items() if state != evidence.BESIDE]
    finding = f"its files are not what its receipt says: {'; '.join(problems)}"
    return UnmetCondition(finding, "run it again") if problems else None


def _undrifted(candidate: Candidate) -> UnmetCondition | None:
    drift = candidate.internal.get("drift")
    finding = f"it ran in an environment that is not the lock's: {', '.join(drift or ())}"
    return UnmetCondition(finding, "run it again without --allow-drift") if drift else None


def _clean_commit(candidate: Candidate) -> UnmetCondition | None:
    again = f"git commit, then {_again(candidate)}"
    name = candidate.commit["digest"]["gitCommit"]
    if candidate.policy.clean_commit and candidate.commit.get("annotations", {}).get("dirty", True):
        return UnmetCondition("it ran on changes that are not committed", again)
    if not name:
        return UnmetCondition("its receipt names no commit", again)
    if git.is_ancestor(candidate.workspace.root, name):
        return None
    finding = f"its commit {name[:12]} is not in this branch, so a clone of it can't run it again"
    return UnmetCondition(finding, f"git merge {name[:12]}, or {_again(candidate)} here")


def _pinned_image(candidate: Candidate) -> UnmetCondition | None:
    if not candidate.policy.pinned_image:
        return None
    image, base = (receipt.dependency(candidate.statement, name) or {} for name in ("image", "base image"))
    finding = _unpinned_image(candidate.internal.get("engine"), image.get("uri"), base.get("uri"))
    return UnmetCondition(finding, _again(candidate, "ENGINE=docker")) if finding else None


def _reproduced(candidate: Candidate) -> UnmetCondition | None:
    if not candidate.policy.reproduced:
        return None
    author = candidate.statement["predicate"]["runDetails"]["builder"]["id"]
    reproductions = [attestation for _, attestation in candidate.attestations]
    identical = [attestation for attestation in reproductions if _is_identical(candidate.statement, attestation)]
    if any(attestation["predicate"]["reproducer"]["builder"] != author for attestation in identical):
        return None
    others = f"{len(reproductions)} times, never IDENTICAL" if reproductions else "by nobody"
    by = f"only by {author}, who made it" if identical else others
    mend = f"on another machine, or in CI: make reproduce RUN={candidate.run}, and bring reproduction-<n>.json here"
    return UnmetCondition(f"it was reproduced {by}", mend)


def _is_identical(statement: Json, attestation: Json) -> bool:
    """Whether a reproduction has the receipt's subjects, all of them, and the verdict IDENTICAL for each."""
    verdicts = attestations.verdicts(attestation)
    subjects = set(receipt.subject_digests(statement))
    is_complete = attestation["subject"] == statement["subject"] and set(verdicts) == subjects
    return is_complete and {*verdicts.values(), attestation["predicate"]["verdict"]} == {comparison.Verdict.IDENTICAL}


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


def _unpinned_image(engine: str | None, image: str | None, base: str | None) -> str:
    """The finding that a run was not in an image on a base that is pinned by digest; empty where it was."""
    uris = {"image": image, "base image": base}
    unpinned = [f"{name} {uri or 'none'}" for name, uri in uris.items() if "sha256:" not in (uri or "")]
    unpinned += [] if engine == "docker" else [f"engine {engine}"]
    return f"it did not run in an image whose base is pinned by digest: {', '.join(unpinned)}" if unpinned else ""


def unmet_by_bundle(model: bundle.Bundle, policy: Promotion, reproducers: Collection[str]) -> list[str]:
    """The conditions of a policy that a promoted model does not meet: a merge may bring it from a weaker policy.

    `reproducers` are the builders that have reproduced it with the verdict IDENTICAL.
    """
    environment = model.environment
    others = set(reproducers) - {model.receipt.builder}
    unmet = {
        "it ran on changes that are not committed": policy.clean_commit and model.source.dirty,
        "nobody but its author's machine has reproduced it": policy.reproduced and not others,
        "it is not signed": policy.signed and not model.receipt.envelope,
        "no gate has compared it": policy.gate and not model.promoted.gate,
        _unpinned_image(environment.engine, environment.image, environment.base_image): policy.pinned_image,
    }
    return [finding for finding, is_unmet in unmet.items() if finding and is_unmet]


def enforce(candidate: Candidate, env: str) -> None:
    """Raise PolicyRefused with every unmet condition, each with the command that mends it."""
    if unmet := unmet_conditions(candidate):
        lines = (f"  - {condition.finding}\n    -> {condition.mend}" for condition in unmet)
        raise PolicyRefused(
            "\n".join((f"{candidate.run} can't be promoted as {candidate.model} in {env}:", *lines)),
            mend="see what the policy asks: make settings ENV=" + env,
        )


def find_attestations(path: Path) -> tuple[tuple[Path, Json], ...]:
    """The attestations beside a receipt that name its sha256, with their paths, oldest first."""
    files = sorted(path.parent.glob("reproduction-*.json"), key=lambda file: (len(file.name), file.name))
    statements = ((file, attestations.read(file)) for file in files)
    digest = sha256(path)
    return tuple((file, item) for file, item in statements if item and item["predicate"]["receipt"]["sha256"] == digest)
