"""Look after the store: damaged, missing and unreferenced objects, and room for new ones.

What any branch's models name, or ever named, stays: a rollback may want it.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git
from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.models import lookup
from samebook.records import receipt, run_folder
from samebook.store import objects as store


@dataclass(frozen=True)
class Report:
    """What the store holds: objects by path, what receipts name that it lacks by sha256, and bytes that gc frees."""

    objects: int
    damaged: list[Path]
    missing: dict[str, str]
    unreferenced: list[Path]
    reclaimable: int


def report(workspace: Workspace, without: Collection[str] = (), grace: float = 0) -> Report:
    """Read every object and every receipt; as if the runs `without` were gone.

    What was written in the last `grace` seconds is not unreferenced: the receipt that names it may be on its way.
    """
    kept = store.local_store(workspace)
    wanted = referenced_objects(workspace, without)
    present = {path.name for path in kept.objects()}
    missing = {digest: what for digest, what in wanted.items() if digest not in present}
    damaged, unreferenced = kept.damaged(), kept.unreferenced({*wanted, *lookup.objects_of_all_versions(workspace)})
    unreferenced = [path for path in unreferenced if time.time() - path.stat().st_mtime >= grace]
    unreferenced += kept.abandoned()
    size = sum(path.stat().st_size for path in {*damaged, *unreferenced})
    return Report(len(present), damaged, missing, unreferenced, size)


def referenced_objects(workspace: Workspace, without: Collection[str] = ()) -> dict[str, str]:
    """What the receipts in runs/, but for the runs `without`, need, by sha256, and which of them needs it.

    Raises UsageError for a receipt that can't be read: gc must not remove what it may name.
    """
    # First, since a run that ends meanwhile has its receipt in runs/ by then.
    running = (workspace.runs / ".partial").glob("*-*")
    read = (event for run in running for event in run_folder.events(run, "input"))
    wanted = {event["sha256"]: f"{event['name']}, which a run is reading" for event in read}
    receipts = sorted(workspace.runs.glob(f"*/{run_folder.RECEIPT}"))
    for path in (path for path in receipts if path.parent.name not in without):
        run, statement = path.parent.name, receipt.read(path)
        commit = receipt.dependency(statement, receipt.COMMIT) or {}
        patch = commit.get("annotations", {}).get("patch")
        digests = {**receipt.subject_digests(statement), **receipt.inputs(statement)}
        wanted |= {digest: f"{name} of {run}" for name, digest in digests.items()}
        wanted |= {sha256(path): f"the receipt of {run}"} | ({patch: f"the patch of {run}"} if patch else {})
    return wanted


def check_history(workspace: Workspace) -> None:
    """Raise UsageError in a shallow clone: what earlier models need can't be told from what nobody needs."""
    if git.is_shallow(workspace.root):
        raise UsageError(
            "this clone is shallow: it does not know what earlier models need", mend="git fetch --unshallow"
        )


def gc(workspace: Workspace, *, dry_run: bool, without: Collection[str] = (), grace: float = 0) -> Report:
    """Remove what no receipt names, and damaged objects with it; with `dry_run` only say what.

    `without` and `grace` are those of `report`. Raises UsageError in a shallow clone.
    """
    if not dry_run:
        check_history(workspace)
    found = report(workspace, without, grace)
    if not dry_run:
        for path in {*found.unreferenced, *found.damaged}:
            path.unlink(missing_ok=True)
    return found


def check(found: Report) -> None:
    """Raise UsageError where objects are damaged or missing."""
    if found.damaged or found.missing:
        lines = [f"damaged: {path.name}" for path in found.damaged]
        lines += [f"missing: {digest[:12]}…, {what}" for digest, what in found.missing.items()]
        raise UsageError(
            "\n  ".join(
                (f"the store has {len(found.damaged)} damaged and {len(found.missing)} missing objects", *lines)
            ),
            mend="samebook store gc removes the damaged; make reproduce RUN=… makes them again",
        )
