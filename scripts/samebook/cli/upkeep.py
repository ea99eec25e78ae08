"""The commands for what runs every day: when it is due, its story, and its remains."""

import datetime
import json
from pathlib import Path

import click

from samebook.cli.options import ENV, DaysType, say, show
from samebook.core import workspace


@click.command()
@click.option(
    "--day", type=click.DateTime(["%Y-%m-%d"]), help="Told on this day (UTC), or of its data; by default today."
)
@click.option("--level", type=click.Choice(["info", "warning", "error"]), default="info", help="From this level on.")
@click.option("--env", default="", help="Of this environment only.")
@click.option("--json", "as_json", is_flag=True, help="For machines: a JSON list.")
def log(day: datetime.datetime | None, level: str, env: str, as_json: bool) -> None:
    """Tell a day's story: what pipelines and jobs did, what ran, and what went wrong."""
    from samebook.verbs import log as verb

    request = verb.LogRequest((day or datetime.datetime.now(datetime.UTC)).date(), level, env)
    found = verb.log(workspace.find(), request)
    if as_json:
        show(json.dumps(found, indent=2))
    else:
        show(verb.table(found, request.day) if found else f"nothing is told of {request.day}")


@click.command()
@click.option("--older-than", type=DaysType(), help="Runs that started earlier, like 90d; by default retention.days.")
@click.option("--keep", type=click.IntRange(min=0), help="Of each notebook the newest stay; by default retention.keep.")
@click.option("--dry-run", "--dry", is_flag=True, help="Say what would go, and remove nothing.")
@ENV
def gc(older_than: int | None, keep: int | None, dry_run: bool, env: str) -> None:
    """Remove old runs that nobody needs, and what the store then holds for nobody.

    What a model of any branch names or named, an open experiment, a published day, a running run, or the past of
    a run that stays, stays.
    """
    from samebook.verbs import gc as verb

    found = verb.gc(workspace.find(), verb.GcRequest(env, older_than, keep, dry_run))
    show(verb.table(found, dry_run=dry_run))


@click.command()
@ENV
@click.option("--as", "form", type=click.Choice(["cron", "systemd", "kubernetes", "github"]), help="For whom.")
@click.option("--image", default="", help="What Kubernetes shall run, best by digest.")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="Write the files into this folder.")
def schedule(env: str, form: str | None, image: str, into: Path | None) -> None:
    """Show when jobs are due (UTC); with --as, what has cron, systemd, Kubernetes or GitHub start them.

    Each job is a pipeline; environments/<env>.yml says when, under `schedule`.
    """
    from samebook.environment import settings
    from samebook.verbs import schedule as verb

    if form is None:
        found = settings.load(workspace.find(), env)
        now = datetime.datetime.now(datetime.UTC)
        show(verb.table(found, now) if found.schedule else verb.unscheduled(env))
        return
    files = verb.schedule(workspace.find(), verb.ScheduleRequest(env, form, image))
    if form == "kubernetes" and "@sha256:" not in image:
        say("a tag may come to mean another image: --image NAME@sha256:… can't")
    for name, content in files.items():
        if into:
            workspace.write_whole(into / name, content.encode())
        show(into / name if into else (f"# {name}\n" if len(files) > 1 else "") + content.removesuffix("\n"))
