"""The places where many runs of a notebook are executed, behind one method: `map`, from requests to results.

A place gives the same receipts as any other, and each run once.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from samebook.cluster import program as programs
from samebook.cluster.indexed_jobs import Call, Taken
from samebook.core import subcommand
from samebook.core.digest import json_bytes
from samebook.core.errors import SamebookError
from samebook.core.text import Say
from samebook.execution import parameters, pool, workers
from samebook.execution.preparation import PreparedRun, RunRequest
from samebook.execution.workers import Failure
from samebook.records import receipt, run_folder

type Name = Literal["local", "dask", "kubernetes"]
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
        from samebook.cluster import client, stored_calls

        sent = [programs.of_run(request, self.prepared) for request in requests]
        by_key = {program.key: request for program, request in zip(sent, requests, strict=True)}
        workspace = self.prepared.workspace
        env = self.prepared.request.env
        with client.connect(workspace, self.jobs, self.say, env) as cluster:
            if not cluster.is_shared:
                yield from Stored(self.prepared, stored_calls.sender(cluster, env)).map(requests)
                return
            with closing(cluster.map(sent)) as results:
                for program, ended in results:
                    if isinstance(ended, Failure):
                        yield by_key[program.key], ended
                    elif ended.exit_code:
                        yield by_key[program.key], programs.failure(ended)
                    else:
                        yield by_key[program.key], workspace.runs / subcommand.run_id(ended.stdout)


class Sender(Protocol):
    """A sender of calls, whose results come by the shared store."""

    def map(self, calls: Sequence[Call]) -> Taken:
        """Each call with the folders of its runs, its own first, or with its failure, as they are done."""
        ...


@dataclass(frozen=True)
class Stored:
    """A place whose runs come by the shared store: pods of Kubernetes, and workers of Dask with runs of their own."""

    prepared: PreparedRun
    sender: Sender

    def map(self, requests: Sequence[RunRequest]) -> Results:
        calls = {programs.call(request): request for request in requests}
        with closing(self.sender.map([*calls])) as results:
            for call, runs in results:
                yield calls[call], runs if isinstance(runs, Failure) else self._own(calls[call], runs[0])

    def _own(self, request: RunRequest, run: Path) -> Path | Failure:
        """A request's run. A failure where it is the run of other parameters, as only a planted result can be."""
        external = receipt.external_parameters(receipt.read(run / run_folder.RECEIPT))
        values = parameters.parse(request.parameters, self.prepared.parameters)
        path, env = self.prepared.workspace.relative(self.prepared.path), request.env
        expected = {"notebook": path, "parameters": parameters.json_values(values), "env": env}
        if json_bytes(external) != json_bytes(expected):
            return Failure(
                SamebookError.exit_code, f"the shared store has {run.name} for it, a run of other parameters"
            )
        return run
