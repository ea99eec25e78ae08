"""The exchange of the objects of models and runs with the remote store of an environment, in either direction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from samebook.core import signals
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.models import kept_environments, lookup, store_use
from samebook.store import objects, remote, transfer
from samebook.store.bucket import Bucket
from samebook.store.objects import Store
from samebook.store.remote import Remote
from samebook.store.transfer import TransferOptions, TransferResult
from samebook.wheelhouse import exchange as kept_exchange
from samebook.wheelhouse import lists
from samebook.wheelhouse.lists import KeptFiles


@dataclass(frozen=True)
class Direction:
    """A direction: the function that moves objects, its words (in the past tense, and for a dry run), a lack's mend."""

    preposition: str
    move: Callable[..., TransferResult]
    past: tuple[str, str]
    would: tuple[str, str]
    mend: str
    # The lists of kept environments, and what writes one of them on the other side.
    kept: Callable[[Workspace, Store, Bucket], dict[str, KeptFiles]]
    list: Callable[[Store, Bucket, str, KeptFiles], None]

    def summary(self, result: TransferResult, options: TransferOptions) -> str:
        """The result in a line: `sent 12 objects, 34.5 MiB; 40 were there`."""
        return transfer.summary(result, *(self.would if options.dry_run else self.past))


def _kept_here(workspace: Workspace, store: Store, _: Bucket) -> dict[str, KeptFiles]:
    """The lists of all kept environments that something needs."""
    needed = {*lists.digests(store)} - kept_environments.unneeded(workspace)
    return {digest: lists.read(store, digest) for digest in needed}


def _kept_there(workspace: Workspace, _: Store, bucket: Bucket) -> dict[str, KeptFiles]:
    """The lists in a bucket of the environments of the checkout and of the models that are promoted here."""
    return kept_exchange.found(bucket, kept_environments.of_models(workspace, lookup.promoted_bundles(workspace)))


PUSH = Direction(
    "to",
    Remote.push,
    ("sent", "were there"),
    ("would send", "are there"),
    "make store-gc removes the damaged objects; make reproduce RUN=… makes them again",
    _kept_here,
    lambda _, bucket, digest, kept: kept_exchange.push(bucket, digest, kept),
)
PULL = Direction(
    "from",
    Remote.pull,
    ("brought", "were here"),
    ("would bring", "are here"),
    f"{remote.AGAIN}; or make reproduce RUN=… makes them again",
    _kept_there,
    lambda store, _, digest, kept: kept_exchange.pull(store, digest, kept),
)


def _referenced_objects(workspace: Workspace) -> tuple[dict[str, str], dict[str, str]]:
    """A description of each object that runs need, and that models need, as far as the lists of days here tell."""
    return store_use.referenced_objects(workspace, lost=lambda _: None), lookup.referenced_objects(workspace)


def _more(workspace: Workspace, names: Mapping[str, str]) -> dict[str, str]:
    of_runs, of_models = _referenced_objects(workspace)
    return {digest: label for digest, label in {**of_models, **of_runs}.items() if digest not in names}


def exchange(workspace: Workspace, env: str, direction: Direction, options: TransferOptions, say: Say) -> str:
    """Move the objects that one side lacks; the result in a line. Raises SamebookError for damaged and missing ones."""
    remote_store = remote.require(workspace, env)
    of_runs, of_models = _referenced_objects(workspace)
    store = objects.local_store(workspace)
    kept = direction.kept(workspace, store, remote_store.bucket)
    files = {digest: f"{name}, kept" for listed in kept.values() for name, digest in listed.files.items()}
    names = {**files, **of_models, **of_runs}
    say(f"{len(names)} objects, {direction.preposition} {remote_store.bucket.url}")
    with signals.as_errors():
        result = direction.move(remote_store, names, store, say, options)
        while not options.dry_run and (more := _more(workspace, names)):  # lists that have come name further objects
            of_runs, of_models = _referenced_objects(workspace)
            names |= more
            say(f"{len(more)} objects more, which lists of days name")
            result = transfer.joined(result, direction.move(remote_store, more, store, say, options))
        for digest, listed in () if options.dry_run else kept.items():  # once what they name is there
            direction.list(store, remote_store.bucket, digest, listed)
    summary = direction.summary(result, options)
    transfer.check_complete(
        transfer.without_models(result, of_models.keys() - of_runs.keys(), say), names, summary, direction.mend
    )
    return summary
