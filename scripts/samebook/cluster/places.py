"""The places where many runs of a notebook are executed, behind one method: `map`, from requests to results.

A place gives the same receipts as any other, and each run once. Kubernetes is to be a third one: it will write a job
with an index for each request, and wait for its runs as these do.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from samebook.cluster import program as programs
from samebook.core import subcommand
from samebook.core.errors import ARROW, SamebookError
from samebook.core.processes import ProcessResult
from samebook.core.text import Say
from samebook.execution import pool, workers
from samebook.execution.preparation import PreparedRun, RunRequest
from samebook.execution.workers import Failure

type Name = Literal["local", "dask"]
type Results = Generator[tuple[RunRequest, Path | Failure]]


class Place(Protocol):
    """A place for runs."""

    def map(self, requests: Sequence[RunRequest]) -> Results:
        """Each request with its run's folder or its failure, in the order in which they are done.

        When the iterator is closed, runs that are not done are ended.
        """
        ...


@dataclass(frozen=True)
class Local:
    """This machine: `jobs` processes, forked from this one, with warm kernels."""

    prepared: PreparedRun
    jobs: int
    run: Callable[[RunRequest], Path]
    say: Say

    def map(self, requests: Sequence[RunRequest]) -> Results:
        with pool.warm_kernels(self.prepared) as reason:
            if reason:
                self.say(f"kernels start cold: {reason}")
            with closing(workers.results(requests, self.jobs, self.run)) as results:
                yield from results


@dataclass(frozen=True)
class Dask:
    """The cluster of this checkout, with at least as many workers as `jobs`; 0: with any."""

    prepared: PreparedRun
    jobs: int
    say: Say

    def map(self, requests: Sequence[RunRequest]) -> Results:
        # Takes as long as a small run to import.
        from samebook.cluster import client

        sent = [programs.of_run(request, self.prepared) for request in requests]
        by_key = {program.key: request for program, request in zip(sent, requests, strict=True)}
        workspace = self.prepared.workspace
        with client.connect(workspace, self.jobs, self.say) as cluster, closing(cluster.map(sent)) as results:
            for program, ended in results:
                if isinstance(ended, Failure):
                    yield by_key[program.key], ended
                elif ended.exit_code:
                    yield by_key[program.key], failure(ended)
                else:
                    yield by_key[program.key], workspace.runs / subcommand.run_id(ended.stdout)


def failure(ended: ProcessResult) -> Failure:
    """The failure of a program that has ended with an error, with the message as the error has it."""
    if ended.exit_code < 0:
        return Failure(SamebookError.exit_code, f"its process was ended by signal {-ended.exit_code}")
    first, *rest = subcommand.message(ended.stderr).splitlines() or [f"it ended with exit code {ended.exit_code}"]
    notes = (line.removeprefix("  ") for line in rest if not line.lstrip().startswith(ARROW))
    return Failure(ended.exit_code, "\n".join((first.removeprefix("error: "), *notes)))
