"""Samebook inside samebook: a command, or the run of another notebook, in a process of its own."""

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
    """Run a notebook with parameters; returns the run's folder. Without `env` it runs in the caller's environment."""
    parameters = (part for name, value in values.items() for part in ("-p", f"{name}={value}"))
    env = env or os.environ.get("SAMEBOOK_ENV", "dev")
    return workspace.runs / run_id(call(workspace, "run", notebook, *parameters, "--env", env, "--json"))


def run_id(output: str) -> str:
    """The id of a run, from the output of `samebook run --json`, whose last line is a JSON object."""
    return json.loads(output.strip().splitlines()[-1])["id"]


def call(workspace: Workspace, *arguments: str) -> str:
    """The standard output of `samebook ARGUMENTS`. Raises the error of its exit code, or UsageError."""
    variables = {name: value for name, value in os.environ.items() if name != "SAMEBOOK_RUN"}
    command = (sys.executable, "-m", "samebook", *arguments)
    process = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=workspace.root, check=False)
    if process.returncode:
        subject = " ".join(arguments[:2]) if arguments[0] != "run" else arguments[1]
        message = f"{subject} failed with exit code {process.returncode}:\n{process.stderr[-2000:].strip()}"
        raise errors.from_exit_code(process.returncode, message, default=UsageError)
    return process.stdout
