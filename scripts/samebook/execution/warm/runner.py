"""Warm runners: `samebook run` is handed over to a process that has already imported the modules of every run.

The calling process stays, as a terminal and a supervisor know only that one: it forwards signals to the runner and
ends with the runner's exit code.
"""

import os
import signal
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from samebook.core import code, signing_key
from samebook.core.digest import json_bytes, sha256, stamp
from samebook.core.workspace import Workspace
from samebook.execution.warm import client, kernels
from samebook.execution.warm.client import ForkedProcess
from samebook.execution.warm.kernels import Kind, Request
from samebook.execution.warm.messages import FILES, RUNNER

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def kind(workspace: Workspace) -> Kind:
    """The kind of zygote whose runners would be the same as this process: of this code, packages and variables."""
    packages = sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info"))
    states = [(str(path), stamp(path)) for path in (*code.files(), *packages)]
    facts = [str(workspace.root), sys.version, str(sys.flags), states]
    return kernels.kind(sha256(json_bytes(facts)), (RUNNER,), os.environ)


def fork(workspace: Workspace, arguments: Sequence[str]) -> ForkedProcess | None:
    """A warm runner of `samebook ARGUMENTS`, with this process's files; None where there is none.

    What signs imports for itself: whoever listens at the socket would get the key.
    """
    folder = client.folder(workspace)
    if signing_key.is_taken() or not folder or not all(map(_is_open, FILES)):
        return None
    request = Request(arguments, os.environ, str(Path.cwd()))
    return client.fork(folder, kind(workspace), request, FILES)


def wait(runner: ForkedProcess) -> int:
    """The exit code of the runner, once it has ended; meanwhile signals are forwarded to it, except ignored ones."""
    for signum in (*FORWARDED, signal.SIGTSTP):
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, lambda number, _: _forward(runner, number))
    exit_code = runner.wait()
    return exit_code if exit_code >= 0 else 128 - exit_code


def _forward(runner: ForkedProcess, signum: int) -> None:
    """Send a signal on to the runner; Ctrl-Z stops both processes, until this one may go on."""
    if signum != signal.SIGTSTP:
        runner.send_signal(signum)
        return
    runner.send_signal(signal.SIGSTOP)  # SIGTSTP does nothing to a process without a terminal
    os.kill(os.getpid(), signal.SIGSTOP)
    runner.send_signal(signal.SIGCONT)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
