"""Watch for new data, and run pipelines: one for each complete file of the inbox, new day or due job, once.

One watcher runs at a time. A round is in `pipelines/rounds.py`.
"""

import datetime
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samebook.core import signals
from samebook.core import workspace as workspaces
from samebook.core.errors import UsageError
from samebook.core.file_lock import acquire
from samebook.core.text import Say
from samebook.core.workspace import Workspace, write_whole
from samebook.environment import settings
from samebook.environment.settings import Settings
from samebook.pipelines import definition, notices, rounds
from samebook.pipelines.inbox import Inbox
from samebook.pipelines.watcher import Watcher
from samebook.records import run_folder

TICK = 0.5


def watch(env: str, say: Say, *, once: bool = False) -> int:
    """Watch until a signal comes; with `once` until nothing waits. Returns the number of final failures.

    Raises UsageError where another watcher runs, or where the settings name nothing to watch.
    """
    workspace = workspaces.find()
    env_settings = settings.load(workspace, env)
    _check(workspace, env, env_settings)
    since = rounds.last_time(workspace, env)
    watcher = Watcher(workspace, env, env_settings, say, Inbox(workspace, env_settings.watch.settle), since=since)
    with _only_watcher(workspace, env), signals.as_errors():
        run_folder.recover(workspace)
        say(f"watching {workspace.relative(watcher.inbox.folder)} (env {env})")
        for path in watcher.inbox.come_to_rest() if once else ():
            say(f"{path.name}: is being written; it is left for the next time")
        rejected = rounds.run(watcher)
        if not once:
            for _ in _ticks(watcher.inbox.folder):
                rejected += rounds.run(watcher)
        return rejected + len(watcher.failures)


def _check(workspace: Workspace, env: str, env_settings: Settings) -> None:
    """Raise UsageError for settings without anything to watch, an unusable webhook, or an unusable pipeline."""
    section = env_settings.watch
    if not (section.inbox or section.warehouse or section.schedule):
        raise UsageError(
            f"environments/{env}.yml names nothing to watch",
            mend=f"write `watch: {{inbox: {{orders: daily}}}}` in environments/{env}.yml",
        )
    notices.url(env_settings)
    scheduled = env_settings.schedule if section.schedule else ()
    for name in (*section.inbox.values(), *([section.warehouse.pipeline] if section.warehouse else []), *scheduled):
        definition.read(workspace, name)


def _ticks(folder: Path) -> Iterator[None]:
    """A tick for each change in the inbox, and at least one every TICK seconds, for files that came to rest."""
    from watchfiles import watch as changes

    for _ in changes(folder, yield_on_timeout=True, rust_timeout=int(TICK * 1000), debounce=100, step=50):
        yield


@contextmanager
def _only_watcher(workspace: Workspace, env: str) -> Iterator[None]:
    """Hold the watchers' lock, which ends with its process. Raises UsageError with the name of another holder."""
    folder = workspace.runs / ".watch"
    if (handle := acquire(folder / "lock", wait=False)) is None:
        holder = (folder / "holder").read_text().strip() if (folder / "holder").is_file() else "somebody"
        raise UsageError(f"another watcher runs: {holder}", mend="again, once it has ended: make watch")
    try:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_whole(folder / "holder", f"process {os.getpid()} on {platform.node()}, env {env}, since {now}\n".encode())
        yield
    finally:
        os.close(handle)
