"""Samebook inside samebook: a command, or the run of another notebook, in a process of its own.

The light environment beside the image has no kernel: there make runs notebooks, in the image.
"""

import json
import os
import re
import signal
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from samebook.core import errors, signals, signing_programs
from samebook.core.errors import UsageError
from samebook.core.make import clean_environment
from samebook.core.processes import ProcessResult
from samebook.core.signing_programs import SAMEBOOK
from samebook.core.workspace import Workspace

SHOWN = 4000
# The line of make about a failed recipe, in any language: the exit code of make itself is always 2.
MAKE = re.compile(r"^make(?:\[\d+\])?: \*\*\* \[.*\] \S+ (\d+)$", re.MULTILINE)


def has_kernels() -> bool:
    """Whether notebooks can run in this environment; in the light one beside the image they can't."""
    return find_spec("ipykernel") is not None


def run_notebook(workspace: Workspace, notebook: str, values: Mapping[str, Any], env: str = "") -> Path:
    """Run a notebook with parameters; returns the run's folder. Without `env` it runs in the caller's environment."""
    env = env or os.environ.get("SAMEBOOK_ENV", "dev")
    params = json.dumps(values, ensure_ascii=False, default=str)
    if not has_kernels():
        return workspace.runs / run_id(make(workspace, "run", NOTEBOOK=notebook, PARAMS=params, ENV=env, JSON="1"))
    return workspace.runs / run_id(call(workspace, "run", notebook, "--params", params, "--env", env, "--json"))


def run_id(output: str) -> str:
    """The id of a run, from the output of `samebook run --json`."""
    return run_facts(output)["id"]


def run_facts(output: str) -> dict[str, Any]:
    """The JSON object in the last line of the output of `samebook run --json`."""
    return json.loads(output.strip().splitlines()[-1])


def call(workspace: Workspace, *arguments: str) -> str:
    """The standard output of `samebook ARGUMENTS`. Raises the error of its exit code, or UsageError."""
    variables = {name: value for name, value in os.environ.items() if name != "SAMEBOOK_RUN"}
    process = _run(workspace, (*SAMEBOOK, *arguments), variables)
    if process.exit_code:
        subject = " ".join(arguments[:2]) if arguments[0] != "run" else arguments[1]
        message = f"{subject} failed with exit code {process.exit_code}:\n{process.stderr[-2000:].strip()}"
        raise errors.from_exit_code(process.exit_code, message, default=UsageError)
    return process.stdout


def make(workspace: Workspace, target: str, **variables: str) -> str:
    """The standard output of `make TARGET NAME=value …`, by default in the image. Raises the error of its exit code."""
    assignments = (f"{name}={value}" for name, value in {"ENGINE": "docker", **variables}.items())
    command = ("make", "--silent", target, *assignments)
    process = _run(workspace, command, clean_environment())
    if process.exit_code:
        code, text = exit_code(process.exit_code, process.stderr), message(process.stderr)
        raise errors.from_exit_code(code, text.removeprefix("error: "))
    return process.stdout


def in_group(command: Sequence[str], folder: Path) -> tuple[int, str]:
    """The exit code and the output of a command, all of whose programs end with this process."""
    with tempfile.TemporaryFile() as output:
        code = signals.call(command, folder, clean_environment(), output)
        output.seek(0)
        printed = output.read().decode(errors="replace")
    return exit_code(code, printed), printed


def _run(workspace: Workspace, command: Sequence[str], env: Mapping[str, str]) -> ProcessResult:
    process = signing_programs.start(command, workspace.root, env, is_group=False)
    try:
        output = process.communicate()
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        raise
    return ProcessResult(process.returncode or 0, *output)


def message(stderr: str) -> str:
    """The message of a failed program: its standard error from the last `error:` on, or the end of it."""
    lines = MAKE.sub("", stderr).strip().splitlines()
    last = max((n for n, line in enumerate(lines) if line.startswith("error:")), default=0)
    return "\n".join(lines[last:])[-SHOWN:]


def exit_code(code: int, stderr: str) -> int:
    """The exit code of the program itself, also where make has started it."""
    codes = MAKE.findall(stderr)
    return int(codes[0]) if codes else code
