"""The programs of a pipeline's steps, each the run of a notebook, executed by a cluster."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import override

from samebook.cluster import program
from samebook.cluster.client import Cluster
from samebook.core.processes import STEP, Processes, ProcessResult
from samebook.core.signing_programs import SAMEBOOK
from samebook.execution import preparation
from samebook.execution.preparation import RunRequest
from samebook.execution.workers import Failure


class RunProcesses(Processes):
    """Processes whose `call` sends a run, SAMEBOOK with `run NOTEBOOK …`, to the cluster. `env` names settings."""

    def __init__(self, cluster: Cluster, env: str) -> None:
        super().__init__()
        self._cluster, self._env = cluster, env
        self._programs: dict[str, program.Program] = {}
        self._lock = threading.Lock()

    @override
    def call(
        self, command: Sequence[str], folder: Path, env: Mapping[str, str], locks: Sequence[int] = ()
    ) -> ProcessResult:
        arguments = tuple(command[len(SAMEBOOK) :])
        of_notebook = self._program(arguments[1])
        step = {STEP: env[STEP]} if STEP in env else {}
        of_run = replace(of_notebook, arguments=arguments, variables={**of_notebook.variables, **step})
        with closing(self._cluster.map([of_run])) as results:
            _, ended = next(results)
        if isinstance(ended, Failure):
            return ProcessResult(ended.code, "", f"error: {ended.message}")
        return ended

    def _program(self, notebook: str) -> program.Program:
        """The program of any run of a notebook, which is prepared once."""
        with self._lock:
            if notebook not in self._programs:
                request = RunRequest(notebook, {}, self._env)
                prepared = preparation.prepare(self._cluster.workspace, request)
                self._programs[notebook] = program.of_run(request, prepared)
            return self._programs[notebook]

    @override
    def stop(self) -> None:
        self._cluster.stop()
        super().stop()
