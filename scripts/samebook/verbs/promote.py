"""Promote a run: check it against the policy, and commit its bundle, models/<name>.json, on this branch."""

import datetime
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from samebook.core import workspace
from samebook.core.errors import UsageError
from samebook.core.table import align
from samebook.core.workspace import Workspace
from samebook.environment import sections, settings
from samebook.models import build, bundle, commits, gate_run, lookup, policy
from samebook.models.bundle import Bundle
from samebook.models.policy import Candidate
from samebook.records import attestations, receipt, run_folder, signing
from samebook.store import objects


@dataclass(frozen=True)
class PromoteRequest:
    """One call of `samebook promote`: which run, as which model, under the policy of which environment, and why."""

    run: str
    model: str
    env: str = "dev"
    why: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Promotion:
    """What was promoted, what it took the place of, and the commit that says so; empty in a dry run."""

    bundle: Bundle
    champion: Bundle | None
    commit: str


def promote(request: PromoteRequest, say: Callable[[str], None]) -> Promotion:
    """Promote a run. Raises PolicyRefused with every unmet condition; work tree, git and store are then as before."""
    here = workspace.find()
    path = lookup.path(here, request.model)
    if (here.notebooks / f"{request.model}.ipynb").is_file():
        raise UsageError(f"{request.model} is a notebook; expected another name for the model, like churn")
    asked = _policy(here, request.env)
    receipt_path = run_folder.locate(here, request.run)
    with commits.holding(here, path) as held:
        candidate = _candidate(here, request, asked, receipt_path)
        if not request.dry_run:
            candidate = _gated(candidate, request, say)
        policy.enforce(candidate, request.env)
        made = _bundle(candidate, request)
        commit = "" if request.dry_run else _commit(candidate, made, held)
    return Promotion(made, candidate.champion, commit)


def _policy(here: Workspace, env: str) -> sections.Promotion:
    """What the environment asks, as git has it. Raises UsageError where a variable, or an edit, says otherwise."""
    loose = [name for name in os.environ if name.startswith(settings.variable(("promotion",)))]
    if loose:
        raise UsageError(f"{loose[0]} would change the policy; expected what git says of it", mend=f"unset {loose[0]}")
    commits.check_committed(here.root, settings.settings_path(here, env))
    return settings.load(here, env).promotion


def _candidate(here: Workspace, request: PromoteRequest, asked: sections.Promotion, path: Path) -> Candidate:
    statement = receipt.read(path)
    champion = lookup.read(here, request.model) if lookup.path(here, request.model).is_file() else None
    gate = gate_run.compared(here, asked.gate, statement, champion) if asked.gate else None
    return Candidate(here, request.model, path, statement, asked, policy.attestations(path), champion, gate)


def _gated(candidate: Candidate, request: PromoteRequest, say: Callable[[str], None]) -> Candidate:
    """The candidate, compared with the champion now, if nobody has done it and nothing else stands against it."""
    gate = candidate.policy.gate
    others = replace(candidate, policy=candidate.policy.model_copy(update={"gate": None}))
    if gate is None or candidate.gate or policy.unmet(others):
        return candidate
    say(f"comparing with {'the champion' if candidate.champion else 'the baseline'}: running {gate.notebook}")
    gate_run.compare(candidate.here, gate, candidate.path.parent, candidate.champion, request.env)
    return replace(candidate, gate=gate_run.compared(candidate.here, gate, candidate.statement, candidate.champion))


def _bundle(candidate: Candidate, request: PromoteRequest) -> Bundle:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    by = commits.author(candidate.here.root)
    asked = candidate.policy.model_dump(mode="json")
    promoted = bundle.Promoted(by=by, at=now, env=request.env, why=request.why, policy=asked, gate=candidate.gate)
    reproductions = [
        bundle.Reproduction(**build.signed(path), **attestations.facts(told)) for path, told in candidate.attestations
    ]
    made = build.of_run(request.model, candidate.path.parent, candidate.statement, reproductions, promoted)
    return bundle.parse(made.content(), f"the bundle of {candidate.run}")


def _commit(candidate: Candidate, made: Bundle, held: commits.Held) -> str:
    """Everything into the store, then the one commit."""
    kept, run = objects.local_store(candidate.here), candidate.path.parent
    for name in (*made.artifacts, *made.byproducts):
        kept.put(run / name)
    statements = (candidate.path, *(each for each, _ in candidate.attestations))
    envelopes = (each for each in map(signing.envelope_of, statements) if each.is_file())
    for file in (*statements, *envelopes):
        kept.put(file)
    if candidate.gate:
        kept.put(candidate.here.runs / candidate.gate.run / run_folder.RECEIPT)
    path = lookup.path(candidate.here, made.name)
    return commits.commit_file(candidate.here, held, path, made.content(), message(made, candidate.champion))


def message(made: Bundle, champion: Bundle | None) -> str:
    """The commit's message: what the metrics were, and are."""
    before = champion.metrics if champion else {}
    lines = align(
        [
            (name, f"{value:.6g}", f"was {before[name]:.6g}" if name in before else "")
            for name, value in made.metrics.items()
        ]
    )
    data = ", ".join(f"{name} up to {found.newest}" for name, found in made.data.items())
    facts = [f"Run: {made.receipt.run}", f"Commit: {made.source.commit}", *([f"Data: {data}"] if data else [])]
    why = [made.promoted.why, ""] if made.promoted.why else []
    return "\n".join((f"Promote {made.name} from {made.receipt.run}", "", *why, *lines, "", *facts, ""))
