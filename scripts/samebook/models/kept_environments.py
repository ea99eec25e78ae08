"""Kept environments: which of them the checkout, a branch, a promoted model or a run still needs."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from samebook.core import head
from samebook.core.errors import SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.models import lookup
from samebook.models.bundle import Bundle
from samebook.records import receipt, run_folder
from samebook.store import objects
from samebook.wheelhouse import base_image, environments, lists


def unneeded(workspace: Workspace, without: Collection[str] = ()) -> set[str]:
    """The kept locks and images, by their digest, that neither the checkout, nor a branch or tag, a model of any commit
    or a run in runs/ needs, less the runs `without`.

    Where nobody can say which branches there are, every one is needed.
    """
    left = {*lists.digests(objects.local_store(workspace))}
    try:
        for digests in _needs(workspace, without):
            if not left:  # history is long, and most often the first commits need all that is kept
                break
            left -= digests
    except UsageError:
        return set()
    return left


def _needs(workspace: Workspace, without: Collection[str]) -> Iterator[set[str]]:
    yield environments.digests(workspace)
    seen = set[str]()

    def of(commits: Iterable[str]) -> Iterator[set[str]]:
        for commit in commits:
            if commit not in seen:
                seen.add(commit)
                with suppress(
                    SamebookError
                ):  # of a commit that is not here, its lock is known by its bundle or receipt
                    yield environments.digests(workspace, commit)

    if head.is_repository(workspace.root):
        yield from of(head.tips(workspace.root))
    for bundle in lookup.all_versions(workspace):
        yield {bundle.environment.lock, base_image.digest(bundle.environment.base_image or "")}
        yield from of([bundle.source.commit])
    for path in workspace.runs.glob(f"*/{run_folder.RECEIPT}"):
        if path.parent.name not in without:
            statement = receipt.read(path)
            lock, image = (receipt.dependency(statement, name) or {} for name in (receipt.LOCK, "base image"))
            yield {lock.get("digest", {}).get("sha256", ""), base_image.digest(image.get("uri") or "")}
            yield from of(filter(None, [receipt.commit_name(statement)]))


def referenced_objects(workspace: Workspace, without: Collection[str] = ()) -> dict[str, str]:
    """A description of each object of the kept environments that something needs, by its sha256."""
    store = objects.local_store(workspace)
    return lists.objects(store, {*lists.digests(store)} - unneeded(workspace, without))


def of_models(workspace: Workspace, bundles: Iterable[Bundle]) -> dict[str, set[str] | None]:
    """The locks and the images of the checkout and of models, by their digest, each with the hashes of its lock.

    An image has none: its archive is checked when it is loaded.
    """
    wanted = dict[str, set[str] | None]()
    for commit in ("", *(bundle.source.commit for bundle in bundles)):
        with suppress(SamebookError):
            hashes = environments.hashes(workspace, commit)
            wanted |= hashes | dict.fromkeys(environments.digests(workspace, commit) - hashes.keys())
    return wanted
