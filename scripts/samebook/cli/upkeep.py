"""The commands for daily operation: the jobs of a forge, the schedule, the story of a day, the removal of old runs."""

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from samebook.cli.options import DAY, ENV, DaysType, clone, show
from samebook.core import workspace

if TYPE_CHECKING:
    from samebook.pipelines.git_use import Clone


@click.command()
@click.option(
    "--day",
    type=DAY,
    help="Day (UTC) of the events, or of the data that runs were for; by default today.",
)
@click.option(
    "--level", type=click.Choice(["info", "warning", "error"]), default="info", help="Lowest level that is shown."
)
@click.option("--env", default="", help="Show this environment only; by default all.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def log(day: datetime.datetime | None, level: str, env: str, as_json: bool) -> None:
    """Show the story of a day: the events of pipelines and jobs, the runs, and the errors.

    Example: samebook log --day 2013-07-01 --level error
    """
    from samebook.verbs import log as verb

    request = verb.LogRequest((day or datetime.datetime.now(datetime.UTC)).date(), level, env)
    lines = verb.log(workspace.find(), request)
    if as_json:
        show(json.dumps(lines, indent=2))
    else:
        show(verb.table(lines, request.day) if lines else f"no event on {request.day}")


@click.command()
def hooks() -> None:
    """Have git say, after a checkout and a merge, which models' folders are not this branch's.

    Example: samebook hooks

    The hooks run nothing of the branch, and replace no hook of yours.
    """
    from samebook.verbs import hooks as verb

    show("\n".join(map(str, verb.hooks(workspace.find()))))


@click.command()
@click.option(
    "--older-than",
    type=DaysType(),
    help="Age of the runs to remove, like 90d; by default retention.days of the settings.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    help="Newest runs of each notebook that stay; by default retention.keep of the settings.",
)
@click.option(
    "--dry-run", "--dry", is_flag=True, help="List the runs and objects that would be removed, and remove none."
)
@ENV
def gc(older_than: int | None, keep: int | None, dry_run: bool, env: str) -> None:
    """Remove old runs that are not needed, and then the store's unreferenced objects.

    Example: samebook gc --older-than 90d --dry-run

    A run stays where a model of any branch names or named it, where an open experiment, a published day or a running
    run reads it, and where another run that stays was made from its results.
    """
    from samebook.verbs import gc as verb

    result = verb.gc(workspace.find(), verb.GcRequest(env, older_than, keep, dry_run))
    show(verb.table(result, dry_run=dry_run))


@click.command()
@ENV
@click.option(
    "--as",
    "form",
    type=click.Choice(["cron", "systemd", "kubernetes", "airflow", "airflow-kubernetes", "github", "gitlab"]),
    help="Print the schedule in this form, instead of the table.",
)
@click.option("--image", default="", help="Image that Kubernetes or Airflow shall run, by digest: NAME@sha256:…")
@clone
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="Write the files into this folder.")
def schedule(env: str, form: str | None, image: str, clone: "Clone", into: Path | None) -> None:
    """Show when jobs are due (UTC); with --as, print the schedule for cron, systemd, Kubernetes, Airflow or a CI.

    Example: samebook schedule --as systemd --into timers

    Each job is a pipeline; `schedule` in environments/<env>.yml has its times.
    """
    from samebook.environment import settings
    from samebook.verbs import schedule as verb

    if form is None:
        env_settings = settings.load(workspace.find(), env)
        now = datetime.datetime.now(datetime.UTC)
        show(verb.table(env_settings, now) if env_settings.schedule else verb.unscheduled(env))
        return
    files = verb.schedule(workspace.find(), verb.ScheduleRequest(env, form, image, clone=clone))
    for name, content in files.items():
        if into:
            workspace.write_whole(into / name, content.encode())
        show(str(into / name) if into else (f"# {name}\n" if len(files) > 1 else "") + content.removesuffix("\n"))


@click.command()
@click.option(
    "--as", "form", type=click.Choice(["github", "gitlab"]), required=True, help="Forge whose files are written."
)
@click.option("--env", default="prod", help="Environment whose shared store has what reproductions need.")
@click.option("--envs", default="preprod prod", help="Environments whose branch publishes an image: dev preprod prod.")
@click.option("--owners", default="", help="Who approves changes of models and of what judges them: @ada @team/models.")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="Write below this folder: . of a clone.")
def ci(form: str, env: str, envs: str, owners: str, into: Path | None) -> None:
    """Write the jobs of a forge: checks, review, reproduction of new models, publication, deployment, branch rules.

    Example: samebook ci --as gitlab --into .

    Each step is a command that anybody can type. What is due by the clock is `samebook schedule --as gitlab`.
    """
    from samebook.verbs import ci as verb

    request = verb.CiRequest(form, env, tuple(envs.split()), tuple(owners.split()))
    for path, content in verb.ci(workspace.find(), request).items():
        if into:
            workspace.write_whole(into / path, content.encode())
        show(str(into / path) if into else f"# {path}\n{content}")
