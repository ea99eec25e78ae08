"""A kernel's process that starts before its run is checked, beside the imports of the runner."""

import atexit
import os
import socket
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from samebook.core.workspace import Workspace
from samebook.environment import variables
from samebook.execution.warm import client, imports, kernels, messages
from samebook.execution.warm.kernels import IMPORT_ENV, Request

# Seconds. An import that takes longer is left to the notebook's own cell, under its time limit.
LONGEST_IMPORT = 30.0


class EarlyProcess:
    """A process that imports the modules of a notebook while the run is checked, and becomes its kernel then."""

    def __init__(self, env: Mapping[str, str], cwd: Path, modules: Sequence[str]) -> None:
        self.env = kernels.import_variables(env)
        self.connection, stdin = socket.socketpair()
        with stdin:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "samebook.execution.warm.zygote", "once", str(os.getpid()), *modules],
                cwd=cwd,
                env={**env, **IMPORT_ENV},
                stdin=stdin.fileno(),
                # Its files come with the request. A cold kernel will show the error of an import.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def become(
        self, request: Request, files: Sequence[int], secrets: Collection[str]
    ) -> "subprocess.Popen[bytes] | None":
        """Turn the process into the requested kernel, with `files` as its stdout and stderr.

        Returns None where its variables are others, or its imports had effects. No import looks at `secrets`, which
        are variables that the settings and the notebook name.
        """
        seen = {name: value for name, value in request.env.items() if name not in secrets}
        with suppress(OSError, ValueError):
            if kernels.import_variables(seen) == self.env and self.process.poll() is None:
                self.connection.settimeout(LONGEST_IMPORT)
                request.send(self.connection, files)
                messages.receive_answer(self.connection)
                self.connection.close()
                return self.process
        self.end()
        return None

    def end(self) -> None:
        """End the process, unless it has become a kernel."""
        if self.connection.fileno() >= 0:
            self.connection.close()
            self.process.kill()
            self.process.wait()


_early: EarlyProcess | None = None


def start(workspace: Workspace, notebook: str) -> None:
    """Start the process of the kernel that this command will need, unless a zygote may have one."""
    global _early
    if not client.folder(workspace):
        path = workspace.notebook(notebook)
        # The check of the run will say so: nothing beside a notebook from elsewhere may be imported.
        if not path.is_file() or not path.resolve().is_relative_to(workspace.notebooks.resolve()):
            return
        _early = EarlyProcess(variables.of_any_kernel(workspace), path.parent, imports.of_notebook(path))
        atexit.register(_early.end)


def take_early() -> EarlyProcess | None:
    """The process that was started early, for the first caller only."""
    global _early
    process, _early = _early, None
    return process
