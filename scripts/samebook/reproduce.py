"""Run a finished run again, from its receipt alone, and give a verdict by hash on each of its subjects.

The commit is checked out aside, its environment is made there, the inputs come from the store by their hash (or
are made again, and checked), the parameters are the receipt's. The checkout that this is called in stays as it is.
"""

import datetime
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samebook import comparison, environment, git, receipt, runfolder, signals, signing, store, workspace
from samebook.comparison import Comparison, Side, Verdict
from samebook.digest import json_bytes, sha256
from samebook.errors import EnvironmentMismatch, NotReproduced, UsageError, nearest
from samebook.workspace import Workspace

REPRODUCTION = "urn:samebook:reproduction:v1"
PINNED = Path(".samebook") / "receipt.json"

type Say = Callable[[str], None]


@dataclass(frozen=True)
class ReproduceRequest:
    """One call of `samebook reproduce`: what (a run's id, a notebook's name, a receipt's file), and on which engine."""

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
    path = locate(here, request.run)
    original = receipt.read(path)
    commit = receipt.dependency(original, receipt.COMMIT)
    if commit is None:
        raise UsageError(f"{path} names no commit: the run was made outside a git repository")
    with (
        signals.raising(),
        git.worktree(here.root, commit["digest"]["gitCommit"], _patch(here, path, commit)) as checkout,
    ):
        say(f"commit {commit['digest']['gitCommit'][:12]} checked out; making its environment ({request.engine})")
        env = _clean_env(original)
        _make_environment(checkout, request.engine, env)
        _hand_over(here, checkout, path, original, say)
        say(f"running {receipt.external(original)['notebook']} again")
        again = _run_again(checkout, request.engine, original, env)
        return _judged(here, request, path, original, again)


def locate(here: Workspace, name: str) -> Path:
    """The receipt that `name` means: a file, a run's id, or a notebook's name for its newest finished run."""
    if Path(name).is_file():
        return Path(name)
    exact = here.runs / name
    if exact.is_dir() and not (exact / runfolder.RECEIPT).is_file():
        raise UsageError(f"run {name} failed: it has no receipt, so there is no result to reproduce")
    found = (exact, *sorted(here.runs.glob(f"*Z-{name}-??????"), reverse=True))
    for folder in found:
        if (folder / runfolder.RECEIPT).is_file():
            return folder / runfolder.RECEIPT
    known = (path.parent.name for path in here.runs.glob(f"*/{runfolder.RECEIPT}"))
    raise UsageError(f"no run, notebook or receipt {name!r}{nearest(name, known)}", mend="samebook runs")


def _patch(here: Workspace, path: Path, commit: dict[str, Any]) -> bytes:
    """The uncommitted changes of a dirty run: beside its receipt, or in the store."""
    digest = commit.get("annotations", {}).get("patch")
    if digest is None:
        return b""
    beside = path.parent / runfolder.PATCH
    content = beside.read_bytes() if beside.is_file() else store.of(here).get(digest)
    if content is None or sha256(content) != digest:
        raise UsageError("the run was made on uncommitted changes, and their patch is not here", mend=f"bring {beside}")
    return content


def _make_environment(checkout: Path, engine: str, env: Mapping[str, str]) -> None:
    code = signals.call(("make", "--silent", "environment", f"ENGINE={engine}"), checkout, env)
    if code:
        raise EnvironmentMismatch(
            "the environment of that commit can't be made here; make's own words are above",
            mend="try the other engine: ENGINE=local or ENGINE=docker",
        )


def _clean_env(original: receipt.Json) -> dict[str, str]:
    """The caller's variables, less those of the make and the workspace around this call; the receipt's own base."""
    ours = ("SAMEBOOK_", "MAKE", "MFLAGS", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    commit = receipt.dependency(original, receipt.COMMIT) or {}
    # An image of its own name, so that the one of the checkout around stays what it is.
    kept["SAMEBOOK_TAG"] = f"-{commit['digest']['gitCommit'][:12]}"
    base = receipt.dependency(original, "base image")
    return {**kept, "BASE_IMAGE": base["uri"]} if base else kept


def _hand_over(here: Workspace, checkout: Path, path: Path, original: receipt.Json, say: Say) -> None:
    """Give the checkout the receipt, and the inputs from the store; what is gone is made again there."""
    (checkout / PINNED.parent).mkdir(exist_ok=True)
    shutil.copyfile(path, checkout / PINNED)
    ours, theirs = store.of(here), store.of(Workspace(checkout))
    gone = []
    for name, digest in receipt.inputs(original).items():
        content = _undamaged(ours, digest, say)
        if content is None:
            gone.append(name)
        else:
            theirs.put(content)
    if gone:
        say(f"{len(gone)} inputs are not in the store and are made again, {gone[0]} first")
        _hand_over_warehouse(here, checkout)


def _undamaged(kept: store.Store, digest: str, say: Say) -> bytes | None:
    try:
        return kept.get(digest)
    except store.Damaged as error:
        say(f"{error}; it is made again")
        return None


def _hand_over_warehouse(here: Workspace, checkout: Path) -> None:
    for source in here.data.glob("*.duckdb"):
        workspace.copy_whole(source, checkout / "data" / source.name)


def _run_again(checkout: Path, engine: str, original: receipt.Json, env: Mapping[str, str]) -> Path:
    """The folder of the new run. Raises NotReproduced where it fails."""
    signals.call(("make", "--silent", "run", f"RECEIPT={PINNED}", f"ENGINE={engine}"), checkout, env)
    stem = Path(receipt.external(original)["notebook"]).stem
    runs = sorted((checkout / "runs").glob(f"*Z-{stem}-??????"))
    if not runs:
        raise NotReproduced("the run did not start again; the words above say why")
    if not (runs[-1] / runfolder.RECEIPT).is_file():
        error = (runs[-1] / runfolder.ERROR).read_text().strip()
        raise NotReproduced(f"the run was complete once, and fails this time: {error}")
    return runs[-1]


def _judged(
    here: Workspace, request: ReproduceRequest, path: Path, original: receipt.Json, again: Path
) -> Reproduction:
    new = receipt.read(again / runfolder.RECEIPT)
    before = Side(receipt.subject_digests(original), _content_of(path.parent, original, store.of(here)))
    after = Side(receipt.subject_digests(new), lambda name: (again / name).read_bytes())
    comparisons = comparison.compare(before, after, request.tolerance)
    for name, digest in after.digests.items():
        if before.digests.get(name) == digest:
            store.of(here).put(again / name)  # made again: the store has it from now on
    verdict = comparison.overall(comparisons)
    statement = _attestation(request, path, original, new, comparisons)
    attestation = _numbered(path.parent)
    workspace.write_whole(attestation, json_bytes(statement))
    signing.sign(attestation)
    return Reproduction(verdict, comparisons, differing_packages(original, new), attestation)


def _content_of(run: Path, original: receipt.Json, kept: store.Store) -> Callable[[str], bytes | None]:
    """A way to the original's bytes: beside its receipt where they are still the same, else from the store."""
    digests = receipt.subject_digests(original)

    def content(name: str) -> bytes | None:
        beside = run / name
        if beside.is_file() and sha256(beside) == digests[name]:
            return beside.read_bytes()
        return _undamaged(kept, digests[name], lambda _: None)

    return content


def differing_packages(original: receipt.Json, new: receipt.Json) -> list[str]:
    """The packages that two runs did not have alike, a line each."""
    then, now = (receipt.dependency(each, receipt.ENVIRONMENT) or {} for each in (original, new))
    packages = [each.get("annotations", {}).get("packages", {}) for each in (then, now)]
    return environment.differences(*packages)


def _numbered(folder: Path) -> Path:
    numbers = (n for n in range(1, 10_000) if not (folder / f"reproduction-{n}.json").exists())
    return folder / f"reproduction-{next(numbers)}.json"


def _attestation(
    request: ReproduceRequest, path: Path, original: receipt.Json, new: receipt.Json, found: Iterable[Comparison]
) -> receipt.Json:
    """An in-toto statement on the original's subjects: who ran it again, where, and what came out."""
    comparisons = list(found)
    internal = new["predicate"]["buildDefinition"]["internalParameters"]
    return {
        "_type": receipt.STATEMENT,
        "subject": original["subject"],
        "predicateType": REPRODUCTION,
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
                "os": environment.operating_system(),
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
