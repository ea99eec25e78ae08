"""Supply of the files of a bundle: brought into the store from a remote one, or made by a rerun of its source."""

import json
from concurrent.futures import ThreadPoolExecutor

from samebook.core.digest import sha256
from samebook.core.errors import NotReproduced, PolicyRefused, SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.environment.settings import Settings
from samebook.models import lookup, policy
from samebook.models.bundle import Bundle
from samebook.records import attestations, receipt
from samebook.records.comparison import Verdict
from samebook.reproduction import rerun
from samebook.reproduction.rerun import Say, Site
from samebook.store import objects, remote

SOURCE = ("notebook", "parameters", "env")


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
    digests = [statement.sha256 for statement in (bundle.receipt, *bundle.reproductions)]
    statements = [digest for digest in digests if not store.has(digest)]
    if not names and not statements:
        return []
    try:
        shared = remote.of(settings.store)
        if shared is None:
            return names
        shared.fetch([*(bundle.artifacts[name].sha256 for name in names), *statements], store, say)
    except SamebookError as error:
        say(str(error))
    return missing_artifacts(workspace, bundle)


def load_complete(workspace: Workspace, settings: Settings, reference: str, say: Say) -> Bundle:
    """The bundle that `reference` names, with its files whole in the store.

    Raises UsageError where a file is missing, or the bundle differs from its receipt; PolicyRefused where it doesn't
    meet the policy of these settings: a merge may have brought it from an environment with a weaker one.
    """
    bundle = lookup.read(workspace, reference)
    if names := fetch_missing(workspace, settings, bundle, say):
        raise UsageError(
            f"model {reference}: {names[0]} is not in the store, nor in a remote one ({len(names)} files lack)",
            mend=f"make models MODEL={reference}, which runs its source again where need be",
        )
    _check_receipt(workspace, bundle)
    if conditions := policy.unmet_by_bundle(bundle, settings.promotion, reproducers(workspace, bundle)):
        raise PolicyRefused(
            f"model {reference} does not meet the policy that is in force here: {'; '.join(conditions)}",
            mend=f"make promote RUN={bundle.receipt.run} MODEL={bundle.name} with the ENV that it shall run in",
        )
    return bundle


def _check_receipt(workspace: Workspace, bundle: Bundle) -> None:
    """Raise UsageError where a bundle differs from its receipt. In a fresh clone the store may have no receipt."""
    content = objects.local_store(workspace).get(bundle.receipt.sha256)
    if content is None:
        return
    statement = json.loads(content)
    receipt.check(statement, f"the receipt of model {bundle.name}")
    commit = receipt.dependency(statement, receipt.COMMIT) or {"digest": {}}
    matches = {
        "files": receipt.subject_digests(statement) == {name: file.sha256 for name, file in bundle.artifacts.items()},
        "commit": commit["digest"].get("gitCommit") == bundle.source.commit,
        "source": receipt.external_parameters(statement) == {key: getattr(bundle.source, key) for key in SOURCE},
        "inputs": receipt.inputs(statement) == receipt.inputs(bundle.plan()),
        "builder": statement["predicate"]["runDetails"]["builder"]["id"] == bundle.receipt.builder,
    }
    if mismatches := [name for name, is_match in matches.items() if not is_match]:
        raise UsageError(f"model {bundle.name} can't be trusted: its receipt has other {', '.join(mismatches)}")


def reproducers(workspace: Workspace, bundle: Bundle) -> set[str]:
    """The builders that have reproduced a model, by the attestations in the store that name its receipt."""
    builders = set[str]()
    for reproduction in bundle.reproductions:
        content = objects.local_store(workspace).get(reproduction.sha256)
        attestation = attestations.parse(content) if content else None
        if attestation and attestation["predicate"]["receipt"]["sha256"] == bundle.receipt.sha256:
            facts = attestations.facts(attestation)
            builders |= {facts["builder"]} if facts["verdict"] == Verdict.IDENTICAL else set()
    return builders


def rebuild(site: Site, bundle: Bundle, names: list[str]) -> None:
    """Run the bundle's source again, and put its files into the store. Raises NotReproduced for other bytes."""
    site.say(f"model {bundle.name}: {len(names)} files are nowhere; running {bundle.source.notebook} again")
    store = objects.local_store(site.workspace)
    with rerun.new_run(site, bundle.plan()) as run:
        for name in (path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()):
            artifact = bundle.artifacts.get(name)
            if artifact and sha256(run / name) == artifact.sha256:
                store.put(run / name)
    if missing := missing_artifacts(site.workspace, bundle):
        raise NotReproduced(f"model {bundle.name} was made again and differs: {', '.join(missing)}")
