"""Exchanges what models and runs need with the remote store of an environment, in either direction."""

from collections.abc import Callable
from dataclasses import dataclass

from samebook.core import signals
from samebook.core.workspace import Workspace
from samebook.models import lookup, store_use
from samebook.store import objects, remote, transfer
from samebook.store.remote import Remote
from samebook.store.transfer import Say, TransferOptions, TransferResult


@dataclass(frozen=True)
class Direction:
    """A direction: how objects move, the words for it (done, or with a dry run), and what mends a lack."""

    preposition: str
    move: Callable[..., TransferResult]
    done: tuple[str, str]
    would: tuple[str, str]
    mend: str

    def summary(self, moved: TransferResult, how: TransferOptions) -> str:
        """The result in a line: `sent 12 objects, 34.5 MiB; 40 were there`."""
        return transfer.summary(moved, *(self.would if how.dry_run else self.done))


PUSH = Direction(
    "to",
    Remote.push,
    ("sent", "were there"),
    ("would send", "are there"),
    "samebook store gc removes the damaged; make reproduce RUN=… makes them again",
)
PULL = Direction(
    "from",
    Remote.pull,
    ("brought", "were here"),
    ("would bring", "are here"),
    f"{remote.AGAIN}; or make reproduce RUN=… makes them again",
)


def exchange(workspace: Workspace, env: str, direction: Direction, how: TransferOptions, say: Say) -> str:
    """Move what one side lacks; the result in a line. Raises SamebookError for what is damaged, or in neither store."""
    there = remote.require(workspace, env)
    of_runs, of_models = store_use.referenced_objects(workspace), lookup.referenced_objects(workspace)
    wanted = {**of_models, **of_runs}
    say(f"{len(wanted)} objects, {direction.preposition} {there.bucket.url}")
    with signals.as_errors():
        moved = direction.move(there, wanted, objects.local_store(workspace), say, how)
    summary = direction.summary(moved, how)
    transfer.check_complete(
        transfer.without_models(moved, of_models.keys() - of_runs.keys(), say), wanted, summary, direction.mend
    )
    return summary
