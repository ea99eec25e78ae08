"""Keep what an environment is made of in the store: the files of the locks, by hash, and the base image by digest.

With them the environment is made where no index has them any more, or none can be reached.
"""

from dataclasses import dataclass, replace

from samebook.core.file_lock import hold
from samebook.core.text import Say, align
from samebook.core.workspace import Workspace
from samebook.models import commits
from samebook.store import objects
from samebook.store.transfer import format_size
from samebook.wheelhouse import environments, lists, pinned_base
from samebook.wheelhouse.environments import Platform


@dataclass(frozen=True)
class Weight:
    """The number of objects of a lock, of an image, or of all together, and their bytes."""

    name: str
    objects: int
    size: int


@dataclass(frozen=True)
class KeepResult:
    """The weight of each lock and of the base image; of all of them, and of all that the store keeps, each object once.

    `reason` says why there is no base image.
    """

    parts: list[Weight]
    together: Weight
    all: Weight
    reason: str = ""


def keep(workspace: Workspace, commit: str, platform: Platform, say: Say) -> KeepResult:
    """Keep the environment of a commit, or that of the checkout. Raises SamebookError where an index lacks a file."""
    base = pinned_base.for_commit(workspace, commit, platform.base_image)
    with hold(workspace.root / commits.LOCK):  # gc waits: files that no list names yet are nobody's
        kept = environments.keep(workspace, commit, replace(platform, base_image=base), say)
    store = objects.local_store(workspace)
    names = {**kept.locks, **({"base image": kept.image} if kept.image else {})}

    def weight(name: str, digests: list[str]) -> Weight:
        return Weight(name, *environments.size(store, digests))

    parts = [weight(name, [digest]) for name, digest in names.items()]
    every = weight("all that is kept", lists.digests(store))
    return KeepResult(parts, weight("together", list(names.values())), every, kept.reason)


def table(result: KeepResult) -> str:
    """The result as text: what each part weighs, and all together."""
    rows = [result.together, *([result.all] if result.all.objects != result.together.objects else [])]
    lines = align(
        [
            (part.name, f"{part.objects} {'object' if part.objects == 1 else 'objects'}", format_size(part.size))
            for part in (*result.parts, *rows)
        ],
        right={1, 2},
    )
    return "\n".join((*lines, *([result.reason] if result.reason else [])))
