"""A round of the watcher: the inbox's complete files, the warehouse's new days, and the schedule's due jobs.

A round can be done again: a watcher that was killed in one leaves it to the next watcher.
"""

import datetime
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from samebook.core import cron, file_lock, signals, signing_key
from samebook.core.digest import json_bytes
from samebook.core.errors import DataRejected, Interrupted, SamebookError
from samebook.core.workspace import Workspace, write_whole
from samebook.data import warehouse
from samebook.environment import settings
from samebook.pipelines import candidates, definition, inbox
from samebook.pipelines.watcher import Watcher

# The names of the watchers' memory in runs/.watch/.
DAYS, SCHEDULE = "warehouse.json", "schedule.json"


def run(watcher: Watcher) -> int:
    """Run everything that is due now; the number of files that were rejected."""
    rejected = _take_in_files(watcher)
    _run_new_days(watcher)
    run_schedule(watcher)
    return rejected


def _take_in_files(watcher: Watcher) -> int:
    datasets = watcher.settings.watch.inbox
    due = [path for path in watcher.inbox.complete() if watcher.is_due(str(path))]
    times = Counter(datasets[name] for name in map(inbox.dataset, due) if name in datasets)
    with watcher.warm(max(times.values(), default=0)):
        return sum(_take_in(watcher, path) for path in due)


def _take_in(watcher: Watcher, path: Path) -> bool:
    """Take a file in; whether it was rejected. A file with any other trouble stays in the inbox, for another try."""
    try:
        is_rejected = _process(watcher, path)
    except Interrupted:
        raise
    except (SamebookError, OSError, ValueError) as error:
        if path.exists():  # else somebody has taken it out again
            watcher.fail(str(path), error)
        return False
    watcher.failures.pop(str(path), None)
    return is_rejected


def _process(watcher: Watcher, path: Path) -> bool:
    """Run a file's pipeline; whether the file was rejected."""
    workspace, datasets = watcher.workspace, watcher.settings.watch.inbox
    try:
        arrival = inbox.arrival(path, datasets)
    except DataRejected as error:
        _report_rejected(watcher, path, inbox.reject(workspace, path, str(error)), error)
        return True
    source = workspace.relative(inbox.archive(workspace, arrival))
    try:
        watcher.run(datasets[arrival.dataset], {"day": str(arrival.day), "source": source})
    except DataRejected as error:
        _report_rejected(watcher, path, inbox.reject_arrival(workspace, arrival, str(error)), error)
        return True
    inbox.remove(arrival)
    watcher.say(f"{path.name}: done")
    return False


def _report_rejected(watcher: Watcher, path: Path, quarantined: Path, error: DataRejected) -> None:
    watcher.report("rejected", f"{path.name} -> {watcher.workspace.relative(quarantined)}", str(error))


def _run_new_days(watcher: Watcher) -> None:
    """Run the pipeline of each day that is new in the warehouse, or has another version, since the last query."""
    section = watcher.settings.watch.warehouse
    if section is None or time.monotonic() - watcher.last_query < section.every:
        return
    watcher.last_query = time.monotonic()
    versions = _memory(watcher.workspace, DAYS).get(watcher.env, {})
    try:
        days = signals.run_interruptibly(lambda: _days(watcher, section.query))
    except Interrupted:
        raise
    except (SamebookError, KeyError, OSError) as error:
        watcher.fail(section.query, error)
        return
    new = {day: version for day, version in sorted(days.items()) if versions.get(day) != version}
    due = {day: version for day, version in new.items() if watcher.is_due(day)}
    with watcher.warm(len(due)):
        for day, version in due.items():
            if _run_day(watcher, section.pipeline, day):
                versions[day] = version
                _remember(watcher, DAYS, versions)


def _memory(workspace: Workspace, name: str) -> dict[str, Any]:
    """The memory of earlier watchers, by environment: each has a warehouse and a schedule of its own."""
    path = workspace.runs / ".watch" / name
    memory: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    environments = settings.names(workspace)
    return {env: content for env, content in memory.items() if env in environments}


def _remember(watcher: Watcher, name: str, content: Any) -> None:
    """Write the memory of this watcher's environment; that of another one, whose watcher may run too, stays."""
    path = watcher.workspace.runs / ".watch" / name
    with file_lock.hold(path.with_suffix(".lock")):
        write_whole(path, json_bytes({**_memory(watcher.workspace, name), watcher.env: content}))


def _days(watcher: Watcher, query: str) -> dict[str, str]:
    """The warehouse's days, with the version of each."""
    rows = warehouse.query(watcher.workspace, watcher.settings.warehouse, query, {})
    return dict(zip(rows["day"].astype(str).str[:10], rows["version"].astype(str), strict=True))


def _run_day(watcher: Watcher, name: str, day: str) -> bool:
    """Run a day's pipeline; whether it ended well. A day that fails stops no other."""
    try:
        watcher.run(name, {"day": day})
    except Interrupted:
        raise
    except (SamebookError, OSError) as error:
        watcher.fail(day, error)
        return False
    watcher.failures.pop(day, None)
    return True


def run_schedule(watcher: Watcher) -> None:
    """Run the jobs that came due since the last round."""
    if not watcher.settings.watch.schedule:
        return
    now = datetime.datetime.now(datetime.UTC)
    for name, line in watcher.settings.schedule.items():
        if cron.due(line, watcher.since, now):
            try:
                if _lacks_key(watcher, name):
                    watcher.leave_out(name)
                    continue
                watcher.run(name, {})
            except Interrupted:
                raise
            except (SamebookError, OSError) as error:
                watcher.report("failed", f"scheduled {name}", str(error))
    memory = _memory(watcher.workspace, SCHEDULE)
    if watcher.env not in memory or now.replace(second=0, microsecond=0) > watcher.since:  # once a minute
        _remember(watcher, SCHEDULE, now.isoformat())
    watcher.since = now


def _lacks_key(watcher: Watcher, name: str) -> bool:
    """Whether a job makes a candidate that has to be signed, and this watcher has no key."""
    pipelines = {name: definition.read(watcher.workspace, name)}
    return not signing_key.is_taken() and bool(candidates.signed(pipelines, watcher.settings.promotion))


def last_time(workspace: Workspace, env: str) -> datetime.datetime:
    """The time up to which earlier watchers have run the schedule's jobs; now where there were none.

    A time of the future, from a clock that was wrong, would keep jobs from running until then.
    """
    now = datetime.datetime.now(datetime.UTC)
    text = _memory(workspace, SCHEDULE).get(env)
    return min(datetime.datetime.fromisoformat(text), now) if text else now
