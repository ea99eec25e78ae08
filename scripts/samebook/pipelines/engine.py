"""Runs a pipeline: each step a program of its own, those that don't depend on each other side by side.

What a finished run has done already isn't done again, so whatever was stopped, goes on where it stopped.
"""

import datetime
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from graphlib import TopologicalSorter

from samebook.core import errors, signals
from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import EnvironmentMismatch, Interrupted, PolicyRefused, SamebookError, UsageError
from samebook.core.file_lock import acquire
from samebook.core.processes import Processes
from samebook.environment import settings
from samebook.execution.pool import Pool
from samebook.pipelines import definition, notices, step_program, story
from samebook.pipelines.definition import Filled
from samebook.pipelines.step_program import Job

# So many hex digits of a step's hash name its lock: few files, and hardly ever two steps that share one.
LOCKS = 3
PAUSE = 0.1


class State(StrEnum):
    """What became of a step."""

    DONE = "done"
    SAME = "same"
    LEFT_OUT = "left out"
    FAILED = "failed"
    WAITING = "not run"


@dataclass(frozen=True)
class Outcome:
    """What became of a step: its run, where it has one, and for a failure its exit code and words."""

    step: str
    state: State
    run: str = ""
    seconds: float = 0.0
    code: int = 0
    told: str = ""


@dataclass(frozen=True)
class Work:
    """A pipeline that was found to be runnable: its steps in order, and who wants to know how far it is.

    Without `programs` each step imports what it needs for itself.
    """

    job: Job
    steps: tuple[Filled, ...]
    in_force: settings.Settings
    say: Callable[[Outcome], None]
    processes: Processes = field(default_factory=Processes)
    programs: Pool | None = None

    @property
    def day(self) -> str:
        """The day of data that it is about, for the story; "" where it is about none."""
        return next((each.parameters["day"] for each in self.steps if "day" in each.parameters), "")


def today() -> datetime.date:
    """The day, UTC."""
    return datetime.datetime.now(datetime.UTC).date()


def prepared(job: Job, say: Callable[[Outcome], None] = lambda _: None) -> Work:
    """Check every step before the first one starts. Raises UsageError, or PolicyRefused for a model."""
    pipeline = definition.read(job.here, job.name)
    work = Work(job, tuple(definition.filled(pipeline, job.given, today())), settings.load(job.here, job.env), say)
    notices.url(work.in_force)
    for each in (step for step in work.steps if step.is_wanted):
        try:
            step_program.check(job, each)
        except (UsageError, PolicyRefused, EnvironmentMismatch) as error:
            raise type(error)(f"step {each.name}: {error}", mend=error.mend) from error
    return work


def planned(work: Work) -> list[Outcome]:
    """What would happen to each step, as far as it can be told before the steps above it have run."""
    outcomes: dict[str, Outcome] = {}
    for step in work.steps:
        runs = _runs(outcomes, step)
        above = [outcomes[name].state for name in step.step.needs]
        if not step.is_wanted:
            outcomes[step.name] = Outcome(step.name, State.LEFT_OUT, told=f"when: {step.step.when}")
        elif State.WAITING not in above and (run := step_program.done_already(work.job, step, runs)):
            outcomes[step.name] = Outcome(step.name, State.SAME, run)
        else:
            outcomes[step.name] = Outcome(step.name, State.WAITING, told=step_program.described(step))
    return list(outcomes.values())


def execute(work: Work) -> list[Outcome]:
    """Run the steps; what became of each, in the order of the plan.

    A step that fails stops those that need it; others are still run. Ctrl-C and SIGTERM stop all within seconds.
    """
    with signals.as_errors():
        outcomes = _executed(work)
    return [outcomes.get(step.name) or Outcome(step.name, State.WAITING) for step in work.steps]


def _executed(work: Work) -> dict[str, Outcome]:
    known = {step.name: step for step in work.steps}
    order = TopologicalSorter({name: step.step.needs for name, step in known.items()})
    order.prepare()
    outcomes: dict[str, Outcome] = {}
    under_way: dict[Future[Outcome], str] = {}
    with ThreadPoolExecutor(work.job.jobs) as pool:
        try:
            while order.is_active():
                for name in order.get_ready():
                    under_way[pool.submit(_stepped, work, known[name], dict(outcomes))] = name
                if not under_way:
                    break  # what is left needs what has failed
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    name = under_way.pop(future)
                    outcomes[name] = future.result()
                    _tell(work, outcomes[name])
                    if outcomes[name].state is not State.FAILED:
                        order.done(name)
        except BaseException:
            work.processes.stop()
            raise
    return outcomes


def _stepped(work: Work, step: Filled, outcomes: Mapping[str, Outcome]) -> Outcome:
    """Run one step, unless it isn't wanted, or a finished run has done the same."""
    if not step.is_wanted:
        return Outcome(step.name, State.LEFT_OUT, told=f"when: {step.step.when}")
    runs = _runs(outcomes, step)
    command = step_program.command(work.job, step, runs)
    try:
        with _alone(work, step, command) as lock:
            stopped = partial(getattr, work.processes, "is_stopped")
            # It may publish, and wait for who publishes already.
            if run := signals.run_interruptibly(partial(step_program.done_already, work.job, step, runs), stopped):
                return Outcome(step.name, State.SAME, run)
            return _called(work, step, outcomes, command, lock)
    except SamebookError as error:
        return Outcome(step.name, State.FAILED, code=error.exit_code, told=str(error))
    except OSError as error:
        return Outcome(step.name, State.FAILED, code=SamebookError.exit_code, told=str(error))


def _called(work: Work, step: Filled, outcomes: Mapping[str, Outcome], command: list[str], lock: int) -> Outcome:
    env = step_program.variables(work.job, step)
    if work.programs and step.step.verb == "run" and work.job.engine == "local":
        left = [each for each in work.steps if each.name not in outcomes]
        env |= work.programs.variables(step.notebook, partial(step_program.prepared, work.job, left), len(left))
    began = time.monotonic()
    ended = work.processes.call(command, work.job.here.root, env, (lock,))
    seconds = time.monotonic() - began
    if ended.exit_code:
        code, told = step_program.exit_code(ended.exit_code, ended.stderr), step_program.words(ended.stderr)
        return Outcome(step.name, State.FAILED, "", seconds, code, told)
    return Outcome(step.name, State.DONE, step_program.run_of(step, ended.stdout, _runs(outcomes, step)), seconds)


def _runs(outcomes: Mapping[str, Outcome], step: Filled) -> dict[str, str]:
    return {name: outcomes[name].run for name in step.step.needs if outcomes[name].run}


def _tell(work: Work, outcome: Outcome) -> None:
    """Say how a step ended: to whoever waits, to the story, and of a failure to whoever wants to be called."""
    work.say(outcome)
    failed = outcome.state is State.FAILED
    facts = {"env": work.job.env, "pipeline": work.job.name, "step": outcome.step, "run": outcome.run, "day": work.day}
    text = story.redacted(outcome.told, work.in_force) if failed else str(outcome.state)
    story.append(work.job.here, "step", level="error" if failed else "info", **facts, text=text)
    if failed:
        notices.send(work.in_force, "failure", {**facts, "text": text})
    elif outcome.state is State.DONE and (alarms := _alarms(work, outcome.run)):
        story.append(work.job.here, "alarm", level="warning", **facts, text=alarms)
        notices.send(work.in_force, "alarm", {**facts, "text": alarms})


def _alarms(work: Work, run: str) -> str:
    """What monitoring is alarmed by, where the run is monitoring's: its output drift.json says so."""
    path = work.job.here.runs / run / "outputs" / "drift.json"
    told = json.loads(path.read_text()) if path.is_file() else {}
    found = [each for each in told.get("findings", ()) if each["verdict"] == told["verdict"] == "alarm"]
    return "; ".join(f"{each['name']} {each['value']:g}: {each['detail']}" for each in found)


@contextmanager
def _alone(work: Work, step: Filled, command: list[str]) -> Iterator[int]:
    """Hold this very step against a second of the same, of any pipeline; the program that it starts holds it too.

    So what goes on after a kill begins when what was started before it has ended. Raises Interrupted where the wait
    is broken off.
    """
    name = sha256(json_bytes(command[1:]))[:LOCKS]
    path = work.job.here.runs / ".pipelines" / name
    if (handle := acquire(path, wait=False)) is None:
        work.say(Outcome(step.name, State.WAITING, told="somebody else runs it: waiting for that"))
    while handle is None:
        if work.processes.is_stopped:
            raise Interrupted(signal.SIGTERM)
        time.sleep(PAUSE)
        handle = acquire(path, wait=False)
    try:
        yield handle
    finally:
        os.close(handle)


def failure(outcomes: list[Outcome]) -> SamebookError | None:
    """The error that the first failed step means, with what was not run; None where all is well."""
    first = next((each for each in outcomes if each.state is State.FAILED), None)
    if first is None:
        return None
    waiting = [each.step for each in outcomes if each.state is State.WAITING]
    left = f"\nnot run, as they need it: {', '.join(waiting)}" if waiting else ""
    told = f"step {first.step} failed with exit code {first.code}:\n{first.told}{left}"
    return errors.from_exit_code(
        first.code, told, mend="mend it, and start the pipeline again: what is done is not done again"
    )
