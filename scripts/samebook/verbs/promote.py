"""Promote a run: check it against the policy, and commit its bundle, models/<name>.json, on this branch."""

import datetime
import os
from dataclasses import dataclass, replace
from pathlib import Path

from samebook.core import head, subcommand
from samebook.core import workspace as workspaces
from samebook.core.errors import UsageError
from samebook.core.text import Say, align
from samebook.core.workspace import Workspace
from samebook.environment import identity, model_sections, settings
from samebook.models import build, commits, gate_run, lookup, model_signature, policy
from samebook.models import bundle as bundles
from samebook.models.bundle import Bundle
from samebook.models.policy import Candidate
from samebook.records import attestations, data_manifest, receipt, run_folder, signing
from samebook.store import objects
from samebook.wheelhouse import base_image, environments
from samebook.wheelhouse.environments import Platform


@dataclass(frozen=True)
class PromoteRequest:
    """One call of `samebook promote`: a run, the name of the model, the environment with the policy, and a reason."""

    run: str
    model: str
    env: str = "dev"
    why: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Promotion:
    """The promoted bundle, the champion that it replaces, and the commit, which is empty in a dry run."""

    bundle: Bundle
    champion: Bundle | None
    commit: str


def promote(request: PromoteRequest, say: Say) -> Promotion:
    """Promote a run. Raises PolicyRefused with every unmet condition; work tree, git and store are then as before."""
    workspace = workspaces.find()
    path = lookup.path(workspace, request.model)
    if (workspace.notebooks / f"{request.model}.ipynb").is_file():
        raise UsageError(
            f"{request.model} is a notebook, which RUN={request.model} means; expected another name for the model",
            mend=f"make promote RUN={request.run} MODEL={request.model}-model",
        )
    conditions = _policy(workspace, request.env)
    receipt_path = run_folder.locate(workspace, request.run)
    with commits.hold_branch(workspace, path) as lock:
        candidate = _candidate(workspace, request, conditions, receipt_path)
        if not request.dry_run:
            if subcommand.has_kernels():  # else the packages of runs are the image's
                identity.check_unedited(workspace)
            candidate = _gated(candidate, request, say)
        policy.enforce(candidate, request.env)
        bundle, store = _bundle(candidate, request), objects.local_store(workspace)
        keys = signing.trusted_keys(workspace) if conditions.signed else None
        bundle = bundle if request.dry_run else model_signature.promoted(bundle, store, keys)
        if conditions.keep and not request.dry_run:
            _keep(candidate, say)
        commit = "" if request.dry_run else _commit(candidate, bundle, lock)
    return Promotion(bundle, candidate.champion, commit)


def _policy(workspace: Workspace, env: str) -> model_sections.Promotion:
    """The policy of the environment at HEAD. Raises UsageError where a variable, or an edit, would change it."""
    conditions, path = settings.committed_promotion(workspace, env), settings.settings_path(workspace, env)
    committed = head.content(workspace.root, workspace.relative(path)) or b""
    if path.read_bytes().replace(b"\r\n", b"\n") != committed.replace(b"\r\n", b"\n"):
        raise UsageError(f"{path.name} has changes that are not committed", mend=f"git diff HEAD -- {path}")
    return conditions


def _candidate(
    workspace: Workspace, request: PromoteRequest, conditions: model_sections.Promotion, path: Path
) -> Candidate:
    statement = data_manifest.expanded(objects.local_store(workspace), receipt.read(path))
    rival, champion = lookup.champion(workspace, request.model, receipt.subject_digests(statement))
    gate = gate_run.find_comparison(workspace, conditions, statement, champion)
    files = attestations.beside(path)
    return Candidate(workspace, request.model, path, statement, conditions, files, champion, gate, rival, request.env)


def _gated(candidate: Candidate, request: PromoteRequest, say: Say) -> Candidate:
    """The candidate with its gate's comparison, which runs now if nothing else is missing but reproductions: one
    command makes those of both runs.
    """
    gate = candidate.policy.gate
    without = {"gate": None, "reproduced": False}
    others = replace(candidate, policy=candidate.policy.model_copy(update=without))
    if gate is None or candidate.gate or policy.unmet_conditions(others):
        return candidate
    rival = candidate.rival
    if candidate.is_champion_removed:
        say(f"{candidate.model} was removed, and not by a rollback: the last one is the champion still, {rival}")
        say(f"make rollback MODEL={candidate.model} WITHDRAW=1 withdraws it")
    say(f"comparing with {'the champion' if rival else 'the baseline'}: running {gate.notebook}")
    gate_run.run_comparison(candidate.workspace, gate, candidate.receipt_path.parent, rival, request.env)
    comparison = gate_run.find_comparison(
        candidate.workspace, candidate.policy, candidate.statement, candidate.champion
    )
    return replace(candidate, gate=comparison)


def _bundle(candidate: Candidate, request: PromoteRequest) -> Bundle:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    by = commits.author(candidate.workspace.root)
    conditions = candidate.policy.model_dump(mode="json")
    promoted = bundles.Promotion(
        by=by, at=now, env=request.env, why=request.why, policy=conditions, gate=candidate.gate
    )
    bundle = build.from_run(request.model, candidate.receipt_path.parent, candidate.statement, promoted)
    return bundles.parse(bundle.content(), f"the bundle of {candidate.run}")


def _keep(candidate: Candidate, say: Say) -> None:
    """Keep the environment of the run's commit. Raises SamebookError where an index lacks it."""
    engine = "local" if subcommand.has_kernels() else "docker"
    base = (receipt.dependency(candidate.statement, "base image") or {}).get("uri") or ""
    if not base_image.digest(base):  # its run was in no image, or on a base that was made here
        base = os.environ.get("BASE_IMAGE", "")
    platform = Platform(engine, base if engine == "docker" else "")
    kept = environments.keep(candidate.workspace, receipt.commit_name(candidate.statement), platform, say)
    if kept.reason:
        say(kept.reason)


def _commit(candidate: Candidate, bundle: Bundle, lock: commits.Tip) -> str:
    """Put all files into the store, then make the commit; its hash."""
    store, run = objects.local_store(candidate.workspace), candidate.receipt_path.parent
    for name in (*bundle.artifacts, *bundle.byproducts):
        store.put(run / name)
    gate = [candidate.workspace.runs / candidate.gate.run / run_folder.RECEIPT] if candidate.gate else []
    receipts = (candidate.receipt_path, *gate)
    statements = (*receipts, *(file for path in receipts for file, _ in attestations.beside(path)))
    envelopes = (envelope for envelope in map(signing.envelope_path, statements) if envelope.is_file())
    for file in (*statements, *envelopes):
        store.put(file)
    path = lookup.path(candidate.workspace, bundle.name)
    return commits.commit_file(candidate.workspace, lock, path, bundle.content(), message(bundle, candidate.champion))


def message(bundle: Bundle, champion: Bundle | None) -> str:
    """The commit's message: the metrics, now and before, the run, its commit and its data."""
    before = champion.metrics if champion else {}
    lines = align(
        [
            (name, f"{value:<11.6g}", f"was {before[name]:.6g}" if name in before else "")
            for name, value in bundle.metrics.items()
        ]
    )
    data = ", ".join(f"{name} up to {days.newest}" for name, days in bundle.data.items())
    facts = [f"Run: {bundle.receipt.run}", f"Commit: {bundle.source.commit}", *([f"Data: {data}"] if data else [])]
    why = [bundle.promoted.why, ""] if bundle.promoted.why else []
    return "\n".join((f"Promote {bundle.name} from {bundle.receipt.run}", "", *why, *lines, "", *facts, ""))
