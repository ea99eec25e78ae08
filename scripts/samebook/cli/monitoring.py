"""The commands to look at what happened: the drift of a promoted model, what was found acknowledged, and the report."""

import datetime
import json
import sys
from pathlib import Path

import click

from samebook.cli.options import DAY, ENV, say, show
from samebook.core import errors, workspace


@click.command()
@click.option(
    "--model",
    default="",
    show_default=False,
    help="Promoted model, like churn or churn@prod; by default drift.model.",
)
@click.option("--day", type=DAY, required=True, help="Day whose data are compared.")
@click.option(
    "--days", type=click.IntRange(1, 36_600), default=1, help="Compare also this many days, up to that one, as a whole."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@ENV
def drift(model: str, day: datetime.datetime, days: int, as_json: bool, env: str) -> None:
    """Compare the features and scores of a day with the reference of MODEL: ok, warn or alarm, and why.

    Example: samebook drift --model churn@prod --day 2013-07-01 --days 7

    The settings name the datasets (drift.features, drift.scores). Exit code 0, or 6 where the settings say that the
    verdict fails (drift.fail_on).
    """
    from samebook.environment import settings
    from samebook.monitoring import report as monitoring
    from samebook.verbs import drift as verb

    report = verb.drift(verb.DriftRequest(model, day.date(), days, env))
    show(json.dumps(report.as_json(), indent=2) if as_json else verb.table(report))
    if monitoring.fails(report, settings.load(workspace.find(), env).drift):
        sys.exit(errors.PolicyRefused.exit_code)


@click.command()
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the site into this folder; by default runs/.report.",
)
def report(into: Path | None) -> None:
    """Make a site of static pages over runs, models, drift and sweeps, to be opened in a browser.

    Example: samebook report

    What has not changed since the last time is left as it is.
    """
    from samebook.verbs import report as verb

    here = workspace.find()
    build = verb.report(here, into)
    say(verb.table(build))
    show(here.relative(build.page))


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("what", metavar="WHAT")
@click.option("--why", required=True, help="Reason why it is no fault, for the record.")
@click.option("--window", is_flag=True, help="Mean the finding over several days, in place of the day's.")
@click.option("--withdraw", is_flag=True, help="End what was acknowledged of it: it is said again.")
def ack(run: str, what: str, why: str, window: bool, withdraw: bool) -> None:
    """Acknowledge the finding WHAT in the report of RUN, so that it stays quiet until it changes.

    Example: samebook ack monitor country --why "we sell in Norway now"

    RUN is the id of a run of monitoring, or its notebook's name for the newest. Who, when, what and why become a line
    of models/NAME.acknowledged.jsonl, in one commit. Another fault of the same column, or a worse one, is said as ever.
    --withdraw adds a line that ends it: a line that was removed could come back by a merge.
    """
    from samebook.verbs import ack as verb

    show(verb.text(verb.ack(verb.AckRequest(run, what, why, window, withdraw))))
