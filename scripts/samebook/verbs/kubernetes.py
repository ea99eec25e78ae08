"""Write the manifests by which Kubernetes runs a notebook once or for many sets, or a pipeline for many days."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from samebook.cluster import kubernetes as manifests
from samebook.cluster.kubernetes import Frame
from samebook.core.json_value import json_object
from samebook.core.workspace import Workspace
from samebook.data import dataset
from samebook.environment import settings
from samebook.execution.grids import ParameterSet
from samebook.execution.preparation import PreparedRun
from samebook.pipelines import definition, step_program
from samebook.pipelines.step_program import Job


@dataclass(frozen=True)
class RenderRequest:
    """One call of `samebook kubernetes render`. The limits `memory` (2Gi) and `cores` (2) are a pod's, "" for none."""

    env: str
    image: str
    memory: str = ""
    cores: str = ""
    parallel: int = 2


def kubernetes(request: RenderRequest, workspace: Workspace, name: str, calls: Sequence[Sequence[str]]) -> str:
    """The manifests of these calls of samebook, under a name of theirs: a Job for one, an indexed Job for several.

    Raises UsageError for an image without a digest, and for what Kubernetes could not take.
    """
    secrets = settings.load(workspace, request.env).secret_names()
    frame = Frame(request.env, request.image, tuple(sorted(secrets)), request.memory, request.cores)
    if len(calls) == 1:
        return manifests.text(manifests.job(frame, name, calls[0]), frame)
    return manifests.text(manifests.indexed_job(frame, name, calls, request.parallel), frame)


def runs(prepared: PreparedRun, sets: Sequence[ParameterSet]) -> list[list[str]]:
    """The call of a run that has been prepared here, or one for each set.

    A pod that starts again, and a job that is applied again, take the run that is done already.
    """
    timeout = () if prepared.request.cell_timeout is None else ("--timeout", str(prepared.request.cell_timeout))
    return [
        ["run", prepared.name, "--params", json_object(parameters), "--env", prepared.request.env, *timeout, "--reuse"]
        for parameters in ({**prepared.request.parameters, **values} for values in sets or [{}])
    ]


def days(job: Job, first: datetime.date, last: datetime.date) -> list[list[str]]:
    """The call of a pipeline for each day of a span, both ends included; steps that are done are left out.

    Raises UsageError where the first day can't run at all.
    """
    span = dataset.span(first, last)
    today = datetime.datetime.now(datetime.UTC).date()
    definition.prepared_steps(definition.read(job.workspace, job.name), {**job.given, "day": str(span[0])}, today)
    return [list(step_program.call(job, day)) for day in span]
