"""Runs samebook in mid-work: another notebook, as a run of its own in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samebook.core.errors import DataRejected, NotReproduced, UsageError
from samebook.core.workspace import Workspace


def run_notebook(workspace: Workspace, notebook: str, values: Mapping[str, Any], env: str = "") -> Path:
    """Run a notebook; returns the run's folder."""
    given = (part for name, value in values.items() for part in ("-p", f"{name}={value}"))
    chosen = env or os.environ.get("SAMEBOOK_ENV", "dev")
    return workspace.root / samebook(workspace, "run", notebook, *given, "--env", chosen).split()[0]


def samebook(workspace: Workspace, *arguments: str) -> str:
    """What `samebook ARGUMENTS` prints. Its errors are the caller's: UsageError, or what its exit code says."""
    variables = {name: value for name, value in os.environ.items() if name != "SAMEBOOK_RUN"}
    command = (sys.executable, "-m", "samebook", *arguments)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=workspace.root, check=False)
    if done.returncode:
        kinds = {kind.exit_code: kind for kind in (DataRejected, NotReproduced)}
        told = done.stderr[-2000:].strip()
        what = " ".join(arguments[:2]) if arguments[0] != "run" else arguments[1]
        raise kinds.get(done.returncode, UsageError)(f"{what} failed with exit code {done.returncode}:\n{told}")
    return done.stdout
