"""Warm runners: `samebook run` is handed over to a process that has imported already what every run imports.

Who asks stays, as what a terminal and a supervisor know: it hands on the signals that it gets, and the exit code.
"""

import os
import signal
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from samebook import kernels, zygotes
from samebook.digest import json_bytes, sha256
from samebook.kernels import Kind, Request
from samebook.workspace import Workspace
from samebook.zygote import RUNNER

HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def kind(workspace: Workspace) -> Kind:
    """The kind of zygote whose runners would be the same as this process: of this code, packages and variables."""
    code = sorted(Path(__file__).parent.glob("*.py"))
    packages = sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info"))
    told = [[str(workspace.root), sys.version], *([str(each), each.stat().st_mtime_ns] for each in (*code, *packages))]
    return kernels.kind(sha256(json_bytes(told)), (RUNNER,), os.environ)


def handed_over(workspace: Workspace, arguments: Sequence[str]) -> int | None:
    """The exit code of a warm runner that has done it all; None where there is none."""
    folder = zygotes.folder(workspace)
    if not folder:
        return None
    request = Request(arguments, os.environ, str(Path.cwd()))
    runner = zygotes.forked(folder, kind(workspace), request, files=(1, 2, 0))
    if not runner:
        return None
    for signum in HANDED_ON:
        signal.signal(signum, lambda number, _: runner.send_signal(number))
    code = runner.wait()
    return code if code >= 0 else 128 - code
