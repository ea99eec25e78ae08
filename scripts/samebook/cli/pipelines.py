"""The commands of unattended work: pipelines, for a day or many, and the watcher."""

import sys
from datetime import date, datetime

import click

from samebook.cli.options import ENGINE, ENV, parameters, say, show
from samebook.core import errors, workspace

FORCE = click.option("--force", is_flag=True, help="Run what a finished run has done already, too.")
DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("name", metavar="NAME")
@parameters
@ENV
@ENGINE
@FORCE
@click.option("--jobs", type=click.IntRange(1, 64), default=2, help="Steps that run at a time.")
@click.option("--dry-run", "--dry", is_flag=True, help="Print the plan, and start nothing.")
def pipeline(name: str, given: dict[str, str], env: str, engine: str, force: bool, jobs: int, dry_run: bool) -> None:
    """Run environments/pipelines/NAME.yml: its steps, each after what it needs.

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
        verb.pipeline(job, lambda outcome: show(verb.line(outcome)))
    finally:
        notices.wait(5)


@click.command()
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a pipeline instead.")
def pipelines(schema: bool) -> None:
    """List the pipelines in environments/pipelines/: what each may be given, and its steps."""
    from samebook.pipelines import definition as found

    if schema:
        click.echo(found.schema(), nl=False)
        return
    show(found.table(workspace.find()))


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--from", "first", type=DAY, required=True, help="The first day.")
@click.option("--to", "last", type=DAY, required=True, help="The last day, included.")
@parameters
@ENV
@ENGINE
@FORCE
@click.option("--jobs", type=click.IntRange(1, 64), default=2, help="Days that run at a time.")
def backfill(
    name: str,
    first: datetime,
    last: datetime,
    given: dict[str, str],
    env: str,
    engine: str,
    force: bool,
    jobs: int,
) -> None:
    """Run the pipeline NAME for each day, side by side; what is done already is not done again.

    Exit code 1 where a day failed; the others are done all the same.
    """
    from samebook.pipelines.step_program import Job
    from samebook.verbs import backfill as verb

    job = Job(workspace.find(), name, given, env, engine, force)
    span: tuple[date, date] = (first.date(), last.date())
    found = verb.backfill(verb.BackfillRequest(job, *span, jobs), say)
    show(verb.table(found))
    if found.failed:
        sys.exit(errors.SamebookError.exit_code)


@click.command()
@ENV
@click.option("--once", is_flag=True, help="Take in what is there, and end: exit code 1 where something failed.")
def watch(env: str, once: bool) -> None:
    """Run pipelines when data comes in: a complete file of a day in data/inbox/, or new days in the warehouse.

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
