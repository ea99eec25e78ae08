"""Run a finished run again, from its receipt alone, and give a verdict by hash on each of its subjects.

The run takes place in a worktree of its own, by `reproduction/rerun.py`; the checkout stays as it is. The verdict
is written as an attestation beside the receipt, reproduction-<n>.json.
"""

import datetime
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

from samebook.core import workspace as workspaces
from samebook.core.digest import json_bytes
from samebook.core.errors import NotReproduced, SamebookError, UsageError
from samebook.core.text import Say, word
from samebook.core.workspace import Workspace
from samebook.environment import identity, machine
from samebook.models import lookup
from samebook.records import attestations, comparison, receipt, run_folder, signing
from samebook.records.comparison import Comparison, Side, Verdict
from samebook.reproduction import datasets, definition, isolation, reason, rerun
from samebook.reproduction import original as originals
from samebook.reproduction.definition import Divergence
from samebook.reproduction.original import Original
from samebook.reproduction.rerun import Site
from samebook.store import objects

# The divergences that a table shows in a way of its own.
PACKAGES = (f"{receipt.ENVIRONMENT}.annotations.packages.",)
UNDECLARED = "undeclared "
UNSEEN = "but it read what nobody sees, maybe an earlier result; with ENGINE=docker there is none to read"


@dataclass(frozen=True)
class ReproduceRequest:
    """One call of `samebook reproduce`.

    `run` is a run's id, the name of a notebook or a promoted model, or a receipt's file. `tolerance` is the largest
    difference of two numbers that still count as EQUIVALENT. A strict one refuses a run that reads undeclared files.
    One that trusts the patch applies the uncommitted changes that came with the receipt.
    """

    run: str
    engine: str = "local"
    tolerance: float = 0.0
    is_strict: bool = False
    trusts_patch: bool = False


@dataclass(frozen=True)
class Reproduction:
    """The verdict, the comparison of each subject, the differences of the definitions and of the packages, the files
    that the new run read without declaring them, the attestation's file, what a person must know first, the variables
    of the original's shell that the new run lacked, and its unseen reads, which may be of an earlier result.
    """

    verdict: Verdict
    comparisons: list[Comparison]
    divergences: list[Divergence]
    environment: list[str]
    undeclared: dict[str, str]
    attestation: Path
    reason: list[str]
    lacking: list[str]
    unseen: list[str] = field(default_factory=list)


def reproduce(request: ReproduceRequest, say: Say) -> Reproduction:
    """Reproduce a run. Raises UsageError for a receipt, commit or input that isn't usable, PolicyRefused for a broken
    signature, EnvironmentMismatch where the commit's environment can't be made, NotReproduced where a file of the run
    was altered, and where the notebook fails this time.
    """
    workspace = workspaces.find()
    signing.check_key()
    original = originals.read(workspace, lookup.receipt_path(workspace, request.run))
    _check_place(original.path)
    site = Site(workspace, request.engine, say, original.path.parent, request.trusts_patch)
    with rerun.new_run(site, original.statement) as folder:
        return _judge(workspace, request, original, folder)


def _check_place(receipt_file: Path) -> None:
    """Raise UsageError where no attestation can be written beside a receipt, before anything runs."""
    if not os.access(receipt_file.parent, os.W_OK | os.X_OK):
        raise UsageError(
            f"{receipt_file.parent} can't be written, and the verdict would stay there; expected another folder",
            mend=f"cp {word(receipt_file)} /tmp && make reproduce RUN=/tmp/{word(receipt_file.name)}",
        )


def _judge(workspace: Workspace, request: ReproduceRequest, original: Original, rerun_folder: Path) -> Reproduction:
    """The verdict on a new run, compared with the original. The attestation of it is written and signed."""
    new = receipt.read(rerun_folder / run_folder.RECEIPT)
    undeclared = check_declared(new, is_strict=request.is_strict)
    store, statement = objects.local_store(workspace), original.statement
    before = originals.side(workspace, original)
    after = Side(receipt.subject_digests(new), lambda name: (rerun_folder / name).read_bytes())
    comparisons = comparison.compare(before, after, request.tolerance)
    checkout_store = objects.local_store(Workspace(rerun_folder.parents[1]))
    divergences = definition.divergences(*datasets.alike(store, statement, checkout_store, new))
    is_another = any(divergence.is_essential for divergence in divergences)
    verdict = comparison.overall([*comparisons, *([Comparison("", Verdict.DIFFERENT)] if is_another else [])])
    if verdict in (Verdict.IDENTICAL, Verdict.EQUIVALENT):
        originals.check_unread(workspace, original, rerun_folder.parents[1], receipt.undeclared(new))
    predicate = _predicate(request, original, new, comparisons)
    predicate |= {"verdict": verdict, "definition": _table_of(divergences), "undeclared": undeclared}
    attested = _attestation(statement, predicate)
    attestation = _attest(original.path.parent, json_bytes(attested), verdict)
    for name in (name for name, digest in after.digests.items() if before.digests.get(name) == digest):
        store.put(rerun_folder / name)  # the store may have lacked this file
    datasets.keep_common(store, statement, checkout_store, new)
    packages, lacking = differing_packages(statement, new), isolation.lacking(statement)
    is_portable, is_held = (
        all(map(has, (statement, new))) for has in (definition.has_portable_numerics, definition.has_held_numerics)
    )
    first = reason.lines(divergences, comparisons, after, is_portable=is_portable, is_held=is_held)
    unseen = attestations.unseen_reads(attested)
    return Reproduction(verdict, comparisons, divergences, packages, undeclared, attestation, first, lacking, unseen)


def _attest(folder: Path, content: bytes, verdict: Verdict) -> Path:
    """Write and sign an attestation. Raises SamebookError with the verdict, after hours maybe, on a full disk."""
    try:
        attestation = attestations.write(folder, content)
        signing.sign(attestation, content)
    except OSError as error:
        raise SamebookError(
            f"the verdict is {verdict}, and no attestation could be kept in {folder}: {error.strerror}",
            mend=f"df {word(folder)}",
        ) from error
    return attestation


def check_declared(statement: receipt.Json, *, is_strict: bool) -> dict[str, str]:
    """The files that a run has read without declaring them, by sha256, and its unseen reads, as `unseen`.

    Raises NotReproduced for them in a strict reproduction.
    """
    undeclared = receipt.undeclared(statement) | receipt.byproduct(statement, receipt.UNSEEN)
    if is_strict and undeclared:
        raise NotReproduced(
            f"the new run reads what it does not declare: {', '.join(map(printable, undeclared))}",
            mend="again, without STRICT=1: the verdict lists them",
        )
    return undeclared


def _table_of(divergences: list[Divergence]) -> receipt.Json:
    """The divergences by their names, for the attestation."""
    return {
        item.name: {"original": item.original, "reproduced": item.reproduced, "essential": item.is_essential}
        for item in divergences
    }


def differing_packages(original: receipt.Json, new: receipt.Json) -> list[str]:
    """The packages that differ between two runs, a line each."""
    environments = (receipt.dependency(statement, receipt.ENVIRONMENT) or {} for statement in (original, new))
    packages = [environment.get("annotations", {}).get("packages", {}) for environment in environments]
    return identity.differences(*packages)


def _attestation(original: receipt.Json, predicate: receipt.Json) -> receipt.Json:
    """An in-toto statement on the original's subjects, by the sha256 that was compared and nothing else they claim."""
    kind = {"_type": receipt.STATEMENT, "predicateType": attestations.TYPE}
    digests = receipt.subject_digests(original)
    subject = [{"name": name, "digest": {"sha256": digest}} for name, digest in digests.items()]
    return {**kind, "subject": subject, "predicate": predicate}


def _predicate(
    request: ReproduceRequest, original: Original, new: receipt.Json, comparisons: list[Comparison]
) -> receipt.Json:
    """The facts of a reproduction: the receipt, the verdict on each subject, the reproducer and its machine."""
    before, after = _place(original.statement), _place(new)
    return {
        "tolerance": request.tolerance,
        "verdicts": {subject.name: {"verdict": subject.verdict, "detail": subject.detail} for subject in comparisons},
        "receipt": {"sha256": original.digest},
        "original": {**before, "signers": original.signers},
        "reproducer": {
            **after,
            "builder": receipt.builder(),
            "user": f"uid {os.getuid()}",
            "os": machine.operating_system(),
            "kernel": platform.release(),
        },
        "run": new["predicate"]["runDetails"]["metadata"],
        "finishedOn": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _place(statement: receipt.Json) -> receipt.Json:
    """The place of a run, as its receipt says."""
    predicate = statement["predicate"]
    internal = predicate["buildDefinition"].get("internalParameters", {})
    return {
        "builder": predicate["runDetails"]["builder"]["id"],
        "engine": internal.get("engine", ""),
        "platform": internal.get("platform", ""),
        "environment": (receipt.dependency(statement, receipt.ENVIRONMENT) or {}).get("digest"),
    }


def table(reproduction: Reproduction) -> str:
    """The verdict as text: a line for each subject, the count, and other differences and undeclared reads."""
    comparisons = reproduction.comparisons
    lines = [comparison.table(comparisons), "", f"{reproduction.verdict}: {comparison.count(comparisons)}"]
    if reproduction.unseen and reproduction.verdict in (Verdict.IDENTICAL, Verdict.EQUIVALENT):
        lines.append(f"{UNSEEN}: {', '.join(map(printable, reproduction.unseen))}")
    if reproduction.verdict is not Verdict.IDENTICAL:
        lines = [*map(printable, reproduction.reason), *lines]
    if reproduction.lacking:
        lines = ["without variables of the run's shell:", *(f"  {line}" for line in reproduction.lacking), "", *lines]
    parts = {
        "the receipt is wrong about the run:": _lines(reproduction.divergences, is_essential=True),
        "the new run had another place:": _lines(reproduction.divergences, is_essential=False),
        "environment differs:": [*_platform_lines(reproduction), *reproduction.environment],
        "read without being declared:": list(map(printable, reproduction.undeclared)),
    }
    for title, content in parts.items():
        lines += [title, *(f"  {line}" for line in content)] if content else []
    return "\n".join(lines)


def _platform_lines(reproduction: Reproduction) -> list[str]:
    """The line that says how little the packages prove, where the receipt names another platform."""
    is_another = any(item.name == definition.PLATFORM for item in reproduction.divergences)
    line = "by the receipt it is another platform's, so only the versions of packages were compared, not their content"
    return [line] if is_another and reproduction.environment else []


def _lines(divergences: list[Divergence], *, is_essential: bool) -> list[str]:
    """The divergences of one kind, a line each; packages have lines of their own."""
    return [
        f"{printable(item.name)}: the receipt says {printable(item.original)}, found {printable(item.reproduced)}"
        for item in divergences
        if item.is_essential == is_essential and not item.name.startswith((*PACKAGES, UNDECLARED))
    ]


def printable(text: str) -> str:
    """A text of a receipt for the terminal, on which it can be no command."""
    return text if text.isprintable() else repr(text)
