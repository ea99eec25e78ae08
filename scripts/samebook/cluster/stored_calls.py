"""Calls of samebook for workers of Dask that have runs of their own: results come by the shared store, as from pods.

A result is found there by what was asked for. So it is made once, whoever asks, and whatever worker dies.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from samebook.cluster import pods
from samebook.cluster.client import Cluster
from samebook.cluster.index_program import Calls
from samebook.cluster.indexed_jobs import Call, Taken
from samebook.cluster.program import Program, failure
from samebook.cluster.results import Origin, Results
from samebook.core.digest import json_bytes, sha256
from samebook.environment import settings, variables
from samebook.execution.workers import Failure
from samebook.store import remote


@dataclass(frozen=True)
class StoredCalls:
    """The sender of calls to a cluster. `origin` is that of the files here, and `variables` decide results."""

    cluster: Cluster
    results: Results
    origin: Origin
    env: str
    variables: Mapping[str, str]

    def map(self, calls: Sequence[Call]) -> Taken:
        """Each call with the folders of its runs, its own first, or with its failure, as they are done.

        What is in the shared store already is taken from there. When the iterator is closed, calls that are not done
        are ended.
        """
        waiting = {self._digest(call): call for call in calls}
        for digest, call in list(waiting.items()):
            if receipts := self.results.receipts(digest):
                del waiting[digest]
                yield call, self.results.taken(receipts)
        programs = {digest: self._program(digest, call) for digest, call in waiting.items()}
        digests = {program.key: digest for digest, program in programs.items()}
        with closing(self.cluster.map([*programs.values()])) as done:
            for program, ended in done:
                digest = digests[program.key]
                if isinstance(ended, Failure):
                    yield waiting[digest], ended
                elif ended.exit_code:
                    yield waiting[digest], failure(ended)
                else:
                    yield waiting[digest], self.results.taken(self.results.receipts(digest))

    def _digest(self, call: Call) -> str:
        environment = self.cluster.session.environment["digest"]
        origin = [self.origin.commit, dict(self.origin.source)]
        return sha256(json_bytes([environment, origin, dict(self.variables), list(call)]))

    def _program(self, digest: str, call: Call) -> Program:
        calls = Calls(self.env, self.origin.commit, dict(self.origin.source), [list(call)], [digest])
        is_run = call[0] == "run"
        return Program(
            (), ("--reuse",) if is_run else (), self.variables, "", call[1] if is_run else "", self.env, calls.text
        )


def sender(cluster: Cluster, env: str) -> StoredCalls:
    """The sender of calls to workers that do not see the runs here. Raises UsageError for a variable with a secret."""
    workspace, origin = cluster.workspace, cluster.session.origin
    assert origin is not None, "without a shared store, workers see the runs"
    numeric = {name: text for name, text in os.environ.items() if name.startswith(variables.NUMERIC)}
    own = pods.decisive_variables(settings.load(workspace, env).variables)
    results = Results(workspace, remote.require(workspace, env))
    return StoredCalls(cluster, results, origin, env, dict(sorted({**numeric, **own}.items())))
