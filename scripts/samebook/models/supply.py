"""Brings what a bundle names into the store: from the remote store, else by running its source again."""

import json
from concurrent.futures import ThreadPoolExecutor

from samebook.core.digest import sha256
from samebook.core.errors import NotReproduced, PolicyRefused, SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.environment.settings import Settings
from samebook.models import lookup, policy
from samebook.models.bundle import Bundle
from samebook.records import attestations, receipt, rerun
from samebook.records.comparison import Verdict
from samebook.records.rerun import Say, Site
from samebook.store import objects, remote

SOURCE = ("notebook", "parameters", "env")


def missing_artifacts(workspace: Workspace, found: Bundle) -> list[str]:
    """The artifacts, by name, whose bytes the store does not hold whole."""
    kept = objects.local_store(workspace)
    with ThreadPoolExecutor() as pool:
        whole = pool.map(kept.is_whole, (each.sha256 for each in found.artifacts.values()))
        return [name for name, is_whole in zip(found.artifacts, whole, strict=True) if not is_whole]


def fetch_missing(workspace: Workspace, in_force: Settings, found: Bundle, say: Say) -> list[str]:
    """Ask the remote for what the store lacks; the artifacts, by name, that are still lacking.

    A remote that doesn't answer, or denies, is said, and is as good as none.
    """
    names, kept = missing_artifacts(workspace, found), objects.local_store(workspace)
    statements = [each.sha256 for each in (found.receipt, *found.reproductions) if not kept.has(each.sha256)]
    if not names and not statements:
        return []
    try:
        shared = remote.of(in_force.store)
        if shared is None:
            return names
        shared.fetch([*(found.artifacts[name].sha256 for name in names), *statements], kept, say)
    except SamebookError as error:
        say(str(error))
    return missing_artifacts(workspace, found)


def load_complete(workspace: Workspace, in_force: Settings, reference: str, say: Say) -> Bundle:
    """The bundle that `reference` names: its files whole in the store, itself what its receipt says.

    Raises UsageError where they are not, PolicyRefused where it doesn't meet the policy in force: a merge may have
    brought it from an environment that asks for less.
    """
    found = lookup.read(workspace, reference)
    if names := fetch_missing(workspace, in_force, found, say):
        raise UsageError(
            f"model {reference}: {names[0]} is not in the store, nor in a remote one ({len(names)} files lack)",
            mend=f"make models MODEL={reference}, which runs its source again where need be",
        )
    _check_receipt(workspace, found)
    if lacks := policy.unmet_by_bundle(found, in_force.promotion, reproducers(workspace, found)):
        raise PolicyRefused(
            f"model {reference} does not meet the policy that is in force here: {'; '.join(lacks)}",
            mend=f"make promote RUN={found.receipt.run} MODEL={found.name} with the ENV that it shall run in",
        )
    return found


def _check_receipt(workspace: Workspace, found: Bundle) -> None:
    """Raise UsageError where a bundle says other things than its receipt. From git alone there may be no receipt."""
    content = objects.local_store(workspace).get(found.receipt.sha256)
    if content is None:
        return
    statement = json.loads(content)
    receipt.check(statement, f"the receipt of model {found.name}")
    commit = receipt.dependency(statement, receipt.COMMIT) or {"digest": {}}
    told = {
        "files": receipt.subject_digests(statement) == {name: each.sha256 for name, each in found.artifacts.items()},
        "commit": commit["digest"].get("gitCommit") == found.source.commit,
        "source": receipt.external_parameters(statement) == {key: getattr(found.source, key) for key in SOURCE},
        "inputs": receipt.inputs(statement) == receipt.inputs(found.plan()),
        "builder": statement["predicate"]["runDetails"]["builder"]["id"] == found.receipt.builder,
    }
    if wrong := [name for name, holds in told.items() if not holds]:
        raise UsageError(f"model {found.name} can't be trusted: its receipt has other {', '.join(wrong)}")


def reproducers(workspace: Workspace, found: Bundle) -> set[str]:
    """Who has reproduced it, by the attestations in the store that say so of this very receipt."""
    builders = set[str]()
    for each in found.reproductions:
        content = objects.local_store(workspace).get(each.sha256)
        told = attestations.parse(content) if content else None
        if told and told["predicate"]["receipt"]["sha256"] == found.receipt.sha256:
            facts = attestations.facts(told)
            builders |= {facts["builder"]} if facts["verdict"] == Verdict.IDENTICAL else set()
    return builders


def rebuild(site: Site, found: Bundle, names: list[str]) -> None:
    """Run the bundle's source again, and keep what it names. Raises NotReproduced where other bytes come out."""
    site.say(f"model {found.name}: {len(names)} files are nowhere; running {found.source.notebook} again")
    kept = objects.local_store(site.workspace)
    with rerun.new_run(site, found.plan()) as run:
        for name in (path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()):
            told = found.artifacts.get(name)
            if told and sha256(run / name) == told.sha256:
                kept.put(run / name)
    if wrong := missing_artifacts(site.workspace, found):
        raise NotReproduced(f"model {found.name} was made again and differs: {', '.join(wrong)}")
