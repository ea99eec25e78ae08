"""Write the manifests by which Kubernetes runs a notebook once or for many sets, or a pipeline for many days."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from samebook.cluster import kubernetes as manifests
from samebook.cluster import pods, program
from samebook.cluster.frame import Frame
from samebook.cluster.index_program import Calls
from samebook.cluster.pods import Pods
from samebook.cluster.results import Results
from samebook.core.digest import sha256
from samebook.core.errors import EnvironmentMismatch
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.data import dataset
from samebook.environment import settings
from samebook.execution.grids import ParameterSet
from samebook.execution.json_value import json_object
from samebook.execution.preparation import PreparedRun
from samebook.pipelines import definition, git_use, step_program
from samebook.pipelines.git_use import Clone
from samebook.pipelines.step_program import Job
from samebook.records import run_folder
from samebook.store import remote


@dataclass(frozen=True)
class RenderRequest:
    """One call of `samebook kubernetes render`. The limits `memory` (2Gi) and `cores` (2) are a pod's, "" for none.

    `clone` is the repository for calls that need one.
    """

    env: str
    image: str
    memory: str = ""
    cores: str = ""
    parallel: int = 2
    clone: Clone = field(default_factory=Clone)


def kubernetes(
    request: RenderRequest, workspace: Workspace, name: str, calls: Sequence[Sequence[str]], reasons: Sequence[str] = ()
) -> str:
    """The manifests of these calls of samebook, under a name of theirs: a Job for one, an indexed Job for several.
    With `reasons` to need the git repository, in words, each pod has it.

    Raises UsageError for an image without a digest, and for what Kubernetes could not take.
    """
    loaded = settings.load(workspace, request.env)
    repository = request.clone.repository(workspace, name, reasons)
    if loaded.store.url:
        shared = pods.frame(workspace, request.env, loaded, Pods(request.image, request.memory, request.cores))
        frame = replace(shared, repository=repository)
        content = Calls.of(workspace, frame, calls)
        job = manifests.shared_job(frame, name, content.text, content.digests, request.parallel)
        return manifests.text(job, frame)
    secrets = tuple(sorted(loaded.secret_names()))
    limits = (request.memory, request.cores)
    frame = Frame(request.env, request.image, secrets, *limits, repository=repository, project=workspace.project)
    if len(calls) == 1:
        return manifests.text(manifests.job(frame, name, calls[0]), frame)
    return manifests.text(manifests.indexed_job(frame, name, calls, request.parallel), frame)


def reasons_of_runs(prepared: PreparedRun, sets: Sequence[ParameterSet]) -> list[str]:
    """What runs need the git repository for, in words."""
    values = (prepared.request.parameters, *sets)
    texts = [str(text) for each in values for text in each.values()]
    defaults = [text for text in prepared.values.values() if isinstance(text, str)]
    return git_use.models_of_refs([*texts, *defaults], prepared.settings.ab_test)


def runs(prepared: PreparedRun, sets: Sequence[ParameterSet]) -> list[list[str]]:
    """The call of a run that has been prepared here, or one for each set.

    A pod that starts again, and a job that is applied again, take the run that is done already: by `--reuse`, or from
    the shared store.
    """
    requests = [
        replace(prepared.request, parameters={**prepared.request.parameters, **values}) for values in sets or [{}]
    ]
    if prepared.settings.store.url:
        return [list(program.call(request)) for request in requests]
    timeout = () if prepared.request.cell_timeout is None else ("--timeout", str(prepared.request.cell_timeout))
    return [
        ["run", prepared.name, "--params", json_object(request.parameters), "--env", request.env, *timeout, "--reuse"]
        for request in requests
    ]


def days(job: Job, first: datetime.date, last: datetime.date) -> list[list[str]]:
    """The call of a pipeline for each day of a span, both ends included; steps that are done are left out.

    Raises UsageError where the first day can't run at all.
    """
    span = dataset.span(first, last)
    today = datetime.datetime.now(datetime.UTC).date()
    pipeline = definition.read(job.workspace, job.name)
    git_use.check_backfill(job.name, pipeline)
    definition.prepared_steps(pipeline, {**job.given, "day": str(span[0])}, today)
    return [list(step_program.call(job, day)) for day in span]


def reasons_of_days(job: Job) -> list[str]:
    """What a pipeline's days need the git repository for, in words."""
    pipeline = definition.read(job.workspace, job.name)
    ab_test = settings.load(job.workspace, job.env).ab_test
    return [*git_use.models_of_refs([*job.given.values()], None), *git_use.reasons(pipeline, ab_test)]


def results(workspace: Workspace, env: str, say: Say) -> str:
    """Bring the runs that pods have sent to the shared store, and that are not here; the result in a line.

    Those of other code than this checkout's stay there, and are counted. Raises UsageError without a shared store,
    SamebookError for a run that is not whole.
    """
    shared = Results(workspace, remote.require(workspace, env))
    here = {sha256(path) for path in workspace.runs.glob(f"*Z-*/{run_folder.RECEIPT}")}
    brought, others = 0, 0
    for digest in shared.digests():
        receipts = shared.receipts(digest) or []
        if here.issuperset(receipts):
            continue
        try:
            runs = shared.take(receipts, say)
        except EnvironmentMismatch:
            others += 1
            continue
        brought += len(runs)
        say("\n".join(run.name for run in runs))
    return f"{brought} runs brought; {others} results are of other code than this checkout's"
