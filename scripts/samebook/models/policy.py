"""The policy of a promotion: the conditions that a run must meet, one function each, with the command that mends it."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from samebook.core import git, head
from samebook.core.errors import PolicyRefused, UsageError
from samebook.core.text import word
from samebook.core.workspace import Workspace
from samebook.environment import identity
from samebook.environment.model_sections import Promotion
from samebook.models import bundle, gate_run, published_image, reproducers
from samebook.models.reproducers import SignedRun
from samebook.records import attestations, data_manifest, evidence, receipt, run_folder, signing
from samebook.records.receipt import Json
from samebook.records.signing import Purpose, SignedFile
from samebook.store import objects
from samebook.wheelhouse import pinned_base

# An image by its id, or a name with a digest: a tag may hold any text, sha256 too.
PINNED = re.compile(r"(.+@)?sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Candidate:
    """A finished run that is to be promoted as `model`, under the policy of an environment.

    `attestations` are those of its reproductions, with their paths. `champion` is the bundle that it has to beat, and
    `rival` its reference; `gate` is the finished comparison of the two.
    """

    workspace: Workspace
    model: str
    receipt_path: Path
    statement: Json
    policy: Promotion
    attestations: tuple[tuple[Path, Json], ...]
    champion: bundle.Bundle | None
    gate: bundle.Gate | None
    rival: str = ""
    env: str = ""

    @cached_property
    def signed_run(self) -> SignedRun:
        files = [SignedFile.read(path) for path, _ in self.attestations]
        keys = signing.trusted_keys(self.workspace)
        return SignedRun(SignedFile.read(self.receipt_path), self.statement, files, keys)

    @cached_property
    def reproduced_runs(self) -> list[SignedRun]:
        """The runs that others must have reproduced: its own and, where it was compared, the gate's."""
        if self.policy.gate is None or self.gate is None:
            return [self.signed_run]
        path = self.workspace.runs / self.gate.run / run_folder.RECEIPT
        files = [SignedFile.read(path) for path, _ in attestations.beside(path)]
        return [
            self.signed_run,
            SignedRun(SignedFile.read(path), receipt.read(path), files, self.signed_run.keys, reproducers.GATE),
        ]

    @property
    def is_champion_removed(self) -> bool:
        """Whether the champion's file was removed, and not by a rollback."""
        return bool(self.rival) and not (self.workspace.models / f"{self.model}.json").is_file()

    @property
    def run(self) -> str:
        return self.receipt_path.parent.name

    @property
    def internal_parameters(self) -> Json:
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
    return [finding for condition in CONDITIONS if (finding := condition(candidate))]


def _whole(candidate: Candidate) -> UnmetCondition | None:
    states = evidence.file_states(candidate.workspace, candidate.receipt_path, candidate.statement)
    problems = [f"{name}: {state}" for name, state in states.items() if state != evidence.BESIDE]
    lists = data_manifest.states(objects.local_store(candidate.workspace), receipt.read(candidate.receipt_path))
    problems += [f"{name}: {problem}" for name, problem in lists.items() if problem]
    finding = f"its files are not what its receipt says: {'; '.join(problems)}"
    return UnmetCondition(finding, _again(candidate)) if problems else None


def _undrifted(candidate: Candidate) -> UnmetCondition | None:
    finding = drift_problem(candidate.statement)
    environment = identity.anew(candidate.internal_parameters.get("engine", ""))
    return UnmetCondition(finding, f"{environment} && {_again(candidate)}") if finding else None


def _clean_commit(candidate: Candidate) -> UnmetCondition | None:
    message = word(receipt.notebook_name(candidate.statement))
    again = f"git commit --all --message {message} && {_again(candidate)}"
    name = candidate.commit["digest"]["gitCommit"]
    if candidate.policy.clean_commit and candidate.commit.get("annotations", {}).get("dirty", True):
        return UnmetCondition("it ran on changes that are not committed", again)
    if not name:
        return UnmetCondition("its receipt names no commit", again)
    if git.is_ancestor(candidate.workspace.root, name):
        return None
    finding = f"its commit {name[:12]} is not in this branch, so a clone of it can't run it again"
    return UnmetCondition(finding, f"git merge {name[:12]}")


def _pinned_image(candidate: Candidate) -> UnmetCondition | None:
    if not candidate.policy.pinned_image:
        return None
    finding = image_problem(candidate.workspace, candidate.statement, candidate.env)
    # Where the environment has a published image, its runs take it.
    if finding and published_image.names(candidate.workspace, candidate.env):
        return UnmetCondition(finding, _again(candidate, "ENGINE=docker", f"ENV={candidate.env}"))
    # Said by name: this machine may have made a base of its own.
    pinned = [
        f"BASE_IMAGE={word(base)}" for base in pinned_base.read(head.content(candidate.workspace.root, "Dockerfile"))
    ]
    return UnmetCondition(finding, _again(candidate, "ENGINE=docker", *pinned[:1])) if finding else None


def _reproduced(candidate: Candidate) -> UnmetCondition | None:
    if not candidate.policy.reproduced:
        return None
    findings = {
        run.id: finding
        for run in candidate.reproduced_runs
        if (finding := reproducers.shortfall(run, candidate.policy))
    }
    if not findings:
        return None
    key = "SIGNING_KEY=theirs.pem " if candidate.policy.signed else ""
    # The candidate's reproduction is the gate's, too.
    command = f"{key}make reproduce RUN={word(next(iter(findings)))}"
    mend = f"on another machine, or in CI: {command}, and bring reproduction-<n>.json here"
    return UnmetCondition("; ".join(findings.values()), mend)


def _signed(candidate: Candidate) -> UnmetCondition | None:
    if not candidate.policy.signed:
        return None
    finding = reproducers.signature_problem(candidate.signed_run.receipt, candidate.signed_run.keys, Purpose.RUNS)
    again = f"SIGNING_KEY=me.pem {_again(candidate)}"
    return UnmetCondition(f"its receipt is not signed by a trusted key: {finding}", again) if finding else None


def _gate(candidate: Candidate) -> UnmetCondition | None:
    gate = candidate.policy.gate
    if gate is None:
        return None
    if candidate.gate is None:
        champion = f" champion={candidate.rival}" if candidate.champion else ""
        compare = f"make run NOTEBOOK={gate.notebook} PARAMS={word(f'candidate={candidate.run}{champion}')}"
        problem = gate_run.newest_problem(candidate.workspace, candidate.policy, candidate.statement)
        finding = f"it was not compared with the champion and the baseline yet{problem}"
        return UnmetCondition(finding, compare)
    worse = list(gate_run.shortfalls(gate, candidate.gate.metrics, has_champion=candidate.champion is not None))
    if worse and candidate.is_champion_removed:
        worse.append(f"{candidate.model} was removed, and not by a rollback: it is the champion still")
        return UnmetCondition("; ".join(worse), f"make rollback MODEL={candidate.model} WITHDRAW=1")
    return UnmetCondition("; ".join(worse), _again(candidate, "PARAMS=…")) if worse else None


def _again(candidate: Candidate, *more: str) -> str:
    return " ".join((f"make run NOTEBOOK={word(receipt.notebook_name(candidate.statement))}", *more))


CONDITIONS: tuple[Callable[[Candidate], UnmetCondition | None], ...] = (
    *(_whole, _undrifted, _clean_commit, _pinned_image, _gate, _reproduced, _signed),
)


def drift_problem(statement: Json) -> str:
    """The finding that a run had other packages than the lock's; empty where it had those."""
    drift = statement["predicate"]["buildDefinition"].get("internalParameters", {}).get("drift")
    packages = ", ".join(drift) if isinstance(drift, dict) else str(drift)
    return f"it ran in an environment that is not the lock's: {packages}" if drift else ""


def image_problem(workspace: Workspace, statement: Json, env: str = "", ref: str = "") -> str:
    """The finding that a run was not in the image that its commit pins; empty where it was.

    Where `env` has a published image, it must be that one, or one that was published before. `ref` is the branch, tag
    or commit that the user takes the model from.
    """
    engine = statement["predicate"]["buildDefinition"].get("internalParameters", {}).get("engine")
    image, base = ((receipt.dependency(statement, name) or {}).get("uri") for name in ("image", "base image"))
    return (
        unpinned_image(engine, image, base)
        or published_image.problem(workspace, env, image)
        or foreign_base(workspace, statement, ref)
    )


def foreign_base(workspace: Workspace, statement: Json, ref: str = "") -> str:
    """The finding that the digest of a run's base image is not the Dockerfile's, at HEAD or at the run's commit.

    A commit counts in the past of HEAD, or of `ref`. A copy without a repository has no Dockerfile.
    """
    root, commit = workspace.root, receipt.commit_name(statement)
    if not head.is_repository(root):
        return ""
    uri = (receipt.dependency(statement, "base image") or {}).get("uri", "")
    pinned = pinned_base.read(head.content(root, "Dockerfile"))
    if commit and head.is_in_past(root, commit, ref):
        with suppress(UsageError):  # that commit has none
            pinned += pinned_base.read(git.show(root, commit, "Dockerfile"))
    if uri.rpartition("@")[2] in (base.rpartition("@")[2] for base in pinned):
        return ""
    return f"its base image {uri} is not the one that the Dockerfile pins"


def unpinned_image(engine: str | None, image: str | None, base: str | None) -> str:
    """The finding that a run was not in an image on a base that is pinned by digest; empty where it was."""
    uris = {"image": image, "base image": base}
    unpinned = [f"{name} {uri or 'none'}" for name, uri in uris.items() if not PINNED.fullmatch(uri or "")]
    unpinned += [] if engine == "docker" else [f"engine {engine}"]
    return f"it did not run in an image whose base is pinned by digest: {', '.join(unpinned)}" if unpinned else ""


def enforce(candidate: Candidate, env: str) -> None:
    """Raise PolicyRefused with every unmet condition, each with the command that mends it."""
    if conditions := unmet_conditions(candidate):
        lines = (f"  - {condition.finding}\n    -> {condition.mend}" for condition in conditions)
        raise PolicyRefused(
            "\n".join((f"{candidate.run} can't be promoted as {candidate.model} in {env}:", *lines)),
            mend=f"make settings ENV={env}",
        )
