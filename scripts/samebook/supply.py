"""Brings what a bundle names into the store: from the remote store, else by running its source again."""

from concurrent.futures import ThreadPoolExecutor

from samebook import bundles, elsewhere, remote, store
from samebook.bundle import Bundle
from samebook.digest import sha256
from samebook.elsewhere import Elsewhere, Say
from samebook.errors import NotReproduced, SamebookError, UsageError
from samebook.settings import Settings
from samebook.workspace import Workspace


def lacking(workspace: Workspace, found: Bundle) -> list[str]:
    """The artifacts, by name, whose bytes the store does not hold whole."""
    kept = store.of(workspace)
    with ThreadPoolExecutor() as pool:
        whole = pool.map(kept.whole, (each.sha256 for each in found.artifacts.values()))
        return [name for name, is_whole in zip(found.artifacts, whole, strict=True) if not is_whole]


def fetched(workspace: Workspace, in_force: Settings, found: Bundle, say: Say) -> list[str]:
    """Ask the remote for what the store lacks; the artifacts, by name, that are still lacking.

    A remote that doesn't answer, or denies, is said, and is as good as none.
    """
    names = lacking(workspace, found)
    if not names:
        return []
    try:
        if shared := remote.of(in_force.store):
            shared.fetch([found.artifacts[name].sha256 for name in names], store.of(workspace), say)
    except SamebookError as error:
        say(str(error))
    return lacking(workspace, found)


def complete(workspace: Workspace, in_force: Settings, reference: str, say: Say) -> Bundle:
    """The bundle that `reference` names, its files whole in the store. Raises UsageError where they are not."""
    found = bundles.read(workspace, reference)
    if names := fetched(workspace, in_force, found, say):
        raise UsageError(
            f"model {reference}: {names[0]} is not in the store, nor in a remote one ({len(names)} files lack)",
            mend=f"make models MODEL={reference}, which runs its source again where need be",
        )
    return found


def rebuild(place: Elsewhere, found: Bundle, names: list[str]) -> None:
    """Run the bundle's source again, and keep what it names. Raises NotReproduced where other bytes come out."""
    place.say(f"model {found.name}: {len(names)} files are nowhere; running {found.source.notebook} again")
    kept = store.of(place.here)
    with elsewhere.again(place, found.plan()) as run:
        for name in (path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()):
            told = found.artifacts.get(name)
            if told and sha256(run / name) == told.sha256:
                kept.put(run / name)
    if wrong := lacking(place.here, found):
        raise NotReproduced(f"model {found.name} was made again and differs: {', '.join(wrong)}")
