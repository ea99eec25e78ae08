"""The watcher: its state, its failures and their pauses, and the way it runs a pipeline."""

import datetime
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from samebook.core.errors import DataRejected, SamebookError
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.environment.settings import Settings
from samebook.execution.pool import Pool
from samebook.pipelines import executor, notices, story
from samebook.pipelines.executor import State
from samebook.pipelines.inbox import Inbox
from samebook.pipelines.step_program import Job

# Seconds between a failure and the next try: the first pause, which doubles up to the longest one.
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 900.0


@dataclass
class Watcher:
    """A watcher while it runs. `since` is the time up to which the schedule's jobs have run."""

    workspace: Workspace
    env: str
    settings: Settings
    say: Say
    inbox: Inbox
    # The number of failures, and the time of the next try (time.monotonic), by the name of a file, day or query.
    failures: dict[str, tuple[int, float]] = field(default_factory=dict)
    last_query: float = float("-inf")
    programs: Pool | None = None
    since: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    def is_due(self, name: str) -> bool:
        """Whether a file, day or query has not failed, or its pause is over."""
        return self.failures.get(name, (0, 0.0))[1] <= time.monotonic()

    def fail(self, name: str, error: Exception) -> None:
        """Report a failure that the data did not cause: the file, day or query is tried again after a pause."""
        times = self.failures.get(name, (0, 0.0))[0] + 1
        pause = min(FIRST_PAUSE * 2 ** (times - 1), LONGEST_PAUSE)
        self.failures[name] = (times, time.monotonic() + pause)
        self.report("failed", f"{Path(name).name}, time {times}; again in {pause:.0f} s", str(error))

    def report(self, event: str, subject: str, reason: str) -> None:
        """Show an error, write it into the story of the day, and send it to the webhook."""
        text = story.redacted(f"{subject}: {reason}", self.settings)
        self.say(f"{event} {text}")
        facts = {"env": self.env, "pipeline": "watch", "text": text}
        story.append(self.workspace, event, level="error", **facts)
        notices.send(self.settings, "failure", facts)

    def leave_out(self, job: str) -> None:
        """Say that a job which is due is not run: its work would be refused later."""
        text = f"{job} is left out: the policy wants its candidate signed, and this watcher has no key"
        self.say(text)
        story.append(self.workspace, "left out", level="warning", env=self.env, pipeline=job, text=text)

    @contextmanager
    def warm(self, times: int) -> Iterator[None]:
        """Inside the block a pipeline runs up to `times` times; where that pays, its imports stay in memory."""
        with Pool(times) as self.programs:
            yield
        self.programs = None

    def run(self, name: str, parameters: Mapping[str, str]) -> None:
        """Run a pipeline to its end. Raises the error of its first failed step.

        DataRejected is raised only for the step that reads the file: only then is the file itself wrong.
        """

        def show(outcome: executor.Outcome) -> None:
            if outcome.state is not State.LEFT_OUT:
                self.say(f"  {parameters.get('day', '')} {outcome.step}: {outcome.state} {outcome.run}".rstrip())

        job = Job(self.workspace, name, parameters, self.env)
        work = replace(executor.prepare(job, show), programs=self.programs)
        outcomes = executor.execute(work)
        error = executor.failure(job, outcomes)
        if isinstance(error, DataRejected) and not _has_file_failed(work, outcomes):
            raise SamebookError(str(error), mend=error.mend)
        if error:
            raise error


def _has_file_failed(work: executor.Work, outcomes: list[executor.Outcome]) -> bool:
    """Whether a failed step is one with the parameter `source`, which is the file."""
    failed = {outcome.step for outcome in outcomes if outcome.state is State.FAILED}
    return any(step.name in failed and "source" in step.parameters for step in work.steps)
