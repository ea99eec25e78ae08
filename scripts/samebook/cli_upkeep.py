"""The commands for what runs every day: its story, and its remains."""

import datetime
import json

import click

from samebook import workspace
from samebook.options import ENV, DaysType, show


@click.command()
@click.option(
    "--day", type=click.DateTime(["%Y-%m-%d"]), help="Told on this day (UTC), or of its data; by default today."
)
@click.option("--level", type=click.Choice(["info", "warning", "error"]), default="info", help="From this level on.")
@click.option("--env", default="", help="Of this environment only.")
@click.option("--json", "as_json", is_flag=True, help="For machines: a JSON list.")
def log(day: datetime.datetime | None, level: str, env: str, as_json: bool) -> None:
    """Tell a day's story: what pipelines and jobs did, what ran, and what went wrong."""
    from samebook import log as verb

    request = verb.LogRequest((day or datetime.datetime.now(datetime.UTC)).date(), level, env)
    found = verb.log(workspace.find(), request)
    if as_json:
        show(json.dumps(found, indent=2))
    else:
        show(verb.table(found, request.day) if found else f"nothing is told of {request.day}")


@click.command()
@click.option("--older-than", type=DaysType(), help="Runs that started earlier, like 90d; by default retention.days.")
@click.option("--keep", type=click.IntRange(min=0), help="Of each notebook the newest stay; by default retention.keep.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@ENV
def gc(older_than: int | None, keep: int | None, dry_run: bool, env: str) -> None:
    """Remove old runs that nobody needs, and what the store then holds for nobody.

    What a model of any branch names or named, an open experiment, a published day, a running run, or the past of
    a run that stays, stays.
    """
    from samebook import gc as verb

    found = verb.gc(workspace.find(), verb.GcRequest(env, older_than, keep, dry_run))
    show(verb.table(found, dry_run=dry_run))
