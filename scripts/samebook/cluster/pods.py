"""The pods that execute runs on Kubernetes, and what must hold here before any is sent: an image, a clean checkout."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from samebook.cluster.frame import Frame
from samebook.cluster.indexed_jobs import IndexedJobs
from samebook.cluster.program import OF_A_MACHINE
from samebook.cluster.results import Results
from samebook.core import subcommand, uncommitted
from samebook.core.errors import UsageError
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.environment import callers, machine, settings, variables
from samebook.store import objects, remote

# The number of pods at a time.
PARALLEL = 4
# What the image itself says of its commit.
OF_THE_IMAGE = {"SAMEBOOK_COMMIT", "SAMEBOOK_PATCH", "SAMEBOOK_PINNED", variables.EXTRA}
SHOWN = 3


@dataclass(frozen=True)
class Pods:
    """The image of pods, by digest, and their limits `memory` (2Gi) and `cores` (2); "" for none."""

    image: str = ""
    memory: str = ""
    cores: str = ""


def sender(workspace: Workspace, env: str, pods: Pods, title: str, jobs: int, say: Say) -> IndexedJobs:
    """The sender of calls to the cluster, `jobs` of them at a time (0: PARALLEL).

    Raises UsageError where there is no image with a digest, no shared store, or a change that the image lacks.
    """
    if machine.engine() == "docker" or not subcommand.has_kernels():
        raise UsageError(
            "runs are sent to Kubernetes by your own kubectl, which is in no container", mend="make … ENGINE=local"
        )
    if not pods.image:
        raise UsageError(
            "Kubernetes needs an image that it can pull, by digest", mend="make … IMAGE=registry/name@sha256:…"
        )
    sent = frame(workspace, env, settings.load(workspace, env), pods)
    results = Results(workspace, remote.require(workspace, env))
    _check_clean(workspace)
    return IndexedJobs(results, sent, title, jobs or PARALLEL, say)


def frame(workspace: Workspace, env: str, loaded: settings.Settings, pods: Pods) -> Frame:
    """What the pods have whose results go to the shared store. Raises UsageError for an image without a digest, and for
    a secret among the variables of this shell.
    """
    secrets, handed = tuple(sorted(loaded.secret_names())), decisive_variables(loaded.variables)
    limits = (pods.memory, pods.cores)
    texts = tuple(sorted(handed.items()))
    return Frame(env, pods.image, secrets, *limits, is_shared=True, variables=texts, project=workspace.project)


def decisive_variables(named: Sequence[str]) -> dict[str, str]:
    """The variables of this shell that decide a run's result: settings, and those that settings and -e name.

    Raises UsageError for a secret among these: a manifest has no text of one.
    """
    handed = callers.values((*named, *callers.extra_names()))
    if secrets := [name for name, text in handed.items() if callers.digest(name, text) is None]:
        raise UsageError(f"{secrets[0]} holds a secret, which no manifest may have", mend="again, without ON")
    overrides = {name: text for name, text in os.environ.items() if name.startswith(variables.OWN)}
    own = {name: text for name, text in overrides.items() if name not in OF_A_MACHINE | OF_THE_IMAGE}
    return {**own, **handed, **({variables.EXTRA: " ".join(handed)} if handed else {})}


def _check_clean(workspace: Workspace) -> None:
    """Raise UsageError for uncommitted changes: the image has none of them, and a Dask cluster's workers would."""
    root = workspace.root
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return
    changes = uncommitted.changes(root, (workspace.runs, objects.local_store(workspace).root, workspace.data))
    if changes.patch != b"":
        names = uncommitted.names(root, changes.patch) if changes.patch else changes.unpatched
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise UsageError(
            f"the image has only what is committed, and this checkout has changes: {', '.join(names[:SHOWN])}{more}",
            mend="git commit --all",
        )
