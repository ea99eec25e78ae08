"""Use of the store by runs and models: its damaged, missing and unreferenced objects, and their removal.

The objects that a bundle of any commit of any branch names stay, because a rollback may need them.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from samebook.core import git
from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.file_lock import hold, is_held
from samebook.core.workspace import Workspace
from samebook.environment import input_entries
from samebook.models import commits, kept_environments, lookup
from samebook.records import data_manifest, receipt, run_folder
from samebook.store import objects as store
from samebook.store.objects import HOUR
from samebook.wheelhouse import lists


@dataclass(frozen=True)
class Report:
    """The state of the store.

    `objects` is their number; `damaged` and `unreferenced` are paths; `missing` describes each missing object by its
    sha256; `reclaimable` is the number of bytes that gc frees. `lost` says which lists of days are not whole: nobody
    knows what these runs need, so nothing is unreferenced then.
    """

    objects: int
    damaged: list[Path]
    missing: dict[str, str]
    unreferenced: list[Path]
    reclaimable: int
    lost: tuple[str, ...] = ()


def report(workspace: Workspace, without: Collection[str] = (), grace: float = 0) -> Report:
    """Read every object and every receipt but those of the runs `without`; returns the state of the store.

    An object of the last `grace` seconds is not unreferenced, because its receipt may not be written yet.
    """
    local = store.local_store(workspace)
    lost: list[str] = []
    labels = kept_environments.referenced_objects(workspace, without)
    labels |= referenced_objects(workspace, without, lost.append)
    present = {path.name for path in local.objects()}
    missing = {digest: label for digest, label in labels.items() if digest not in present}
    pinned = {entry.sha256 for entry in input_entries.read(workspace).values()}
    referenced = {*labels, *pinned, *lookup.objects_of_all_versions(workspace)}
    damaged = local.damaged()
    unreferenced = local.unreferenced({path.name for path in local.objects()} if lost else referenced)
    unreferenced = [path for path in unreferenced if time.time() - path.stat().st_mtime >= grace]
    unreferenced += local.abandoned()
    size = sum(path.stat().st_size for path in {*damaged, *unreferenced})
    return Report(len(present), damaged, missing, unreferenced, size, tuple(lost))


def referenced_objects(
    workspace: Workspace, without: Collection[str] = (), lost: Callable[[str], object] | None = None
) -> dict[str, str]:
    """A description of each object that the runs in runs/ need, but the runs `without`, by sha256.

    Raises UsageError for a receipt or a list of days that can't be read: gc must not remove an object that it may name.
    With `lost`, which hears of each list that is missing or damaged, the objects that only these name are left out.
    """
    local = store.local_store(workspace)
    # The runs under way come first, because one that ends meanwhile then has its receipt in runs/.
    running = [*(workspace.runs / ".partial").glob("*-*"), *_sessions(workspace)]
    events = (event for run in running for event in run_folder.events(run, "input"))
    labels = {event["sha256"]: f"{event['name']}, which a run is reading" for event in events}
    receipts = sorted(workspace.runs.glob(f"*/{run_folder.RECEIPT}"))
    for path in (path for path in receipts if path.parent.name not in without):
        run, statement = path.parent.name, receipt.read(path)
        commit = receipt.dependency(statement, receipt.COMMIT) or {}
        patch = commit.get("annotations", {}).get("patch")
        inputs = receipt.inputs(data_manifest.expanded(local, statement, lost))
        digests = {**receipt.subject_digests(statement), **inputs}
        labels |= {digest: f"{name} of {run}" for name, digest in digests.items()}
        labels |= {digest: f"{name} of {run}" for digest, name in data_manifest.lists(statement).items()}
        labels |= {sha256(path): f"the receipt of {run}"} | ({patch: f"the patch of {run}"} if patch else {})
    return labels


def check_history(workspace: Workspace) -> None:
    """Raise UsageError in a shallow clone, which lacks the bundles of earlier commits."""
    if git.is_shallow(workspace.root):
        raise UsageError(
            "this clone is shallow: it does not know what earlier models need", mend="git fetch --unshallow"
        )


def gc(workspace: Workspace, *, dry_run: bool, without: Collection[str] = (), grace: float = 0) -> Report:
    """Remove unreferenced and damaged objects, or with `dry_run` only report them; returns the state before it.

    `without` and `grace` are those of `report`; while a run is under way, an hour's grace is the least.
    Raises UsageError in a shallow clone.
    """
    if dry_run:
        return report(workspace, without, grace)
    check_history(workspace)
    with hold(workspace.root / commits.LOCK):  # a promotion stores its files before its commit names them
        grace = max(grace, HOUR) if _is_running(workspace) else grace
        state = report(workspace, without, grace)
        if state.lost:
            raise UsageError(f"{state.lost[0]}; no object is removed while it may name any", mend="make pull")
        local = store.local_store(workspace)
        for path in map(partial(lists.path, local), kept_environments.unneeded(workspace, without)):
            if time.time() - path.stat().st_mtime >= grace:
                path.unlink()
        for path in {*state.unreferenced, *state.damaged}:
            path.unlink(missing_ok=True)
    return state


def _sessions(workspace: Workspace) -> list[Path]:
    """The scratch runs of Lab's sessions that live: what they have read leads into the store, too."""
    folders = (workspace.runs / run_folder.SCRATCH).glob("*-*")
    return [folder for folder in folders if is_held(folder / run_folder.LOCK)]


def _is_running(workspace: Workspace) -> bool:
    """Whether a run is under way, which stores its files before its receipt names them."""
    locks = (workspace.runs / ".partial").glob(f"*-*/{run_folder.LOCK}")
    return any(map(is_held, locks)) or bool(_sessions(workspace))


def check(state: Report) -> None:
    """Raise UsageError where objects are damaged or missing."""
    if state.damaged or state.missing:
        lines = [f"damaged: {path.name}" for path in state.damaged]
        lines += [f"missing: {digest[:12]}…, {label}" for digest, label in state.missing.items()]
        raise UsageError(
            "\n  ".join(
                (f"the store has {len(state.damaged)} damaged and {len(state.missing)} missing objects", *lines)
            ),
            mend="make store-gc",
        )
