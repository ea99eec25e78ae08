"""Environments of commits: the locks and the base image of each, and what of them is kept."""

import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git
from samebook.core.digest import sha256
from samebook.core.errors import SamebookError
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.environment.identity import LOCKS
from samebook.store.objects import Store, local_store
from samebook.wheelhouse import base_image, download, lists, pinned_base


@dataclass(frozen=True)
class Platform:
    """What an environment is for: an engine, and with docker the base image."""

    engine: str
    base_image: str = ""

    @property
    def name(self) -> str:
        return download.platform_name(self.engine)


@dataclass(frozen=True)
class Kept:
    """What is kept of an environment: the sha256 of each lock, the digest of the base image, or why it is not kept."""

    locks: Mapping[str, str]
    image: str = ""
    reason: str = ""


def locks(workspace: Workspace, commit: str = "") -> dict[str, bytes]:
    """The locks of a commit, by name, or those of the checkout. Raises UsageError for a commit that is not here."""
    if commit:
        known = git.commit(workspace.root, commit)
        found = {name: git.file_content(workspace.root, known, f"environments/{name}") for name in LOCKS}
        return {name: content for name, content in found.items() if content is not None}
    files = (workspace.environments / name for name in LOCKS)
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def digests(workspace: Workspace, commit: str = "") -> set[str]:
    """The sha256 of each lock of a commit or the checkout, and the digest of its base image, where it has one."""
    return {
        *map(sha256, locks(workspace, commit).values()),
        *map(base_image.digest, pinned_base.of(workspace, commit)),
    }


def hashes(workspace: Workspace, commit: str = "") -> dict[str, set[str]]:
    """The hashes of the files of each lock of a commit or the checkout, by the lock's sha256."""
    return {
        sha256(lock): {*lists.HASH.findall(lock.decode(errors="replace"))} for lock in locks(workspace, commit).values()
    }


def keep(workspace: Workspace, commit: str, platform: Platform, say: Say) -> Kept:
    """Keep the files of the locks of a commit, or of the checkout, and with docker the base image.

    Raises SamebookError, and lists nothing, where an index does not have them.
    """
    store, texts = local_store(workspace), locks(workspace, commit)
    missing = {name: lock for name, lock in texts.items() if not lists.is_complete(store, lock, platform.name)}
    if missing:
        # What builds a source distribution is there by hash, too.
        missing |= {name: lock for name, lock in texts.items() if name == download.BUILD}
        _download(store, missing, platform, say)
    image = reason = ""
    if platform.engine == "docker":
        try:
            image = base_image.keep(store, platform.base_image)
        except SamebookError as error:  # the packages are kept all the same
            reason = f"{error}\n  -> {error.mend}"
    return Kept({name: sha256(lock) for name, lock in texts.items()}, image, reason)


def _download(store: Store, texts: Mapping[str, bytes], platform: Platform, say: Say) -> None:
    say(f"downloading the files of {', '.join(sorted(texts))}")
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "files"
        into.mkdir()
        paths = [Path(folder) / name for name in texts]
        for path in paths:
            path.write_bytes(texts[path.name])
        download.download(paths, into, platform.base_image if platform.engine == "docker" else "")
        for lock in texts.values():
            lists.put(store, lock, sorted(into.iterdir()), platform.name)


def size(store: Store, names: Iterable[str]) -> tuple[int, int]:
    """The number of objects that the lists of these locks and images name, each counted once, and their bytes."""
    found = 0
    kept = lists.objects(store, names)
    for digest in kept:
        with suppress(FileNotFoundError):
            found += store.path(digest).stat().st_size
    return len(kept), found
