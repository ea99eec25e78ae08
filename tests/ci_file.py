"""The jobs of a forge: their steps, run in their order as the forge runs them, in a folder of their own."""

import base64
import gzip
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

VALUE = re.compile(r"\$\{\{ ([\w.-]+) \}\}")
# What any machine has, and what one behind a mirror or a proxy needs.
OF_THE_MACHINE = re.compile(r"PATH|LANG|(PIP|UV)_\w+|DEBIAN_MIRROR|SSL_CERT_\w+|\w+_(PROXY|proxy)")
NOTHING: Mapping[str, str] = MappingProxyType({})


def run(
    project: Path,
    folder: Path,
    engine: str,
    name: str = "test",
    base: str = "",
    known: Mapping[str, str] = NOTHING,
    artifacts: Path | None = None,
    **secrets: str,
) -> Iterator[tuple[str, str]]:
    """Run a job of GitHub's, on an engine where it has several, in an empty folder; yields each step's name and what it
    printed.

    It has the variables of the forge, and the base where the pinned one can't be had. `known` are the values of other
    expressions of the forge; secrets and variables of the repository that are not given are empty, as they are there. A
    step that fails is the last one, and an AssertionError. Of the actions, those run that hand files on by way of
    `artifacts`, where that is given.
    """
    job = _job(project, name)
    assert engine in job.get("strategy", {"matrix": {"engine": [engine]}})["matrix"]["engine"]
    values = {"github.token": "none", "github.server_url": project.parent.as_uri(), "github.repository": project.name}
    values |= {"matrix.engine": engine, **{f"secrets.{secret}": value for secret, value in secrets.items()}}
    values |= known
    # https://docs.github.com/actions/reference/workflows-and-actions/variables
    env = _environ(folder, base) | {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_RUN_ID": "17"}
    env |= {"GITHUB_SHA": head(project), "GITHUB_REPOSITORY": project.name, "RUNNER_TEMP": str(folder / "temp")}
    env |= {"GITHUB_REF_NAME": _git(project, "branch", "--show-current")}
    env |= {"GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "GITHUB_OUTPUT": str(folder / "output")}
    env |= {key: _filled(text, values) for key, text in job.get("env", {}).items()}
    (folder / "work").mkdir()
    for step in job["steps"]:
        if "run" in step:
            yield step.get("name", step["run"]), _run(step, values, folder / "work", env)
        elif artifacts:
            _hand_on(step["uses"], step["with"], folder / "work", artifacts)


def given(folder: Path) -> tuple[str, str]:
    """The text that a job of GitHub's gives to those after it, as the forge hands it on, and as it is."""
    text = (folder / "output").read_text().removeprefix("text=").strip()
    return text, gzip.decompress(base64.b64decode(text)).decode()


def outputs(folder: Path, job: str) -> dict[str, str]:
    """What a job of GitHub's gives to those that need it, by the expressions in which they have it."""
    file = folder / "output"
    pairs = (line.partition("=") for line in (file.read_text() if file.is_file() else "").splitlines())
    return {f"needs.{job}.outputs.{name}": value for name, _, value in pairs}


def run_gitlab(
    project: Path,
    folder: Path,
    name: str,
    base: str = "",
    engine: str = "",
    target: str = "",
    artifacts: Path | None = None,
    **variables: str,
) -> str:
    """Run a job of GitLab's in a clone without a branch, as its runner does; returns what it printed. `target` is the
    branch that a merge request goes into, `artifacts` the folder of what jobs leave for those after them. What it
    leaves is in `folder`/work.
    """
    job = _gitlab_jobs(project)[name]
    commit, env = head(project), _environ(folder, base)
    # https://docs.gitlab.com/ci/variables/predefined_variables
    env |= {"GITLAB_CI": "true", "CI_COMMIT_SHA": commit, "CI_PROJECT_PATH": project.name, "CI_PIPELINE_ID": "17"}
    env |= {"CI_SERVER_HOST": "forge.example.com", "CI_JOB_NAME": name}
    env |= {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": target} if target else {}
    env |= {} if target else {"CI_COMMIT_BRANCH": _git(project, "branch", "--show-current")}
    env |= {"ENGINE": engine} if engine else {}
    own = {key: re.sub(r"\$(\w+)", lambda found: env[found[1]], text) for key, text in job.get("variables", {}).items()}
    _git(folder, "clone", "--quiet", project.as_uri(), "work")
    _git(folder / "work", "checkout", "--quiet", "--detach", commit)
    for earlier in job.get("needs", []) if artifacts else []:
        shutil.copytree(artifacts / earlier, folder / "work", dirs_exist_ok=True)
    # https://docs.gitlab.com/runner/shells: a script is one program, which the first failure ends.
    program = "\n".join(("set -eo pipefail", *job["script"]))
    command = ["bash", "--noprofile", "--norc", "-c", program]
    env = {**env, **own, **variables}
    done = subprocess.run(command, cwd=folder / "work", env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    for pattern in job.get("artifacts", {"paths": []})["paths"] if artifacts else []:
        for path in (folder / "work").glob(pattern):
            _copy(path, artifacts / name / path.relative_to(folder / "work"))
    return done.stdout + done.stderr


def head(project: Path) -> str:
    return _git(project, "rev-parse", "HEAD")


def _job(project: Path, name: str) -> dict[str, Any]:
    files = sorted((project / ".github" / "workflows").glob("*.yml"))
    jobs = {key: job for file in files for key, job in yaml.safe_load(file.read_text())["jobs"].items()}
    return jobs[name]


def _gitlab_jobs(project: Path) -> dict[str, Any]:
    """The jobs of the file, and of those that it includes."""
    jobs = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
    for included in jobs.get("include", []):
        jobs |= yaml.safe_load((project / included["local"].removeprefix("/")).read_text())
    return jobs


def _hand_on(action: str, given: Mapping[str, Any], folder: Path, artifacts: Path) -> None:
    """What GitHub's actions do with files: no hidden one goes along unless that is asked for, and no mode does.

    https://github.com/actions/upload-artifact
    """
    if action.startswith("actions/download-artifact@"):
        shutil.copytree(artifacts / given["name"], folder / given["path"], dirs_exist_ok=True)
        return
    assert action.startswith("actions/upload-artifact@")
    hidden = None if given.get("include-hidden-files") else shutil.ignore_patterns(".*")
    (path,) = given["path"].splitlines()
    shutil.copytree(folder / path, artifacts / given["name"], ignore=hidden, copy_function=shutil.copyfile)


def _copy(path: Path, to: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, to)
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)


def _environ(folder: Path, base: str) -> dict[str, str]:
    """The variables of a clean machine, whose home and temporary folder are made below a folder."""
    env = {each: value for each, value in os.environ.items() if OF_THE_MACHINE.fullmatch(each)}
    for place in ("home", "temp"):
        (folder / place).mkdir(parents=True)
    return env | {"CI": "true", "HOME": str(folder / "home")} | ({"BASE_IMAGE": base} if base else {})


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _run(step: Mapping[str, Any], values: Mapping[str, str], folder: Path, env: Mapping[str, str]) -> str:
    own = {name: _filled(text, values) for name, text in step.get("env", {}).items()}
    # As runners start it: https://docs.github.com/actions/reference/workflow-syntax-for-github-actions#custom-shell
    command = ["bash", "--noprofile", "--norc", "-e", "-c", _filled(step["run"], values)]
    done = subprocess.run(command, cwd=folder, env={**env, **own}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{step['name']}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def _filled(text: str, values: Mapping[str, str]) -> str:
    """The text with the value of each expression; one that the forge does not know is a KeyError."""
    return VALUE.sub(lambda found: _value(found[1], values), text)


def _value(name: str, values: Mapping[str, str]) -> str:
    return values.get(name, "") if name.startswith(("secrets.", "vars.")) else values[name]
