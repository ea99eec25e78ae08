"""Bring what models and runs need from the store's remote."""

from samebook import bundles, remote, signals, store, storekeeping, transfer
from samebook.transfer import How, Moved, Say
from samebook.workspace import Workspace

DONE, WOULD = ("brought", "were here"), ("would bring", "are here")


def pull(here: Workspace, env: str, how: How, say: Say) -> Moved:
    """Bring what is missing or damaged here. Raises SamebookError for what the remote lacks, or has damaged."""
    there = remote.required(here, env)
    wanted = storekeeping.references(here)
    models = bundles.references(here)
    both = {**models, **wanted}
    say(f"{len(both)} objects, from {there.bucket.url}")
    with signals.raising():
        found = there.bring(both, store.of(here), say, how)
    mend = f"{remote.AGAIN}; or make reproduce RUN=… makes them again"
    due = transfer.without(found, models.keys() - wanted.keys(), say)
    transfer.check(due, both, told(found, how), mend)
    return found


def told(found: Moved, how: How) -> str:
    """What was done, in a line."""
    return transfer.told(found, *(WOULD if how.dry_run else DONE))
