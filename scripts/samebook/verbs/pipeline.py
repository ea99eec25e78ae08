"""Run a pipeline: steps from data to scores, or to a promoted model, each a run with a receipt."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from samebook.core import git, signals
from samebook.execution.pool import Pool
from samebook.pipelines import executor
from samebook.pipelines.executor import Outcome, State
from samebook.pipelines.step_program import Job


def pipeline(job: Job, say: Callable[[Outcome], None], promotions: Path | None = None) -> list[Outcome]:
    """Check all steps, then run them; `say` gets the outcome of each step that has ended. Commits of promotions go into
    the file `promotions`, as a bundle of git's; there is none where nothing was promoted.

    Raises the error of the first failed step, once all steps that don't need it are done.
    """
    start = git.head(job.workspace.root) if promotions else ""
    with signals.as_errors(), Pool() as programs:
        outcomes = executor.execute(replace(executor.prepare(job, say), programs=programs))
    if error := executor.failure(job, outcomes):
        raise error
    if promotions and git.head(job.workspace.root) != start:
        git.git(job.workspace.root, "bundle", "create", "--quiet", str(promotions.absolute()), "HEAD", f"^{start}")
    return outcomes


def plan(job: Job) -> list[Outcome]:
    """The outcome that each step would have: it would run, or a finished run has done it already."""
    return executor.plan(executor.prepare(job))


def line(outcome: Outcome, width: int = 12) -> str:
    """The outcome of a step, in a line."""
    state = {State.DONE: f"{outcome.seconds:7.1f} s", State.DONE_ALREADY: "as before"}.get(
        outcome.state, str(outcome.state)
    )
    message = outcome.message.splitlines()[-1] if outcome.message and outcome.state is State.FAILED else outcome.message
    return f"{outcome.step:<{width}} {state:>10}  {outcome.run or message}".rstrip()


def table(outcomes: Sequence[Outcome]) -> str:
    """The steps of a pipeline with their outcome, a line each."""
    width = max(len(outcome.step) for outcome in outcomes)
    return "\n".join(line(outcome, width) for outcome in outcomes)
