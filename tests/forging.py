"""A repository with trusted keys of several owners, and the acts of a forger in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import promoting
import pytest
from tiny import Tiny, git

from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.model_sections import Promotion
from samebook.models import admission, bundle, gate_run, lookup, policy
from samebook.records import attestations, receipt, signing
from samebook.store import objects
from samebook.verbs import promote as promoting_verb
from samebook.verbs.promote import PromoteRequest

PROD = "promotion: {reproduced: true, signed: true, gate: {notebook: gate, metric: auc, margin: 0.05}}\n"
OWNERS = """
ada: {keys: [ada, laptop], signs: [runs, reproductions]}
ben: {keys: [ben], signs: [reproductions]}
cleo: {keys: [cleo], signs: [runs, reproductions]}
dan: {keys: [dan], signs: []}
"""
TRUSTED = Path("environments") / "trusted-keys"


def commit(tiny: Tiny) -> None:
    git(tiny, "add", "--all", "--force", "environments")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "more")


def run_of(tiny: Tiny, notebook: str = "train") -> Path:
    return next(tiny.root.glob(f"runs/*-{notebook}-*")) / "receipt.json"


def sign(tiny: Tiny, path: Path, name: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGNING_KEY", str(tiny.root.parent / f"{name}.pem"))
        signing.sign(path, path.read_bytes())
    return path


def attest(tiny: Tiny, signer: str = "", **options: Any) -> Path:
    """An attestation of the run, IDENTICAL and by another builder where nothing else is said, signed by `signer`."""
    path = promoting.attest(tiny, 3, **options)
    return sign(tiny, path, signer) if signer else path


def attest_gate(tiny: Tiny, signer: str = "", **options: Any) -> Path:
    """An attestation of the gate's run, as `attest` makes one of the candidate's."""
    return attest(tiny, signer, run=run_of(tiny, "gate").parent.name, **options)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    statement = json.loads(path.read_text())
    change(statement)
    path.write_text(json.dumps(statement))


def findings(tiny: Tiny, conditions: Promotion | None = None) -> str:
    """The conditions that the run does not meet for prod; "" where it may be promoted."""
    workspace, path = Workspace(tiny.root), run_of(tiny)
    conditions = conditions or settings.committed_promotion(workspace, "prod")
    statement = receipt.read(path)
    gate = gate_run.find_comparison(workspace, conditions, statement, None)
    files = attestations.beside(path)
    candidate = policy.Candidate(workspace, "delay", path, statement, conditions, files, None, gate)
    return "\n".join(unmet.finding for unmet in policy.unmet_conditions(candidate))


def promote(tiny: Tiny) -> Path:
    """The bundle's path, after an honest promotion."""
    attest(tiny, "ben")
    attest_gate(tiny, "ben")
    request = PromoteRequest(run_of(tiny).parent.name, "delay", "prod")
    promoting_verb.promote(request, lambda _: None)
    return tiny.root / "models" / "delay.json"


def admit(tiny: Tiny, env: str = "prod", ref: str = "") -> None:
    """Check the promoted model as a run and the API do."""
    workspace = Workspace(tiny.root)
    conditions, model = settings.committed_promotion(workspace, env), lookup.read(workspace, "delay")
    admission.check(workspace, conditions, model, env, ref)


def reseal(tiny: Tiny, **changes: Any) -> None:
    """Commit the bundle with other fields, sealed again, as anybody can."""
    path = tiny.root / "models" / "delay.json"
    content = bundle.parse(path.read_bytes(), "delay").model_dump(mode="json", exclude_unset=True)
    path.write_bytes(bundle.Bundle.model_validate(content | changes).sealed().content())
    commit(tiny)


def fields(tiny: Tiny) -> dict[str, Any]:
    return json.loads((tiny.root / "models" / "delay.json").read_text())


def stored(tiny: Tiny, content: bytes) -> str:
    return objects.local_store(Workspace(tiny.root)).put(content)


def named(tiny: Tiny, *paths: Path) -> list[dict[str, Any]]:
    """The reproductions of these attestations, as a bundle names them, in the store."""
    envelopes = [signing.envelope_path(path) for path in paths]
    return [
        {"sha256": stored(tiny, path.read_bytes())}
        | ({"envelope": stored(tiny, envelope.read_bytes())} if envelope.is_file() else {})
        | attestations.facts(json.loads(path.read_text()))
        for path, envelope in zip(paths, envelopes, strict=True)
    ]
