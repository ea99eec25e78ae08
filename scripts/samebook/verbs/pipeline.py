"""Run a pipeline: steps from data to scores, or to a promoted model, each a run with a receipt."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from samebook.core import signals
from samebook.execution.pool import Pool
from samebook.pipelines import engine
from samebook.pipelines.engine import Outcome, State
from samebook.pipelines.step_program import Job


def pipeline(job: Job, say: Callable[[Outcome], None]) -> list[Outcome]:
    """Check all steps, then run them; `say` hears of each as it ends.

    Raises what the first failed step raised, once all that don't need it are done.
    """
    with signals.as_errors(), Pool() as programs:
        outcomes = engine.execute(replace(engine.prepared(job, say), programs=programs))
    if error := engine.failure(outcomes):
        raise error
    return outcomes


def plan(job: Job) -> list[Outcome]:
    """What would run, and what a finished run has done already; nothing starts."""
    return engine.planned(engine.prepared(job))


def line(outcome: Outcome, width: int = 12) -> str:
    """What became of a step, for a person."""
    what = {State.DONE: f"{outcome.seconds:7.1f} s", State.SAME: "as before"}.get(outcome.state, str(outcome.state))
    told = outcome.told.splitlines()[-1] if outcome.told and outcome.state is State.FAILED else outcome.told
    return f"{outcome.step:<{width}} {what:>10}  {outcome.run or told}".rstrip()


def table(outcomes: Sequence[Outcome]) -> str:
    """The steps of a pipeline with their outcome, a line each."""
    width = max(len(each.step) for each in outcomes)
    return "\n".join(line(each, width) for each in outcomes)
