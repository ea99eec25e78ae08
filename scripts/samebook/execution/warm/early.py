"""A kernel's process that starts before its run is checked, beside the imports of the runner."""

import atexit
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from samebook.core.workspace import Workspace
from samebook.environment import variables
from samebook.execution.warm import client, imports, kernels
from samebook.execution.warm.kernels import IMPORTING, Request

# What takes longer to import is imported by the notebook's own cell, under its time limit.
LONGEST_IMPORT = 30.0


class EarlyProcess:
    """A kernel's process that is started before the run is checked, and imports meanwhile what the notebook will."""

    def __init__(self, env: Mapping[str, str], cwd: Path, modules: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        self.connection, self.env = ours, kernels.import_variables(env)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "samebook.execution.warm.zygote", "once", *modules],
                cwd=cwd,
                env={**env, **IMPORTING},
                stdin=theirs.fileno(),
                start_new_session=True,
            )

    def become(self, request: Request) -> "subprocess.Popen[bytes] | None":
        """Have it become this kernel; None where it can't: variables are others, or an import has had effects."""
        with suppress(OSError, ValueError):
            if kernels.import_variables(request.env) == self.env and self.process.poll() is None:
                self.connection.settimeout(LONGEST_IMPORT)
                request.send(self.connection, [1, 2])
                kernels.line(self.connection)
                self.connection.close()
                return self.process
        self.end()
        return None

    def end(self) -> None:
        """End it where nobody has asked for it."""
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
        if not path.is_file():  # which whoever checks the run will tell
            return
        _early = EarlyProcess(variables.base(workspace), path.parent, imports.of_notebook(path))
        atexit.register(_early.end)


def take() -> EarlyProcess | None:
    """The process that was started early, for the first that asks."""
    global _early
    found, _early = _early, None
    return found
