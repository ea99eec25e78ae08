"""The commands for unattended work: a pipeline, for one day or many, and the watcher."""

import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from samebook.cli.options import DAY, ENGINE, ENV, ON, VARIABLES, parameters, pods, say, show
from samebook.core import errors, workspace

if TYPE_CHECKING:
    from samebook.cluster.places import Name
    from samebook.cluster.pods import Pods

FORCE = click.option("--force", is_flag=True, help="Run also the steps that a finished run has done already.")


@click.command()
@click.argument("name", metavar="NAME")
@parameters
@ENV
@VARIABLES
@ENGINE
@FORCE
@click.option("--jobs", type=click.IntRange(1, 64), default=2, help="Run this many steps at a time.")
@click.option("--dry-run", "--dry", is_flag=True, help="Print the plan, without a run.")
@click.option(
    "--promotions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the commits of its promotions into this file, as a bundle of git's.",
)
def pipeline(
    name: str,
    given: dict[str, str],
    env: str,
    engine: str,
    force: bool,
    jobs: int,
    dry_run: bool,
    promotions: Path | None,
) -> None:
    """Run environments/pipelines/NAME.yml: its steps, each after those that it needs.

    Example: samebook pipeline daily -p day=2013-07-01

    A step that a finished run has done already (the same notebook, parameters, environment and inputs) is left out,
    so a pipeline that was stopped goes on where it stopped. The exit code is that of the first step that failed.
    """
    from samebook.pipelines import notices
    from samebook.pipelines.step_program import Job
    from samebook.verbs import pipeline as verb

    job = Job(workspace.find(), name, given, env, engine, force, jobs)
    if dry_run:
        show(verb.table(verb.plan(job)))
        return
    try:
        verb.pipeline(job, lambda outcome: show(verb.line(outcome)), promotions)
    finally:
        notices.wait(5)


@click.command()
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a pipeline instead.")
def pipelines(schema: bool) -> None:
    """List the pipelines in environments/pipelines/: the parameters and steps of each."""
    from samebook.pipelines import definition

    if schema:
        click.echo(definition.schema(), nl=False)
        return
    show(definition.table(workspace.find()))


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--from", "first", type=DAY, required=True, help="First day.")
@click.option("--to", "last", type=DAY, required=True, help="Last day, included.")
@parameters
@ENV
@VARIABLES
@ENGINE
@FORCE
@ON
@pods
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    help="Run this many days at a time; by default 2, one a worker, or 4 on Kubernetes.",
)
def backfill(
    name: str,
    first: datetime,
    last: datetime,
    given: dict[str, str],
    env: str,
    engine: str,
    force: bool,
    on: "Name",
    pods: "Pods",
    jobs: int | None,
) -> None:
    """Run the pipeline NAME for each day of a span, side by side; steps that are done already are left out.

    Example: samebook backfill daily --from 2013-07-01 --to 2013-07-31

    Exit code 1 where a day failed; the other days run all the same.
    """
    from samebook.pipelines.step_program import Job
    from samebook.verbs import backfill as verb

    # Workers are in the image already, where the cluster is of containers.
    job = Job(workspace.find(), name, given, env, engine if on == "local" else "local", force)
    span: tuple[date, date] = (first.date(), last.date())
    result = verb.backfill(verb.BackfillRequest(job, *span, jobs or 0, on, pods), say)
    show(verb.table(result))
    if result.failed:
        sys.exit(errors.SamebookError.exit_code)


@click.command()
@ENV
@VARIABLES
@click.option("--once", is_flag=True, help="End once nothing waits, with exit code 1 where something failed.")
def watch(env: str, once: bool) -> None:
    """Run pipelines when data comes in: a complete file in data/inbox/, a new day in the warehouse, or a job's time.

    A file that breaks its schema goes to data/quarantine/ with a report; any other failure is tried again.
    """
    from samebook.pipelines import notices
    from samebook.verbs import watch as verb

    try:
        failed = verb.watch(env, say, once=once)
    finally:
        notices.wait(5)
    if failed:
        sys.exit(errors.SamebookError.exit_code)
