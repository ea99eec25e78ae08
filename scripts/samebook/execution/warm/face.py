"""The face of warm starts: all that the rest of samebook calls. Where nothing is warm, each start is a cold one."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samebook.core.errors import SamebookError
from samebook.core.workspace import find
from samebook.execution.warm import client, early, imports, kernels, runner
from samebook.execution.warm.client import FOLDER, ZygoteProcess, can_fork, folder, socket_folder, zygote
from samebook.execution.warm.early import EarlyProcess, take_early
from samebook.execution.warm.kernels import Kind, Request
from samebook.execution.warm.messages import RUNNER
from samebook.execution.warm.runner import kind as runner_kind

__all__ = ["FOLDER", "RUNNER", "Kind", "Origin", "ZygoteProcess"]
__all__ += ["can_fork", "folder", "kernel_kind", "run", "runner_kind", "socket_folder", "take_early", "zygote"]


def run(arguments: Sequence[str], notebook: str) -> int | None:
    """The exit code of `samebook ARGUMENTS` in a warm runner, once it has ended.

    None where there is none. This process runs the notebook itself then, whose kernel starts meanwhile.
    """
    process = None
    with suppress(SamebookError, OSError):  # the command will raise it again
        workspace = find()
        process = runner.fork(workspace, arguments)
        if not process:
            early.start(workspace, notebook)
    return runner.wait(process) if process else None


@dataclass
class Origin:
    """The origin of a kernel: a zygote of this kind, with its socket in the folder, or an early process, which lacks
    the variables named in `secrets`. Without both, a kernel starts cold.

    `output` is the file descriptor of the kernel's stdout and stderr. `start` is "warm" once a zygote has forked the
    kernel, else "cold", as the receipt says.
    """

    folder: Path | None = None
    kind: Kind | None = None
    early: EarlyProcess | None = None
    secrets: frozenset[str] = frozenset()
    output: int = 2
    start: str = "cold"

    def process(self, command: Sequence[str], env: Mapping[str, str], cwd: str) -> Any:
        """A process for the kernel; None where it must be started by its command, as any other."""
        if tuple(command[:3]) != kernels.COMMAND:
            return None
        request, files = Request(command[3:], env, cwd), (self.output, self.output)
        if self.folder and self.kind and (forked := client.fork(self.folder, self.kind, request, files)):
            self.start = "warm"
            return forked
        return self.early.become(request, files, self.secrets) if self.early else None


def kernel_kind(notebook: Path, packages: str, env: Mapping[str, str]) -> Kind:
    """The kind of the kernels of a notebook with this environment; `packages` is the digest of the installed ones."""
    return kernels.kind(packages, imports.of_notebook(notebook), env)
