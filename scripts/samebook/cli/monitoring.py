"""The commands that watch what is promoted."""

import datetime
import json
import sys

import click

from samebook.cli.options import ENV, show
from samebook.core import errors, workspace


@click.command()
@click.option("--model", default="", help="A promoted model: churn, or churn@prod as another branch has it.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The day to look at.")
@click.option("--days", type=click.IntRange(1, 366), default=1, help="Look also at so many days up to it as a whole.")
@click.option("--json", "as_json", is_flag=True, help="For machines: a JSON object.")
@ENV
def drift(model: str, day: datetime.datetime, days: int, as_json: bool, env: str) -> None:
    """Compare the features and scores of a day with what MODEL was made on: ok, warn or alarm, and why.

    The settings name the datasets, and the model where none is named (drift.features, drift.model).
    Exit code 0, or 6 where the settings say that the verdict fails (drift.fail_on).
    """
    from samebook.environment import settings
    from samebook.monitoring import report
    from samebook.verbs import drift as verb

    found = verb.drift(verb.DriftRequest(model, day.date(), days, env))
    show(json.dumps(found.as_json(), indent=2) if as_json else verb.table(found))
    if report.fails(found, settings.load(workspace.find(), env).drift):
        sys.exit(errors.PolicyRefused.exit_code)
