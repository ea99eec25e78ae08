"""The program of a scheduled job's pod whose result goes to the shared store.

`python -m samebook.pipelines.scheduled PIPELINE ENV [--promotions FILE]` runs the pipeline for the day when it was due,
and sends its runs. A backfill of the same day on Kubernetes, with the same image, finds them done.
"""

import datetime
import os
import sys

from samebook.cluster import index_program
from samebook.cluster.index_program import Calls
from samebook.cluster.results import digest_of
from samebook.core import workspace as workspaces
from samebook.core.processes import exit_at_once
from samebook.execution.json_value import json_object
from samebook.models import exchange
from samebook.pipelines import definition
from samebook.store.transfer import TransferOptions


def call(name: str, env: str, pipeline: definition.Pipeline, today: datetime.date) -> list[str]:
    """The arguments of samebook for a pipeline, with the days that its parameters mean today."""
    days = {
        parameter: str(today - datetime.timedelta(days=definition.DAYS[str(default)]))
        for parameter, default in pipeline.parameters.items()
        if default in definition.DAYS
    }
    return ["pipeline", name, "--params", json_object(days), "--env", env]


def has_day(pipeline: definition.Pipeline) -> bool:
    """Whether a pipeline is of a day, for which it is run once. Any other is another job each time that it is due."""
    return any(default in definition.DAYS for default in pipeline.parameters.values())


def execute(name: str, env: str, more: list[str]) -> int:
    """Run the pipeline, and send its runs and, where it promotes, what its models need; returns the exit code."""
    workspace = workspaces.find()
    today = definition.today()
    pipeline = definition.read(workspace, name)
    arguments = call(name, env, pipeline, today)
    digest = digest_of(workspace, os.environ["SAMEBOOK_IMAGE"], (), arguments)
    # Its runs are sent before its promotion is pushed: a pod that starts again, as the push has failed, has none yet.
    again = bool(more) or not has_day(pipeline)
    code = index_program.execute(Calls(env, "", {}, [arguments], [digest]), 0, more, again=again)
    if more and not code:
        index_program.say(exchange.exchange(workspace, env, exchange.PUSH, TransferOptions(), index_program.say))
    return code


def main() -> int:
    """The exit code of the pipeline that the command line names."""
    return index_program.ended(lambda: execute(sys.argv[1], sys.argv[2], sys.argv[3:]))


if __name__ == "__main__":
    exit_at_once(main())
