"""The commands for clusters: the certificates of one of Dask, which make starts, and manifests for Kubernetes."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from samebook.cli.options import DAY, ENV, SECONDS, clone, parameters, say, show
from samebook.cli.sweeps import Variations, variations
from samebook.core import errors, workspace

if TYPE_CHECKING:
    from samebook.pipelines.git_use import Clone


@click.group()
def cluster() -> None:
    """Prepare a cluster of Dask, to which commands with --on dask send their runs."""


@cluster.command()
@click.argument("scheduler", metavar="SCHEDULER", default="tls://scheduler:8786")
def certificates(scheduler: str) -> None:
    """Make the certificates of a new cluster whose scheduler will be at SCHEDULER, tls://host:port.

    Example: samebook cluster certificates tls://127.0.0.1:8786

    They are in .samebook/cluster/: Dask's scheduler and workers take them from there, as do commands with --on dask.
    Those of an earlier cluster are replaced. make cluster calls this, and starts scheduler and workers in containers.
    """
    from samebook.verbs import cluster as verb

    found = workspace.find()
    show(found.relative(verb.cluster(found, scheduler)))


@click.group()
def kubernetes() -> None:
    """Write manifests for Kubernetes."""


@kubernetes.command()
@click.option("--image", required=True, help="Image that Kubernetes shall run, by digest: NAME@sha256:…")
@click.option("--notebook", default="", help="Run this notebook: once, or for each set of a grid or file.")
@variations
@parameters
@click.option("--timeout", type=SECONDS, help="Seconds that a cell may take; 0 sets no limit.")
@click.option("--name", "pipeline", default="", help="Run this pipeline for each day of a span instead.")
@click.option("--from", "first", type=DAY, help="First day.")
@click.option("--to", "last", type=DAY, help="Last day, included.")
@click.option("--jobs", type=click.IntRange(1, 10_000), default=4, help="Run this many pods at a time.")
@click.option("--memory", default="", help="Memory of a pod, like 2Gi; a pod that takes more is ended.")
@click.option("--cores", default="", help="Cores of a pod, like 2.")
@clone
@ENV
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="Write the file into this folder.")
def render(
    image: str,
    notebook: str,
    vary: Variations,
    given: dict[str, str],
    timeout: int | None,
    pipeline: str,
    first: datetime | None,
    last: datetime | None,
    jobs: int,
    memory: str,
    cores: str,
    clone: "Clone",
    env: str,
    into: Path | None,
) -> None:
    """Write the manifests of a run, a sweep, a backfill, or, without one of them, of the schedule's jobs.

    \b
    Examples: samebook kubernetes render --image $IMAGE --notebook train --grid "max_depth=3,5,7"
              samebook kubernetes render --image $IMAGE --name daily --from 2013-07-01 --to 2013-07-31
              samebook kubernetes render --image $IMAGE --env prod

    A sweep and a backfill are one Job with an index for each run; what fails stops no other, and what is done is not
    run again. Nothing is sent to a cluster: kubectl apply -f does that.
    """
    from samebook.execution import preparation
    from samebook.execution.preparation import RunRequest
    from samebook.pipelines.step_program import Job
    from samebook.verbs import kubernetes as verb
    from samebook.verbs import schedule, sweep

    found = workspace.find()
    request = verb.RenderRequest(env, image, memory, cores, jobs, clone)
    if notebook and pipeline:
        raise errors.UsageError(
            "found a notebook and a pipeline; expected one of them", mend=f"again, without NAME={pipeline}"
        )
    if notebook:
        run = RunRequest(notebook, given, env, timeout)
        plan = sweep.plan(vary.request(run)) if vary.grid or vary.file else None
        prepared = plan.prepared if plan else preparation.prepare(found, run)
        sets = plan.sets if plan else []
        reasons = verb.reasons_of_runs(prepared, sets)
        text = verb.kubernetes(request, found, notebook, verb.runs(prepared, sets), reasons)
    elif pipeline:
        if not (first and last):
            raise errors.UsageError(
                "a backfill has a first and a last day",
                mend=f"again, with NAME={pipeline} FROM=2013-07-01 TO=2013-07-31",
            )
        job = Job(found, pipeline, given, env)
        calls = verb.days(job, first.date(), last.date())
        text = verb.kubernetes(request, found, pipeline, calls, verb.reasons_of_days(job))
    else:
        cron = schedule.ScheduleRequest(env, "kubernetes", image, memory, cores, clone)
        (text,) = schedule.schedule(found, cron).values()
    if into:
        title = "-".join(filter(None, ("samebook", env, notebook or pipeline)))
        path = into / f"{title.replace('/', '-')}.yaml"
        workspace.write_whole(path, text.encode())
        text = str(path)
    show(text.removesuffix("\n"))


@kubernetes.command()
@ENV
def results(env: str) -> None:
    """Bring the runs here that pods have sent to the shared store of an environment.

    Example: samebook kubernetes results --env prod

    Pods send their runs there where the settings name a store. Each file is checked by its sha256, and each run against
    the code of this checkout; runs of other code stay there.
    """
    from samebook.verbs import kubernetes as verb

    show(verb.results(workspace.find(), env, say))
