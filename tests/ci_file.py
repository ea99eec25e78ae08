"""The CI file of a project: its steps, run in their order as the forge runs them, in a folder of their own."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from samebook.core.make import clean_environment

VALUE = re.compile(r"\$\{\{ ([\w.]+) \}\}")


def run(project: Path, folder: Path, engine: str, name: str = "test", **variables: str) -> Iterator[tuple[str, str]]:
    """Run a job, on an engine where it has several, in an empty folder; yields each step's name and what it printed.

    Its secrets are among the variables. A step that fails is the last one, and an AssertionError.
    """
    job = yaml.safe_load((project / ".github" / "workflows" / "ci.yml").read_text())["jobs"][name]
    assert engine in job.get("strategy", {"matrix": {"engine": [engine]}})["matrix"]["engine"]
    values = {"github.token": "none", "github.server_url": project.parent.as_uri(), "github.repository": project.name}
    values |= {"matrix.engine": engine, **{f"secrets.{name}": value for name, value in variables.items()}}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True, check=True)
    env = {**clean_environment(), **variables, "GITHUB_SHA": commit.stdout.strip(), "HOME": str(folder / "home")}
    (folder / "home").mkdir(parents=True)
    (folder / "work").mkdir()
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
