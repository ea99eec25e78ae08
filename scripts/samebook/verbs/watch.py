"""Run pipelines when data comes in: each complete file of the inbox once, and, if asked, what the warehouse gains.

One watcher at a time. Everything it does can be done again: killed at any moment, the next one goes on.
"""

import datetime
import json
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from samebook.core import cron, signals, workspace
from samebook.core.digest import json_bytes
from samebook.core.errors import DataRejected, Interrupted, SamebookError, UsageError
from samebook.core.file_lock import acquire
from samebook.core.workspace import Workspace, write_whole
from samebook.data import warehouse
from samebook.environment import settings
from samebook.environment.settings import Settings
from samebook.execution.pool import Pool
from samebook.pipelines import definition, engine, inbox, notices
from samebook.pipelines.engine import State
from samebook.pipelines.inbox import Inbox
from samebook.pipelines.step_program import Job
from samebook.records import run_folder, story

# How long a file that failed, for no fault of its own, waits: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 900.0
TICK = 0.5

type Say = Callable[[str], None]


@dataclass
class Watcher:
    """What the watcher knows while it runs."""

    here: Workspace
    env: str
    in_force: Settings
    say: Say
    inbox: Inbox
    # By what failed: how often, and when it is due again.
    failed: dict[str, tuple[int, float]] = field(default_factory=dict)
    asked: float = float("-inf")
    programs: Pool | None = None
    since: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))


def watch(env: str, say: Say, *, once: bool = False) -> int:
    """Watch until a signal comes; with `once` until nothing waits. Returns how many files or days failed for good.

    Raises UsageError where another watcher runs, or where the settings name nothing to watch.
    """
    here = workspace.find()
    in_force = settings.load(here, env)
    asked = in_force.watch
    if not (asked.inbox or asked.warehouse or asked.schedule):
        raise UsageError(
            f"environments/{env}.yml names nothing to watch", mend="watch: {inbox: {orders: daily}}, for example"
        )
    notices.url(in_force)
    scheduled = in_force.schedule if asked.schedule else ()
    for name in (*asked.inbox.values(), *([asked.warehouse.pipeline] if asked.warehouse else []), *scheduled):
        definition.read(here, name)
    watcher = Watcher(here, env, in_force, say, Inbox(here, 0 if once else asked.settle))
    with _alone(here, env), signals.as_errors():
        run_folder.recover(here)
        say(f"watching {here.relative(watcher.inbox.folder)} (env {env})")
        rejected = _round(watcher)
        if not once:
            for _ in _ticks(watcher.inbox.folder):
                rejected += _round(watcher)
        return rejected + len(watcher.failed)


def _ticks(folder: Path) -> Iterator[None]:
    """Whenever something changes in the inbox, and at least every TICK seconds, for what is at rest by then."""
    from watchfiles import watch as changes

    for _ in changes(folder, yield_on_timeout=True, rust_timeout=int(TICK * 1000), debounce=100, step=50):
        yield


def _round(watcher: Watcher) -> int:
    """Everything that is due now; how many files were rejected."""
    due = [path for path in watcher.inbox.complete() if _is_due(watcher, str(path))]
    pipelines_due = Counter(watcher.in_force.watch.inbox.get(inbox.dataset(path)) for path in due)
    with _together(watcher, max((pipelines_due[name] for name in pipelines_due if name), default=0)):
        rejected = sum(_arrived(watcher, path) for path in due)
    _ask_warehouse(watcher)
    _run_scheduled(watcher)
    return rejected


@contextmanager
def _together(watcher: Watcher, times: int) -> Iterator[None]:
    """Inside the block, a pipeline runs at most so often: what it imports is kept, if that is often enough."""
    with Pool(times) as watcher.programs:
        yield
    watcher.programs = None


def _arrived(watcher: Watcher, path: Path) -> bool:
    """Take a file in; whether it was rejected. Any other trouble stays with this file, for another time."""
    try:
        was_rejected = _taken_in(watcher, path)
    except Interrupted:
        raise
    except (SamebookError, OSError, ValueError) as error:
        if path.exists():  # else somebody has taken it out again
            _failed(watcher, str(path), error)
        return False
    watcher.failed.pop(str(path), None)
    return was_rejected


def _taken_in(watcher: Watcher, path: Path) -> bool:
    """Run a file's pipeline; whether the file was rejected."""
    try:
        found = inbox.arrival(path, watcher.in_force.watch.inbox)
    except DataRejected as error:
        _tell_rejected(watcher, path, inbox.reject(watcher.here, path, str(error)), error)
        return True
    given = {"day": str(found.day), "source": watcher.here.relative(inbox.archived(watcher.here, found))}
    try:
        _run(watcher, watcher.in_force.watch.inbox[found.dataset], given)
    except DataRejected as error:
        _tell_rejected(watcher, path, inbox.reject_arrival(watcher.here, found, str(error)), error)
        return True
    inbox.accept(found)
    watcher.say(f"{path.name}: done")
    return False


def _tell_rejected(watcher: Watcher, path: Path, kept: Path, error: DataRejected) -> None:
    _tell(watcher, "rejected", f"{path.name} -> {watcher.here.relative(kept)}", str(error))


def _run(watcher: Watcher, name: str, given: Mapping[str, str]) -> None:
    """Run a pipeline to its end. Raises what its first failed step means."""
    job = Job(watcher.here, name, given, watcher.env)

    def said(outcome: engine.Outcome) -> None:
        if outcome.state is not State.LEFT_OUT:
            watcher.say(f"  {given.get('day', '')} {outcome.step}: {outcome.state} {outcome.run}".rstrip())

    work = replace(engine.prepared(job, said), programs=watcher.programs)
    outcomes = engine.execute(work)
    error = engine.failure(outcomes)
    if isinstance(error, DataRejected) and not _took_file(work, outcomes):
        raise SamebookError(str(error), mend=error.mend)
    if error:
        raise error


def _took_file(work: engine.Work, outcomes: list[engine.Outcome]) -> bool:
    """Whether the step that failed is the one that reads the file: only then is it the file that is wrong."""
    failed = {each.step for each in outcomes if each.state is State.FAILED}
    return any(step.name in failed and "source" in step.parameters for step in work.steps)


def _is_due(watcher: Watcher, what: str) -> bool:
    return watcher.failed.get(what, (0, 0.0))[1] <= time.monotonic()


def _failed(watcher: Watcher, what: str, error: Exception) -> None:
    """It is no fault of the data's: it stays, and is tried again, after longer and longer pauses."""
    times = watcher.failed.get(what, (0, 0.0))[0] + 1
    pause = min(FIRST_PAUSE * 2 ** (times - 1), LONGEST_PAUSE)
    watcher.failed[what] = (times, time.monotonic() + pause)
    _tell(watcher, "failed", f"{Path(what).name}, time {times}; again in {pause:.0f} s", str(error))


def _tell(watcher: Watcher, event: str, what: str, why: str) -> None:
    text = story.safe(f"{what}: {why}", watcher.in_force)
    watcher.say(f"{event} {text}")
    facts = {"env": watcher.env, "pipeline": "watch", "text": text}
    story.tell(watcher.here, event, level="error", **facts)
    notices.send(watcher.in_force, "failure", facts)


def _ask_warehouse(watcher: Watcher) -> None:
    """Run the pipeline of each day that the warehouse has now and had not, or has otherwise, when it was asked last."""
    asked = watcher.in_force.watch.warehouse
    if asked is None or time.monotonic() - watcher.asked < asked.every:
        return
    watcher.asked = time.monotonic()
    path = watcher.here.runs / ".watch" / "warehouse.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    try:
        days = signals.run_interruptibly(lambda: _days(watcher, asked.query))
    except Interrupted:
        raise
    except (SamebookError, KeyError, OSError) as error:
        _failed(watcher, asked.query, error)
        return
    due = {day: version for day, version in sorted(days.items()) if known.get(day) != version and _is_due(watcher, day)}
    with _together(watcher, len(due)):
        for day, version in due.items():
            if _did_day(watcher, asked.pipeline, day):
                write_whole(path, json_bytes(known := {**known, day: version}))


def _days(watcher: Watcher, query: str) -> dict[str, str]:
    """The version of each day that the warehouse has."""
    rows = warehouse.query(watcher.here, watcher.in_force.warehouse, query, {})
    return dict(zip(rows["day"].astype(str).str[:10], rows["version"].astype(str), strict=True))


def _did_day(watcher: Watcher, name: str, day: str) -> bool:
    """Whether a day's pipeline ended well; a day that fails stops no other."""
    try:
        _run(watcher, name, {"day": day})
    except Interrupted:
        raise
    except (SamebookError, OSError) as error:
        _failed(watcher, day, error)
        return False
    watcher.failed.pop(day, None)
    return True


def _run_scheduled(watcher: Watcher) -> None:
    """Run the jobs that came due since the last round."""
    if not watcher.in_force.watch.schedule:
        return
    now = datetime.datetime.now(datetime.UTC)
    for name, line in watcher.in_force.schedule.items():
        if cron.due(line, watcher.since, now):
            try:
                _run(watcher, name, {})
            except Interrupted:
                raise
            except (SamebookError, OSError) as error:
                _tell(watcher, "failed", f"scheduled {name}", str(error))
    watcher.since = now


@contextmanager
def _alone(here: Workspace, env: str) -> Iterator[None]:
    """Hold the inbox. Raises UsageError naming who holds it; the lock ends with its holder, however that ends."""
    folder = here.runs / ".watch"
    if (handle := acquire(folder / "lock", wait=False)) is None:
        holder = (folder / "holder").read_text().strip() if (folder / "holder").is_file() else "somebody"
        raise UsageError(f"another watcher runs: {holder}", mend="stop it first; one watcher is enough")
    try:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_whole(folder / "holder", f"process {os.getpid()} on {platform.node()}, env {env}, since {now}\n".encode())
        yield
    finally:
        os.close(handle)
