"""Runs forked from a process that has imported the command line, by the zygote of runners of `samebook warm`.

Each `samebook run` finds that zygote as it would find one of its workspace. It has the environment, folder and output
of its own; only the imports are shared.
"""

import atexit
import os
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from unittest.mock import patch

from samebook.core.workspace import Workspace
from samebook.execution.warm import client, kernels, runner
from samebook.execution.warm.messages import RUNNER

CHECKOUT = Path(__file__).parents[1]
# The environment of the tests, before one of them changes it; and the variables that are read while Python starts.
ENVIRON = dict(os.environ)
# What lives as long as this process. A child that is forked drops what is kept for the end, and must not end this.
KEPT = ExitStack()
START = ("PYTHON", "LD_", "LANG", "LC_", "TZ", "JUPYTER", "IPYTHON", client.FOLDER, "COVERAGE", "FAKETIME")


def hand_over(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The variables with which each `samebook run` below a command in this workspace is handed over to the zygote.

    They are `env` where Python would start otherwise with them, or the workspace has zygotes of its own.
    """
    if _read_at_start(env) != _read_at_start(ENVIRON) or client.folder(Workspace(folder)):
        return dict(env)
    with patch.dict(os.environ, env, clear=True):
        kind = runner.kind(Workspace(folder))
    # A file that holds the path of a socket stands for the socket.
    (_sockets() / kind.name).write_text(str(_sockets() / _kind().name))
    return {**env, client.FOLDER: str(_sockets())}


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in env.items() if name.startswith(START)}


def _kind() -> kernels.Kind:
    return kernels.Kind("tests", (RUNNER,), {**ENVIRON, "SAMEBOOK_WORKSPACE": str(CHECKOUT)})


@cache
def _sockets() -> Path:
    """The folder with the socket of a zygote that lives as long as this process."""
    atexit.register(KEPT.close)
    folder = Path(KEPT.enter_context(client.socket_folder()))
    process = KEPT.enter_context(client.zygote(_kind(), CHECKOUT, folder))
    assert not process.refusal, process.refusal
    return folder
