"""Send what models and runs need to the store's remote, for other machines."""

from samebook.core import signals
from samebook.core.workspace import Workspace
from samebook.models import lookup, store_use
from samebook.store import objects, remote, transfer
from samebook.store.transfer import How, Moved, Say

DONE, WOULD = ("sent", "were there"), ("would send", "are there")


def push(here: Workspace, env: str, how: How, say: Say) -> Moved:
    """Send what the remote lacks. Raises SamebookError for what is damaged here, or in neither place."""
    there = remote.required(here, env)
    wanted = store_use.references(here)
    models = lookup.references(here)
    both = {**models, **wanted}
    say(f"{len(both)} objects, to {there.bucket.url}")
    with signals.raising():
        found = there.send(both, objects.of(here), say, how)
    mend = "samebook store gc removes the damaged; make reproduce RUN=… makes them again"
    due = transfer.without(found, models.keys() - wanted.keys(), say)
    transfer.check(due, both, told(found, how), mend)
    return found


def told(found: Moved, how: How) -> str:
    """What was done, in a line."""
    return transfer.told(found, *(WOULD if how.dry_run else DONE))
