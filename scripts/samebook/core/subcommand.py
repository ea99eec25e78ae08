"""Runs samebook in mid-work: another notebook, as a run of its own in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samebook.core import errors
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace


def run_notebook(workspace: Workspace, notebook: str, values: Mapping[str, Any], env: str = "") -> Path:
    """Run a notebook; returns the run's folder."""
    given = (part for name, value in values.items() for part in ("-p", f"{name}={value}"))
    chosen = env or os.environ.get("SAMEBOOK_ENV", "dev")
    return workspace.runs / run_id(call(workspace, "run", notebook, *given, "--env", chosen, "--json"))


def run_id(output: str) -> str:
    """The id of the run that `samebook run --json` printed: its last line is a JSON object."""
    return json.loads(output.strip().splitlines()[-1])["id"]


def call(workspace: Workspace, *arguments: str) -> str:
    """What `samebook ARGUMENTS` prints. Its errors are the caller's: UsageError, or what its exit code says."""
    variables = {name: value for name, value in os.environ.items() if name != "SAMEBOOK_RUN"}
    command = (sys.executable, "-m", "samebook", *arguments)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=workspace.root, check=False)
    if done.returncode:
        what = " ".join(arguments[:2]) if arguments[0] != "run" else arguments[1]
        message = f"{what} failed with exit code {done.returncode}:\n{done.stderr[-2000:].strip()}"
        raise errors.from_exit_code(done.returncode, message, default=UsageError)
    return done.stdout
