"""The executor of pipelines: each step is a program of its own, and independent steps run side by side.

A step that a finished run has done already is not run again, so a stopped pipeline goes on where it stopped.
"""

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

from samebook.core import errors, signals, subcommand
from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import EnvironmentMismatch, Interrupted, PolicyRefused, SamebookError, UsageError
from samebook.core.file_lock import acquire
from samebook.core.processes import Processes
from samebook.environment import settings
from samebook.execution.pool import Pool
from samebook.pipelines import definition, notices, step_program, story
from samebook.pipelines.definition import PreparedStep
from samebook.pipelines.step_program import Job

# The hex digits of a step's hash that name its lock: few files, and rarely two steps that share one.
LOCK_DIGITS = 3
PAUSE = 0.1


class State(StrEnum):
    """The state of a step: run now, done already by an earlier run, left out by its `when`, failed, or not run."""

    DONE = "done"
    DONE_ALREADY = "same"
    LEFT_OUT = "left out"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a step: its run, where it has one, and for a failure its exit code and message."""

    step: str
    state: State
    run: str = ""
    seconds: float = 0.0
    code: int = 0
    message: str = ""


@dataclass(frozen=True)
class Work:
    """A pipeline whose steps have been checked. `steps` are in order; `say` hears the outcome of each.

    `programs` are warm processes that steps can start from; None where each step starts a process of its own.
    """

    job: Job
    steps: tuple[PreparedStep, ...]
    settings: settings.Settings
    say: Callable[[Outcome], None]
    processes: Processes = field(default_factory=Processes)
    programs: Pool | None = None

    @property
    def day(self) -> str:
        """The day of data that the pipeline is about, for the story; "" where it is about none."""
        return next((step.parameters["day"] for step in self.steps if "day" in step.parameters), "")


def prepare(job: Job, say: Callable[[Outcome], None] = lambda _: None, *, is_checked: bool = False) -> Work:
    """The pipeline of a job, with every step checked before the first one starts, unless `is_checked` already.

    Raises UsageError, EnvironmentMismatch, or PolicyRefused for a model.
    """
    pipeline = definition.read(job.workspace, job.name)
    steps = definition.prepared_steps(pipeline, job.given, definition.today())
    work = Work(job, tuple(steps), settings.load(job.workspace, job.env), say)
    # Raises UsageError where the webhook can't be used.
    notices.url(work.settings)
    if is_checked:
        return work
    if not subcommand.has_kernels():
        step_program.check_in_image(job)
        return work
    for step in (step for step in work.steps if step.is_wanted):
        try:
            step_program.check(job, step)
        except (UsageError, PolicyRefused, EnvironmentMismatch) as error:
            raise type(error)(f"step {step.name}: {error}", mend=error.mend) from error
    return work


def plan(work: Work) -> list[Outcome]:
    """The outcome that is expected of each step, as far as it is known before the steps that it needs have run."""
    outcomes: dict[str, Outcome] = {}
    for step in work.steps:
        runs = _runs(outcomes, step)
        above = [outcomes[name].state for name in step.declaration.needs]
        if not step.is_wanted:
            outcomes[step.name] = Outcome(step.name, State.LEFT_OUT, message=f"when: {step.declaration.when}")
        elif State.NOT_RUN not in above and (run := step_program.finished_run(work.job, step, runs)):
            outcomes[step.name] = Outcome(step.name, State.DONE_ALREADY, run)
        else:
            outcomes[step.name] = Outcome(step.name, State.NOT_RUN, message=step_program.description(step))
    return list(outcomes.values())


def execute(work: Work) -> list[Outcome]:
    """Run the steps; returns the outcome of each, in the order of the plan.

    Steps that need a failed step are not run; all others are. Ctrl-C and SIGTERM end the pipeline within seconds.
    """
    with signals.as_errors():
        outcomes = _outcomes(work)
    return [outcomes.get(step.name) or Outcome(step.name, State.NOT_RUN) for step in work.steps]


def _outcomes(work: Work) -> dict[str, Outcome]:
    steps = {step.name: step for step in work.steps}
    order = TopologicalSorter({name: step.declaration.needs for name, step in steps.items()})
    order.prepare()
    outcomes: dict[str, Outcome] = {}
    running: dict[Future[Outcome], str] = {}
    with ThreadPoolExecutor(work.job.jobs) as pool:
        try:
            while order.is_active():
                for name in order.get_ready():
                    running[pool.submit(_run_step, work, steps[name], dict(outcomes))] = name
                if not running:
                    break  # the remaining steps need one that failed
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    outcomes[name] = future.result()
                    _report(work, outcomes[name])
                    if outcomes[name].state is not State.FAILED:
                        order.done(name)
        except BaseException:
            work.processes.stop()
            raise
    return outcomes


def _run_step(work: Work, step: PreparedStep, outcomes: Mapping[str, Outcome]) -> Outcome:
    """Run a step, unless it is left out, or a finished run has done the same."""
    if not step.is_wanted:
        return Outcome(step.name, State.LEFT_OUT, message=f"when: {step.declaration.when}")
    runs = _runs(outcomes, step)
    command = step_program.command(work.job, step, runs)
    try:
        with _alone(work, step, command) as lock:
            stopped = partial(getattr, work.processes, "is_stopped")
            # finished_run may publish partitions, and wait for another process that publishes.
            if run := signals.run_interruptibly(partial(step_program.finished_run, work.job, step, runs), stopped):
                return Outcome(step.name, State.DONE_ALREADY, run)
            return _call(work, step, outcomes, command, lock)
    except SamebookError as error:
        return Outcome(step.name, State.FAILED, code=error.exit_code, message=str(error))
    except OSError as error:
        return Outcome(step.name, State.FAILED, code=SamebookError.exit_code, message=str(error))


def _call(work: Work, step: PreparedStep, outcomes: Mapping[str, Outcome], command: list[str], lock: int) -> Outcome:
    env = step_program.variables(work.job, step)
    if work.programs and step.declaration.verb == "run" and work.job.engine == "local":
        later = [other for other in work.steps if other.name not in outcomes]
        env |= work.programs.variables(step.notebook, partial(step_program.prepare, work.job, later), len(later))
    start = time.monotonic()
    ended = work.processes.call(command, work.job.workspace.root, env, (lock,))
    seconds = time.monotonic() - start
    if ended.exit_code:
        code, message = subcommand.exit_code(ended.exit_code, ended.stderr), subcommand.message(ended.stderr)
        return Outcome(step.name, State.FAILED, "", seconds, code, message)
    state = State.DONE_ALREADY if step_program.is_reused(step, ended.stdout) else State.DONE
    return Outcome(step.name, state, step_program.run_of(step, ended.stdout, _runs(outcomes, step)), seconds)


def _runs(outcomes: Mapping[str, Outcome], step: PreparedStep) -> dict[str, str]:
    return {name: outcomes[name].run for name in step.declaration.needs if outcomes[name].run}


def _report(work: Work, outcome: Outcome) -> None:
    """Report the outcome of a step: to the listener, in the story, and a failure or an alarm as a notice."""
    work.say(outcome)
    failed = outcome.state is State.FAILED
    facts = {"env": work.job.env, "pipeline": work.job.name, "step": outcome.step, "run": outcome.run, "day": work.day}
    text = story.redacted(outcome.message, work.settings) if failed else str(outcome.state)
    story.append(work.job.workspace, "step", level="error" if failed else "info", **facts, text=text)
    if failed:
        notices.send(work.settings, "failure", {**facts, "text": text})
    elif outcome.state is State.DONE and (alarms := _alarms(work, outcome.run)):
        story.append(work.job.workspace, "alarm", level="warning", **facts, text=alarms)
        notices.send(work.settings, "alarm", {**facts, "text": alarms})


def _alarms(work: Work, run: str) -> str:
    """The verdict of a run of monitoring that says an alarm which nobody has heard of yet; "" for other runs.

    A report of an earlier samebook has no such word: it tells all its alarms.
    """
    path = work.job.workspace.runs / run / "outputs" / "drift.json"
    report = json.loads(path.read_text()) if path.is_file() else {}
    if "told" in report:
        return report["line"] if report["told"] == "alarm" else ""
    alarms = [item for item in report.get("findings", ()) if item["verdict"] == report["verdict"] == "alarm"]
    return "; ".join(f"{alarm['name']} {alarm['value']:g}: {alarm['detail']}" for alarm in alarms)


@contextmanager
def _alone(work: Work, step: PreparedStep, command: list[str]) -> Iterator[int]:
    """Hold the lock of a step with these parameters, whichever pipeline it belongs to; yields the lock's descriptor.

    The step's program inherits the descriptor. After a kill, the step can start again only once that program has ended.

    Raises Interrupted where the pipeline is stopped while it waits for the lock.
    """
    name = sha256(json_bytes(command[1:]))[:LOCK_DIGITS]
    path = work.job.workspace.runs / ".pipelines" / name
    if (handle := acquire(path, wait=False)) is None:
        work.say(Outcome(step.name, State.NOT_RUN, message="somebody else runs it: waiting for that"))
    while handle is None:
        if work.processes.is_stopped:
            raise Interrupted(signal.SIGTERM)
        time.sleep(PAUSE)
        handle = acquire(path, wait=False)
    try:
        yield handle
    finally:
        os.close(handle)


def failure(job: Job, outcomes: list[Outcome]) -> SamebookError | None:
    """The error of the first failed step, which names the steps that were not run; None where none failed."""
    first = next((outcome for outcome in outcomes if outcome.state is State.FAILED), None)
    if first is None:
        return None
    not_run = [outcome.step for outcome in outcomes if outcome.state is State.NOT_RUN]
    rest = f"\nnot run, as they need it: {', '.join(not_run)}" if not_run else ""
    message = f"step {first.step} failed with exit code {first.code}:\n{first.message}{rest}"
    given = "".join(f" {name}={value}" for name, value in job.given.items())
    command = " ".join(
        (f"make pipeline NAME={job.name}", *([f"PARAMS='{given.strip()}'"] if given else ()), f"ENV={job.env}")
    )
    return errors.from_exit_code(first.code, message, mend=f"{command}, which goes on from there")
