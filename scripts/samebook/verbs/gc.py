"""Remove the runs that nobody needs any more, by age and number, and what the store then holds for nobody."""

import datetime
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from samebook.core.file_lock import hold
from samebook.core.table import align
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.sections import Retention
from samebook.models import retention, store_use
from samebook.records import run_folder, story, summary
from samebook.store import transfer

TRASH = ".trash"
HOUR = 3600


@dataclass(frozen=True)
class GcRequest:
    """Whose settings say how long runs stay, unless `days` or `keep` do."""

    env: str = "dev"
    days: int | None = None
    keep: int | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Gone:
    """A folder that goes: its run's status, or `scratch`, and its bytes."""

    path: Path
    status: str
    size: int


@dataclass(frozen=True)
class Collected:
    """What went, or would go; the objects of the store with their bytes; and how many runs stay, by why."""

    runs: list[Gone]
    kept: dict[str, int]
    objects: int
    object_size: int

    @property
    def freed(self) -> int:
        return sum(each.size for each in self.runs) + self.object_size


def gc(workspace: Workspace, request: GcRequest) -> Collected:
    """Remove runs, then objects of the store; with `dry_run` only say what would go.

    Raises UsageError where it can't be known what is needed: in a shallow clone, or with a receipt or a bundle
    that isn't whole. Nothing is removed then.
    """
    rule = settings.load(workspace, request.env).retention
    given = {"days": request.days, "keep": request.keep}
    rule = rule.model_copy(update={name: value for name, value in given.items() if value is not None})
    retention.check(workspace)
    if request.dry_run:
        runs, kept = _plan(workspace, rule, {})
        return _collected(workspace, runs, kept, dry_run=True)
    run_folder.recover(workspace)
    with hold(workspace.runs / TRASH / run_folder.LOCK):  # one at a time
        runs, kept = _set_aside(workspace, rule)
        done = _collected(workspace, runs, kept, dry_run=False)
        for path in (workspace.runs / TRASH).glob("*-*"):  # also what one that was killed has left
            shutil.rmtree(path)
    story.tell(workspace, "gc", runs=len(runs), objects=done.objects, freed=done.freed)
    return done


def _set_aside(workspace: Workspace, rule: Retention) -> tuple[list[Gone], dict[str, int]]:
    """Move what goes out of runs/, by one rename each, so that half a run is never there."""
    known = retention.receipts(workspace, {})
    with hold(workspace.runs / ".partial" / run_folder.LOCK):  # no run starts or ends meanwhile
        runs, kept = _plan(workspace, rule, known)
        for each in runs:
            each.path.rename(workspace.runs / TRASH / each.path.name)
    return runs, kept


def _plan(workspace: Workspace, rule: Retention, known: retention.Receipts) -> tuple[list[Gone], dict[str, int]]:
    """What goes, oldest first; and how many runs stay, by why."""
    now = datetime.datetime.now(datetime.UTC)
    found = retention.receipts(workspace, known)
    here = {path.name: path for path in sorted(workspace.runs.glob("[0-9]*Z-*")) if _is_run(path)}
    reasons = _in_time(here, found, rule, now) | retention.needed(workspace, found, now.date())
    reasons |= dict.fromkeys(retention.past(found, reasons) - reasons.keys(), "another's past")
    going = [path for name, path in here.items() if name not in reasons]
    gone = [Gone(path, summary.described(path).status, _size(path)) for path in going]
    scratch = [Gone(path, "scratch", _size(path)) for path in _old_scratch(workspace, rule, now)]
    return [*gone, *scratch], dict(Counter(reason for run, reason in reasons.items() if run in here))


def _is_run(path: Path) -> bool:
    return retention.RUN.fullmatch(path.name.encode()) is not None and path.is_dir() and not path.is_symlink()


def _in_time(
    here: dict[str, Path], found: retention.Receipts, rule: Retention, now: datetime.datetime
) -> dict[str, str]:
    """The runs that are young, or among the newest finished ones of their notebook."""
    by_notebook = defaultdict[str, list[str]](list)
    for name in sorted(found, reverse=True):
        by_notebook[summary.notebook(name)].append(name)
    newest = {name for names in by_notebook.values() for name in names[: rule.keep]}
    young = {name for name, path in here.items() if _is_young(name, path, rule, now)}
    return dict.fromkeys(newest, "newest") | dict.fromkeys(young, "young")


def _is_young(name: str, path: Path, rule: Retention, now: datetime.datetime) -> bool:
    """By when it started; but whoever made a run may still be at it in the hour after it."""
    return now - run_folder.started(name) <= datetime.timedelta(rule.days) or time.time() - _touched(path) < HOUR


def _old_scratch(workspace: Workspace, rule: Retention, now: datetime.datetime) -> Iterator[Path]:
    """The scratch runs that no Lab session has written to for so long."""
    limit = now.timestamp() - max(rule.days * 24 * HOUR, HOUR)
    yield from (path for path in sorted((workspace.runs / run_folder.SCRATCH).glob("*-*")) if _touched(path) < limit)


def _touched(path: Path) -> float:
    """When anything was last written into a run's folder."""
    return max(each.lstat().st_mtime for each in (path, *path.glob("*")))


def _size(path: Path) -> int:
    return sum(each.lstat().st_size for each in path.rglob("*") if not each.is_dir())


def _collected(workspace: Workspace, runs: list[Gone], kept: dict[str, int], *, dry_run: bool) -> Collected:
    """... with the store's objects that only those runs had needed, or nobody."""
    without = {each.path.name for each in runs}
    found = store_use.gc(workspace, dry_run=dry_run, without=without, grace=HOUR)
    return Collected(runs, kept, len({*found.unreferenced, *found.damaged}), found.reclaimable)


def table(found: Collected, *, dry_run: bool) -> str:
    """What goes, a line each; why the others stay; and the sum."""
    lines = align([(each.path.name, each.status, transfer.format_size(each.size)) for each in found.runs], right={2})
    stay = ", ".join(f"{number} {reason}" for reason, number in sorted(found.kept.items()))
    lines += [f"{sum(found.kept.values())} runs stay: {stay}"] if found.kept else []
    sizes = [transfer.format_size(size) for size in (found.freed - found.object_size, found.object_size, found.freed)]
    would, free = ("would remove", "to be freed") if dry_run else ("removed", "freed")
    sums = f"{len(found.runs)} runs, {sizes[0]}, and {found.objects} objects of the store, {sizes[1]}"
    return "\n".join((*lines, f"{would} {sums}: {sizes[2]} {free}"))
