"""Supply of the files of a bundle: brought into the store from a remote one, or made by a rerun of its source."""

from concurrent.futures import ThreadPoolExecutor

from samebook.core import git, head
from samebook.core.digest import sha256
from samebook.core.errors import NotReproduced, SamebookError, UsageError
from samebook.core.text import Say, word
from samebook.core.workspace import Workspace
from samebook.environment.settings import Settings, committed_promotion
from samebook.models import admission, lookup
from samebook.models.bundle import Bundle, statement_objects
from samebook.records import receipt
from samebook.records.receipt import Json
from samebook.reproduction import rerun
from samebook.reproduction.rerun import Site
from samebook.store import objects, remote


def missing_artifacts(workspace: Workspace, bundle: Bundle) -> list[str]:
    """The names of the artifacts that are missing in the store, or damaged there."""
    store = objects.local_store(workspace)
    with ThreadPoolExecutor() as pool:
        states = pool.map(store.is_whole, (artifact.sha256 for artifact in bundle.artifacts.values()))
        return [name for name, is_whole in zip(bundle.artifacts, states, strict=True) if not is_whole]


def fetch_missing(workspace: Workspace, settings: Settings, bundle: Bundle, say: Say) -> list[str]:
    """Fetch missing files from the remote store; returns the names of the artifacts that are still missing.

    `say` hears of a remote that doesn't answer, or denies access; the files then stay missing.
    """
    names, store = missing_artifacts(workspace, bundle), objects.local_store(workspace)
    statements = [digest for digest in statement_objects(bundle) if not store.has(digest)]
    if not names and not statements:
        return []
    try:
        shared = remote.connect(settings.store)
        if shared is None:
            return names
        shared.fetch([*(bundle.artifacts[name].sha256 for name in names), *statements], store, say)
    except SamebookError as error:
        say(str(error))
    return missing_artifacts(workspace, bundle)


def load_complete(workspace: Workspace, settings: Settings, reference: str, env: str, say: Say) -> Bundle:
    """The bundle that `reference` names, with its files whole in the store, admitted by the policy of `env` at HEAD.

    Raises UsageError where a file is missing, or the bundle differs from its receipt; PolicyRefused where it doesn't
    meet the policy: a merge may have brought it from an environment with a weaker one.
    """
    bundle = lookup.read(workspace, reference)
    if names := fetch_missing(workspace, settings, bundle, say):
        raise UsageError(
            f"model {reference}: {names[0]} is not in the store, nor in a remote one ({len(names)} files lack)",
            mend=f"make models MODEL={reference}",
        )
    admission.check(workspace, committed_promotion(workspace, env), bundle, env, lookup.ref(reference))
    return bundle


def rebuild(site: Site, bundle: Bundle, names: list[str]) -> None:
    """Run the bundle's source again, and put its files into the store.

    Raises NotReproduced for other bytes, UsageError for a commit that nobody here has taken in: a bundle is a line of
    text that anybody can write.
    """
    commit = bundle.source.commit
    if not head.is_in_past(site.workspace.root, commit, site.requested_commit):
        raise UsageError(
            f"model {bundle.name} is made by commit {commit[:12]}, which is neither in this branch nor in the one that "
            "you name",
            mend="git fetch --unshallow"
            if git.is_shallow(site.workspace.root)
            else f"git merge {commit[:12]}, if you trust that commit",
        )
    site.say(f"model {bundle.name}: {len(names)} files are nowhere; running {bundle.source.notebook} again")
    store = objects.local_store(site.workspace)
    with rerun.new_run(site, plan(site, bundle)) as run:
        for name in (path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()):
            artifact = bundle.artifacts.get(name)
            if artifact and sha256(run / name) == artifact.sha256:
                store.put(run / name)
    if missing := missing_artifacts(site.workspace, bundle):
        raise NotReproduced(
            f"model {bundle.name} was made again and differs: {', '.join(missing)}",
            mend=f"make reproduce RUN={word(bundle.receipt.run)}",
        )


def plan(site: Site, bundle: Bundle) -> Json:
    """The plan to run the bundle's source again, with the numerics, threads and variables of its receipt where that is
    here: the bundle has none.
    """
    again = bundle.plan()
    if content := rerun.read_object(objects.local_store(site.workspace), bundle.receipt.sha256, site.say):
        statement = receipt.parse(content, f"the receipt of model {bundle.name}")
        again["predicate"]["buildDefinition"]["internalParameters"] = receipt.conditions(statement)
    return again
