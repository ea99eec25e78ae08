"""Look after the store: damaged, missing and unreferenced objects, and room for new ones.

What any branch's models name, or ever named, stays: a rollback may want it.
"""

from dataclasses import dataclass
from pathlib import Path

from samebook import bundles, git, receipt, runfolder, store
from samebook.digest import sha256
from samebook.errors import UsageError
from samebook.workspace import Workspace


@dataclass(frozen=True)
class Report:
    """What the store holds: objects by path, what receipts name that it lacks by sha256, and bytes that gc frees."""

    objects: int
    damaged: list[Path]
    missing: dict[str, str]
    unreferenced: list[Path]
    reclaimable: int


def report(workspace: Workspace) -> Report:
    """Read every object and every receipt."""
    kept = store.of(workspace)
    wanted = references(workspace)
    present = {path.name for path in kept.objects()}
    missing = {digest: what for digest, what in wanted.items() if digest not in present}
    damaged, unreferenced = kept.damaged(), kept.unreferenced({*wanted, *bundles.ever_named(workspace)})
    unreferenced += kept.abandoned()
    size = sum(path.stat().st_size for path in {*damaged, *unreferenced})
    return Report(len(present), damaged, missing, unreferenced, size)


def references(workspace: Workspace) -> dict[str, str]:
    """What the receipts in runs/ need, by sha256, and which of them needs it.

    Raises UsageError for a receipt that can't be read: gc must not remove what it may name.
    """
    wanted: dict[str, str] = {}
    for path in sorted(workspace.runs.glob(f"*/{runfolder.RECEIPT}")):
        run, statement = path.parent.name, receipt.read(path)
        commit = receipt.dependency(statement, receipt.COMMIT) or {}
        patch = commit.get("annotations", {}).get("patch")
        digests = {**receipt.subject_digests(statement), **receipt.inputs(statement)}
        wanted |= {digest: f"{name} of {run}" for name, digest in digests.items()}
        wanted |= {sha256(path): f"the receipt of {run}"} | ({patch: f"the patch of {run}"} if patch else {})
    running = (workspace.runs / ".partial").glob("*-*")
    read = (event for run in running for event in runfolder.events(run, "input"))
    return wanted | {event["sha256"]: f"{event['name']}, which a run is reading" for event in read}


def gc(workspace: Workspace, *, dry_run: bool) -> Report:
    """Remove what no receipt names, and damaged objects with it; with `dry_run` only say what.

    Raises UsageError in a shallow clone: what earlier models need can't be told from what nobody needs.
    """
    if git.is_shallow(workspace.root) and not dry_run:
        raise UsageError(
            "this clone is shallow: it does not know what earlier models need", mend="git fetch --unshallow"
        )
    found = report(workspace)
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
