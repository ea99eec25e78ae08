"""The models that a branch brings, with what the shared store has of their runs: what another builder has to run again.

Nothing of them is trusted: a bundle and its receipts are the branch's own word, which a reproduction holds against what
a new run makes.
"""

from collections.abc import Iterator

from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.models import bundle as bundles
from samebook.models import lookup
from samebook.models.bundle import Bundle
from samebook.review import span
from samebook.store import objects, remote
from samebook.store.remote import Remote


def references(workspace: Workspace, range_: str, env: str, say: Say) -> list[str]:
    """The reference, name@commit, of each model that is new or another one in a range such as main..HEAD.

    What their runs need comes from the shared store of `env`, where its settings name one. Raises UsageError for a text
    that is not a range, and a bundle that is not whole.
    """
    changes = span.parse(workspace.root, range_)
    found = {f"{name}@{changes.after}": name for name in _names(workspace, changes)}
    shared = remote.connect(settings.load(workspace, env).store) if found else None
    for reference in found:
        bundle = lookup.read(workspace, reference)
        if shared:
            _fetch(workspace, shared, bundle, say)
    return list(found)


def _names(workspace: Workspace, changes: span.Span) -> Iterator[str]:
    folder = f"{workspace.relative(workspace.models)}/"
    for path, status in sorted(changes.paths.items()):
        name = path.removeprefix(folder).removesuffix(".json")
        if path == f"{folder}{name}.json" and "/" not in name and status != "D":
            yield name


def _fetch(workspace: Workspace, shared: Remote, bundle: Bundle, say: Say) -> None:
    """Bring the statements on a model, its inputs, and then the days that its receipts list."""
    store = objects.local_store(workspace)
    shared.fetch(bundles.referenced_objects(bundle), store, say)
    shared.fetch(lookup.objects_of(workspace, bundle), store, say)
