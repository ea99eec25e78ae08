"""Bring what models and runs need from the store's remote."""

from samebook.core import signals
from samebook.core.workspace import Workspace
from samebook.models import lookup, store_use
from samebook.store import objects, remote, transfer
from samebook.store.transfer import How, Moved, Say

DONE, WOULD = ("brought", "were here"), ("would bring", "are here")


def pull(here: Workspace, env: str, how: How, say: Say) -> Moved:
    """Bring what is missing or damaged here. Raises SamebookError for what the remote lacks, or has damaged."""
    there = remote.required(here, env)
    wanted = store_use.references(here)
    models = lookup.references(here)
    both = {**models, **wanted}
    say(f"{len(both)} objects, from {there.bucket.url}")
    with signals.raising():
        found = there.bring(both, objects.of(here), say, how)
    mend = f"{remote.AGAIN}; or make reproduce RUN=… makes them again"
    due = transfer.without(found, models.keys() - wanted.keys(), say)
    transfer.check(due, both, told(found, how), mend)
    return found


def told(found: Moved, how: How) -> str:
    """What was done, in a line."""
    return transfer.told(found, *(WOULD if how.dry_run else DONE))
