"""Warm runners: `samebook run` is handed over to a process that has imported already what every run imports.

Who asks stays, as what a terminal and a supervisor know: it hands on the signals that it gets, and the exit code.
"""

import os
import signal
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from samebook.core import code
from samebook.core.digest import json_bytes, sha256
from samebook.core.workspace import Workspace
from samebook.environment import identity
from samebook.execution.warm import client, kernels
from samebook.execution.warm.client import ForkedProcess
from samebook.execution.warm.kernels import Kind, Request
from samebook.execution.warm.zygote import FILES, RUNNER

HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def kind(workspace: Workspace) -> Kind:
    """The kind of zygote whose runners would be the same as this process: of this code, packages and variables."""
    packages = sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info"))
    states = [(str(path), found) for path, found in map(identity.file_state, (*code.files(), *packages))]
    told = [str(workspace.root), sys.version, str(sys.flags), states]
    return kernels.kind(sha256(json_bytes(told)), (RUNNER,), os.environ)


def fork(workspace: Workspace, arguments: Sequence[str]) -> ForkedProcess | None:
    """A warm runner that does what these arguments say, with this process's files; None where there is none."""
    folder = client.folder(workspace)
    if not folder or not all(map(_is_open, FILES)):
        return None
    request = Request(arguments, os.environ, str(Path.cwd()))
    return client.fork(folder, kind(workspace), request, FILES)


def wait(runner: ForkedProcess) -> int:
    """Its exit code, once it has ended; signals are handed on to it meanwhile, but those that nobody hears here."""
    for signum in (*HANDED_ON, signal.SIGTSTP):
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, lambda number, _: _hand_on(runner, number))
    code = runner.wait()
    return code if code >= 0 else 128 - code


def _hand_on(runner: ForkedProcess, signum: int) -> None:
    """What a terminal says to this process is meant for the runner; Ctrl-Z stops both, until this one may go on."""
    if signum != signal.SIGTSTP:
        runner.send_signal(signum)
        return
    runner.send_signal(signal.SIGSTOP)  # the other is nothing to a process that no terminal has
    os.kill(os.getpid(), signal.SIGSTOP)
    runner.send_signal(signal.SIGCONT)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
