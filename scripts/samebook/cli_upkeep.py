"""The commands for what runs every day: its story."""

import datetime
import json

import click

from samebook import workspace
from samebook.options import show


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
