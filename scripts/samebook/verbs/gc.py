"""Remove runs by age and number, except those that are still needed, then the store's unreferenced objects, and the
machine's environments that no checkout shows, and bytecode of packages that no new environment has asked for.
"""

import datetime
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from samebook.core import file_lock
from samebook.core.file_lock import hold
from samebook.core.text import align
from samebook.core.workspace import Workspace
from samebook.environment import bytecode, settings
from samebook.environment.sections import Retention
from samebook.execution import freshness
from samebook.models import retention, store_use
from samebook.pipelines import story
from samebook.records import run_folder, summary
from samebook.store import transfer
from samebook.wheelhouse import shared

TRASH = ".trash"
HOUR = 3600


@dataclass(frozen=True)
class GcRequest:
    """The environment whose settings say how long runs stay; `days` and `keep` overrule them where they are given."""

    env: str = "dev"
    days: int | None = None
    keep: int | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Removal:
    """A folder to remove: its run's status, or `scratch`, and its size in bytes."""

    path: Path
    status: str
    size: int


@dataclass(frozen=True)
class Collection:
    """The removed folders, the number of runs that stay by reason, and the removed objects with their size in bytes, as
    well as the bytes of removed bytecode and environments.

    In a dry run, these are the folders and objects that would be removed.
    """

    runs: list[Removal]
    counts: dict[str, int]
    objects: int
    object_size: int
    bytecode_size: int = 0
    environment_size: int = 0

    @property
    def freed(self) -> int:
        return sum(run.size for run in self.runs) + self.object_size + self.bytecode_size + self.environment_size


def gc(workspace: Workspace, request: GcRequest) -> Collection:
    """Remove runs, then objects of the store; with `dry_run` only list them.

    Raises UsageError, and removes nothing, where the needs of models can't be read: in a shallow clone, or with a
    receipt or a bundle that isn't whole.
    """
    rule = settings.load(workspace, request.env).retention
    limits = {"days": request.days, "keep": request.keep}
    rule = rule.model_copy(update={name: value for name, value in limits.items() if value is not None})
    retention.check(workspace)
    if request.dry_run:
        runs, counts = _plan(workspace, rule, {})
        return _without_caches(_collect_objects(workspace, runs, counts, dry_run=True), dry_run=True)
    run_folder.recover(workspace)
    with hold(workspace.runs / TRASH / run_folder.LOCK):  # one gc at a time
        runs, counts = _set_aside(workspace, rule)
        result = _collect_objects(workspace, runs, counts, dry_run=False)
        for path in (workspace.runs / TRASH).glob("*-*"):  # those of a gc that was killed, too
            shutil.rmtree(path)
    result = _without_caches(result, dry_run=False)
    story.append(workspace, "gc", runs=len(runs), objects=result.objects, freed=result.freed)
    return result


def _set_aside(workspace: Workspace, rule: Retention) -> tuple[list[Removal], dict[str, int]]:
    """Move the folders to remove out of runs/, by one rename each, so that half a run is never there."""
    receipts = retention.receipts(workspace, {})
    with hold(workspace.runs / ".partial" / run_folder.LOCK):  # no run starts or ends meanwhile
        runs, counts = _plan(workspace, rule, receipts)
        for run in runs:
            run.path.rename(workspace.runs / TRASH / run.path.name)
        (workspace.runs / freshness.CALLS).unlink(missing_ok=True)
    return runs, counts


def _plan(workspace: Workspace, rule: Retention, read: retention.Receipts) -> tuple[list[Removal], dict[str, int]]:
    """The folders to remove, oldest first; and the number of runs that stay, by reason."""
    now = datetime.datetime.now(datetime.UTC)
    receipts = retention.receipts(workspace, read)
    folders = {path.name: path for path in sorted(workspace.runs.glob("[0-9]*Z-*")) if _is_run(path)}
    reasons = _in_time(folders, receipts, rule, now) | retention.required_runs(workspace, receipts, now.date())
    reasons |= dict.fromkeys(retention.ancestors(receipts, reasons) - reasons.keys(), "another's past")
    unneeded = [path for name, path in folders.items() if name not in reasons]
    runs = [Removal(path, summary.summarize(path).status, _size(path)) for path in unneeded]
    scratch = [Removal(path, "scratch", _size(path)) for path in _old_scratch(workspace, rule, now)]
    return [*runs, *scratch], dict(Counter(reason for run, reason in reasons.items() if run in folders))


def _is_run(path: Path) -> bool:
    return retention.RUN.fullmatch(path.name.encode()) is not None and path.is_dir() and not path.is_symlink()


def _in_time(
    folders: dict[str, Path], receipts: retention.Receipts, rule: Retention, now: datetime.datetime
) -> dict[str, str]:
    """The runs that are young, or among the newest finished ones of their notebook, with that reason."""
    by_notebook = defaultdict[str, list[str]](list)
    for name in sorted(receipts, key=lambda name: (run_folder.order(name), name), reverse=True):
        by_notebook[run_folder.notebook_name(name)].append(name)
    newest = {name for names in by_notebook.values() for name in names[: rule.keep]}
    young = {name for name, path in folders.items() if _is_young(name, path, rule, now)}
    return dict.fromkeys(newest, "newest") | dict.fromkeys(young, "young")


def _is_young(name: str, path: Path, rule: Retention, now: datetime.datetime) -> bool:
    """Whether a run started within the days that runs stay, or was written to in the last hour, as by its pipeline."""
    return (
        abs(now - run_folder.start_time(name)) <= datetime.timedelta(rule.days) or time.time() - _touched(path) < HOUR
    )


def _old_scratch(workspace: Workspace, rule: Retention, now: datetime.datetime) -> Iterator[Path]:
    """The scratch runs that no Lab session has written to for as many days as runs stay, and at least for an hour."""
    limit = now.timestamp() - max(rule.days * 24 * HOUR, HOUR)
    for path in sorted((workspace.runs / run_folder.SCRATCH).glob("*-*")):
        if _touched(path) < limit and not file_lock.is_held(path / run_folder.LOCK):
            yield path


def _touched(path: Path) -> float:
    """The time, in seconds since the epoch, of the last write into a run's folder."""
    return max(entry.lstat().st_mtime for entry in (path, *path.glob("*")))


def _size(path: Path) -> int:
    return sum(entry.lstat().st_size for entry in path.rglob("*") if not entry.is_dir())


def _collect_objects(workspace: Workspace, runs: list[Removal], counts: dict[str, int], *, dry_run: bool) -> Collection:
    """Remove the store's objects that no other run or model names; the whole result."""
    without = {run.path.name for run in runs}
    report = store_use.gc(workspace, dry_run=dry_run, without=without, grace=HOUR)
    return Collection(runs, counts, len({*report.unreferenced, *report.damaged}), report.reclaimable)


def _without_caches(result: Collection, *, dry_run: bool) -> Collection:
    """Remove the machine's unused environments, and bytecode of packages, of which environments have copies; the result
    with their sizes.
    """
    environments, size = shared.unused(), 0
    environment_size = sum(map(shared.size, environments))
    for environment in () if dry_run else environments:
        with suppress(FileNotFoundError, PermissionError):  # another gc, or another user's
            shared.remove(environment)
    for path in bytecode.unused():
        with suppress(FileNotFoundError, PermissionError):  # another gc, or another user's
            freed = path.lstat().st_size
            if not dry_run:
                path.unlink()
            size += freed
    return replace(result, bytecode_size=size, environment_size=environment_size)


def table(result: Collection, *, dry_run: bool) -> str:
    """The result as text: a line for each removed run, the reasons why the others stay, and the sums."""
    lines = align([(run.path.name, run.status, transfer.format_size(run.size)) for run in result.runs], right={2})
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(result.counts.items()))
    lines += [f"{sum(result.counts.values())} runs stay: {reasons}"] if result.counts else []
    sizes = (sum(run.size for run in result.runs), result.object_size, result.freed)
    run_size, object_size, freed_size = map(transfer.format_size, sizes)
    caches = {"bytecode": result.bytecode_size, "environments": result.environment_size}
    caches_text = "".join(f", and {transfer.format_size(size)} of {name}" for name, size in caches.items() if size)
    removed, freed = ("would remove", "to be freed") if dry_run else ("removed", "freed")
    sums = f"{len(result.runs)} runs, {run_size}, and {result.objects} objects of the store, {object_size}{caches_text}"
    return "\n".join((*lines, f"{removed} {sums}: {freed_size} {freed}"))
