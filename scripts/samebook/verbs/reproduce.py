"""Run a finished run again, from its receipt alone, and give a verdict by hash on each of its subjects.

The run takes place in a worktree of its own, by `records/rerun.py`; the checkout stays as it is. The verdict is written
as an attestation beside the receipt, reproduction-<n>.json.
"""

import datetime
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from samebook.core import workspace as workspaces
from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import identity, machine
from samebook.models import lookup
from samebook.records import attestations, comparison, receipt, rerun, run_folder, signing
from samebook.records.comparison import Comparison, Side, Verdict
from samebook.records.rerun import Say, Site
from samebook.store import objects


@dataclass(frozen=True)
class ReproduceRequest:
    """One call of `samebook reproduce`.

    `run` is a run's id, the name of a notebook or a promoted model, or a receipt's file. `tolerance` is the largest
    difference of two numbers that still count as EQUIVALENT.
    """

    run: str
    engine: str = "local"
    tolerance: float = 0.0


@dataclass(frozen=True)
class Reproduction:
    """The verdict, the comparison of each subject, the environment's differences, and the attestation's file."""

    verdict: Verdict
    comparisons: list[Comparison]
    environment: list[str]
    attestation: Path


def reproduce(request: ReproduceRequest, say: Say) -> Reproduction:
    """Reproduce a run. Raises UsageError for a receipt, commit or input that isn't usable, EnvironmentMismatch
    where the commit's environment can't be made, NotReproduced where the notebook fails this time.
    """
    workspace = workspaces.find()
    signing.check_key()
    path = receipt_path(workspace, request.run)
    original = receipt.read(path)
    with rerun.new_run(Site(workspace, request.engine, say, path.parent), original) as rerun_folder:
        return _judge(workspace, request, path, original, rerun_folder)


def receipt_path(workspace: Workspace, name: str) -> Path:
    """The path of the receipt that `name` stands for: a run, a notebook, a file, or a promoted model (`churn`,
    `churn@prod`).

    Where a model's run is not in runs/, its receipt is copied from the store into runs/.received/, and attestations are
    written beside it.
    """
    if Path(name).is_file() or not lookup.is_reference(workspace, name):
        return run_folder.locate(workspace, name)
    bundle = lookup.read(workspace, name)
    path = workspace.runs / bundle.receipt.run / run_folder.RECEIPT
    if path.is_file():
        return path
    content = objects.local_store(workspace).get(bundle.receipt.sha256)
    if content is None:
        raise UsageError(
            f"the receipt of model {name} is not in the store",
            mend="make pull brings it from the remote store; make models runs the model's source again without it",
        )
    received = workspace.runs / ".received" / bundle.receipt.run / run_folder.RECEIPT
    workspaces.write_whole(received, content)
    return received


def _judge(
    workspace: Workspace, request: ReproduceRequest, path: Path, original: receipt.Json, rerun_folder: Path
) -> Reproduction:
    """The verdict on a new run, compared with the original. The attestation of it is written and signed."""
    new = receipt.read(rerun_folder / run_folder.RECEIPT)
    store = objects.local_store(workspace)
    before = Side(receipt.subject_digests(original), _content_reader(path.parent, original, store))
    after = Side(receipt.subject_digests(new), lambda name: (rerun_folder / name).read_bytes())
    comparisons = comparison.compare(before, after, request.tolerance)
    for name, digest in after.digests.items():
        if before.digests.get(name) == digest:
            store.put(rerun_folder / name)  # the store may have lacked this file
    verdict = comparison.overall(comparisons)
    statement = _attestation(request, path, original, new, comparisons)
    attestation = attestations.write(path.parent, statement)
    signing.sign(attestation)
    return Reproduction(verdict, comparisons, differing_packages(original, new), attestation)


def _content_reader(run: Path, original: receipt.Json, store: objects.Store) -> Callable[[str], bytes | None]:
    """A reader of the original's bytes by name: from the run's folder where the hash holds, else from the store."""
    digests = receipt.subject_digests(original)

    def content(name: str) -> bytes | None:
        path = run / name
        if path.is_file() and sha256(path) == digests[name]:
            return path.read_bytes()
        return rerun.read_object(store, digests[name], lambda _: None)

    return content


def differing_packages(original: receipt.Json, new: receipt.Json) -> list[str]:
    """The packages that differ between two runs, a line each."""
    environments = (receipt.dependency(statement, receipt.ENVIRONMENT) or {} for statement in (original, new))
    packages = [environment.get("annotations", {}).get("packages", {}) for environment in environments]
    return identity.differences(*packages)


def _attestation(
    request: ReproduceRequest, path: Path, original: receipt.Json, new: receipt.Json, comparisons: list[Comparison]
) -> receipt.Json:
    """An in-toto statement on the original's subjects: the reproducer, its machine, and the verdicts."""
    internal = new["predicate"]["buildDefinition"]["internalParameters"]
    return {
        "_type": receipt.STATEMENT,
        "subject": original["subject"],
        "predicateType": attestations.TYPE,
        "predicate": {
            "verdict": comparison.overall(comparisons),
            "tolerance": request.tolerance,
            "verdicts": {
                subject.name: {"verdict": subject.verdict, "detail": subject.detail} for subject in comparisons
            },
            "receipt": {"sha256": sha256(path)},
            "original": {"builder": original["predicate"]["runDetails"]["builder"]["id"]},
            "reproducer": {
                "builder": receipt.builder(),
                "user": f"uid {os.getuid()}",
                "engine": internal["engine"],
                "platform": internal["platform"],
                "os": machine.operating_system(),
                "kernel": platform.release(),
                "environment": (receipt.dependency(new, receipt.ENVIRONMENT) or {}).get("digest"),
            },
            "run": new["predicate"]["runDetails"]["metadata"],
            "finishedOn": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
    }


def table(reproduction: Reproduction) -> str:
    """The verdict as text: a line for each subject, the count, and the environment's differences."""
    comparisons = reproduction.comparisons
    lines = [comparison.table(comparisons), "", f"{reproduction.verdict}: {_count(comparisons)}"]
    if reproduction.environment:
        lines += ["environment differs:", *(f"  {line}" for line in reproduction.environment)]
    return "\n".join(lines)


def _count(comparisons: list[Comparison]) -> str:
    same = sum(subject.verdict is Verdict.IDENTICAL for subject in comparisons)
    return f"{same} of {len(comparisons)} subjects have the same sha256"
