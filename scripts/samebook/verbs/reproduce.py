"""Run a finished run again, from its receipt alone, and give a verdict by hash on each of its subjects.

`elsewhere.py` does it aside; the checkout that this is called in stays as it is. The verdict is an attestation
beside the receipt, reproduction-<n>.json.
"""

import datetime
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from samebook.core import workspace
from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import identity, machine
from samebook.models import lookup
from samebook.records import attestations, comparison, receipt, rerun, run_folder, signing
from samebook.records.comparison import Comparison, Side, Verdict
from samebook.records.rerun import Elsewhere, Say
from samebook.store import objects


@dataclass(frozen=True)
class ReproduceRequest:
    """One call of `samebook reproduce`: a run's id, a notebook's or model's name, or a receipt's file; which engine."""

    run: str
    engine: str = "local"
    tolerance: float = 0.0


@dataclass(frozen=True)
class Reproduction:
    """The verdict, subject by subject, and where the attestation of it was written."""

    verdict: Verdict
    comparisons: list[Comparison]
    environment: list[str]
    attestation: Path


def reproduce(request: ReproduceRequest, say: Say) -> Reproduction:
    """Reproduce a run. Raises UsageError for a receipt, commit or input that isn't usable, EnvironmentMismatch
    where the commit's environment can't be made, NotReproduced where the notebook fails this time.
    """
    here = workspace.find()
    signing.check_key()
    path = located(here, request.run)
    original = receipt.read(path)
    with rerun.again(Elsewhere(here, request.engine, say, path.parent), original) as again:
        return _judged(here, request, path, original, again)


def located(here: Workspace, name: str) -> Path:
    """The receipt that `name` means: of a run, in a file, or behind a promoted model (`churn`, `churn@prod`).

    A model's receipt comes out of the store; its attestations are then left in runs/.received/.
    """
    if Path(name).is_file() or not lookup.is_reference(here, name):
        return run_folder.locate(here, name)
    found = lookup.read(here, name)
    beside = here.runs / found.receipt.run / run_folder.RECEIPT
    if beside.is_file():
        return beside
    content = objects.local_store(here).get(found.receipt.sha256)
    if content is None:
        raise UsageError(
            f"the receipt of model {name} is not in the store",
            mend="make pull brings it from the remote store; make models runs the model's source again without it",
        )
    received = here.runs / ".received" / found.receipt.run / run_folder.RECEIPT
    workspace.write_whole(received, content)
    return received


def _judged(
    here: Workspace, request: ReproduceRequest, path: Path, original: receipt.Json, again: Path
) -> Reproduction:
    new = receipt.read(again / run_folder.RECEIPT)
    before = Side(receipt.subject_digests(original), _content_of(path.parent, original, objects.local_store(here)))
    after = Side(receipt.subject_digests(new), lambda name: (again / name).read_bytes())
    comparisons = comparison.compare(before, after, request.tolerance)
    for name, digest in after.digests.items():
        if before.digests.get(name) == digest:
            objects.local_store(here).put(again / name)  # made again: the store has it from now on
    verdict = comparison.overall(comparisons)
    statement = _attestation(request, path, original, new, comparisons)
    attestation = attestations.write(path.parent, statement)
    signing.sign(attestation)
    return Reproduction(verdict, comparisons, differing_packages(original, new), attestation)


def _content_of(run: Path, original: receipt.Json, kept: objects.Store) -> Callable[[str], bytes | None]:
    """A way to the original's bytes: beside its receipt where they are still the same, else from the store."""
    digests = receipt.subject_digests(original)

    def content(name: str) -> bytes | None:
        beside = run / name
        if beside.is_file() and sha256(beside) == digests[name]:
            return beside.read_bytes()
        return rerun.undamaged(kept, digests[name], lambda _: None)

    return content


def differing_packages(original: receipt.Json, new: receipt.Json) -> list[str]:
    """The packages that two runs did not have alike, a line each."""
    then, now = (receipt.dependency(each, receipt.ENVIRONMENT) or {} for each in (original, new))
    packages = [each.get("annotations", {}).get("packages", {}) for each in (then, now)]
    return identity.differences(*packages)


def _attestation(
    request: ReproduceRequest, path: Path, original: receipt.Json, new: receipt.Json, found: Iterable[Comparison]
) -> receipt.Json:
    """An in-toto statement on the original's subjects: who ran it again, where, and what came out."""
    comparisons = list(found)
    internal = new["predicate"]["buildDefinition"]["internalParameters"]
    return {
        "_type": receipt.STATEMENT,
        "subject": original["subject"],
        "predicateType": attestations.TYPE,
        "predicate": {
            "verdict": comparison.overall(comparisons),
            "tolerance": request.tolerance,
            "verdicts": {each.name: {"verdict": each.verdict, "detail": each.detail} for each in comparisons},
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


def table(found: Reproduction) -> str:
    """The verdict as text."""
    told = [comparison.table(found.comparisons), "", f"{found.verdict}: {_count(found.comparisons)}"]
    if found.environment:
        told += ["environment differs:", *(f"  {line}" for line in found.environment)]
    return "\n".join(told)


def _count(comparisons: list[Comparison]) -> str:
    same = sum(each.verdict is Verdict.IDENTICAL for each in comparisons)
    return f"{same} of {len(comparisons)} subjects have the same sha256"
