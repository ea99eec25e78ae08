"""The CI file of a project: its steps, run in their order as the forge runs them, in a folder of their own."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

VALUE = re.compile(r"\$\{\{ ([\w.]+) \}\}")
# What any machine has, and what one behind a mirror or a proxy needs.
OF_THE_MACHINE = re.compile(r"PATH|LANG|(PIP|UV)_\w+|DEBIAN_MIRROR|SSL_CERT_\w+|\w+_(PROXY|proxy)")


def run(
    project: Path,
    folder: Path,
    engine: str,
    name: str = "test",
    base: str = "",
    known: Mapping[str, str] = MappingProxyType({}),
    **secrets: str,
) -> Iterator[tuple[str, str]]:
    """Run a job, on an engine where it has several, in an empty folder; yields each step's name and what it printed.

    It has the variables of the forge, and the base where the pinned one can't be had. `known` are the values of other
    expressions of the forge. A step that fails is the last
    one, and an AssertionError.
    """
    job = yaml.safe_load((project / ".github" / "workflows" / "ci.yml").read_text())["jobs"][name]
    assert engine in job.get("strategy", {"matrix": {"engine": [engine]}})["matrix"]["engine"]
    values = {"github.token": "none", "github.server_url": project.parent.as_uri(), "github.repository": project.name}
    values |= {"matrix.engine": engine, **{f"secrets.{secret}": value for secret, value in secrets.items()}}
    values |= known
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True, check=True)
    env = {each: value for each, value in os.environ.items() if OF_THE_MACHINE.fullmatch(each)}
    # https://docs.github.com/actions/reference/workflows-and-actions/variables
    env |= {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_SHA": commit.stdout.strip()}
    env |= {"HOME": str(folder / "home"), "RUNNER_TEMP": str(folder / "temp")}
    env |= {"GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "GITHUB_OUTPUT": str(folder / "output")}
    env |= {"BASE_IMAGE": base} if base else {}
    for place in ("home", "temp", "work"):
        (folder / place).mkdir(parents=True)
    for step in job["steps"]:
        if f"'{engine}'" in step.get("if", f"'{engine}'"):
            yield step["name"], _run(step, values, folder / "work", env)


def _run(step: Mapping[str, Any], values: Mapping[str, str], folder: Path, env: Mapping[str, str]) -> str:
    own = {name: _filled(text, values) for name, text in step.get("env", {}).items()}
    # As runners start it: https://docs.github.com/actions/reference/workflow-syntax-for-github-actions#custom-shell
    command = ["bash", "--noprofile", "--norc", "-e", "-c", _filled(step["run"], values)]
    done = subprocess.run(command, cwd=folder, env={**env, **own}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{step['name']}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def _filled(text: str, values: Mapping[str, str]) -> str:
    """The text with the value of each expression; one without a value is a KeyError."""
    return VALUE.sub(lambda found: values[found[1]], text)
