"""A candidate that the clock starts, in both forms of CI: made, reproduced by another builder, and proposed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import ci_file
import docker
import pytest
import tiny_project
import yaml
from containers import base
from s3 import KEY, S3, TEXT
from test_forge import FORGE
from tiny_project import CANDIDATE, OWNERS, POLICY, cloned, commit_jobs, git, key, make

from samebook.core.digest import sha256
from samebook.records import receipt


@pytest.fixture(scope="module")
def project(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tiny_project.new(engine, tmp_path_factory.mktemp("project") / "scheduled_tiny") as made:
        yield made


def on_github(project: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A stand-in for GitHub's program, on the path."""
    del project
    (folder / "programs").mkdir()
    (folder / "programs" / "gh").write_text(FORGE)
    (folder / "programs" / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "programs"), prepend=os.pathsep)
    return {}


def on_gitlab(project: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables with which a push to GitLab goes to the project on this disk, which takes options of a push."""
    del folder, monkeypatch
    git(project, "config", "receive.advertisePushOptions", "true")
    address = f"https://oauth2:token@forge.example.com/{project.name}.git"
    instead = {"GIT_CONFIG_KEY_0": f"url.{project.as_uri()}.insteadOf", "GIT_CONFIG_VALUE_0": address}
    return {"GIT_CONFIG_COUNT": "1", **instead, "PUSH_TOKEN": "token"}


def commit_schedule(clone: Path, forge: str) -> str:
    """Commit the schedule of preprod with the jobs of a forge, and check out what the forge's clock starts; returns the
    commit of the branch preprod.
    """
    make(clone, "schedule", f"AS={forge}", "ENV=preprod", f"INTO={'.github/workflows' if forge == 'github' else '.'}")
    # The store's server is on this machine's loopback, and a container has another.
    (clone / "docker-compose.override.yml").write_text("services: {run: {network_mode: host}}\n")
    commit_jobs(clone, forge)
    # The clock of GitHub starts main's workflow, and GitLab's pipeline is of the branch that its schedule names.
    git(clone, "switch", "--quiet", "--create", "preprod")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "merged into preprod")
    commit = ci_file.head(clone)
    git(clone, "switch", "--quiet", "main" if forge == "github" else "preprod")
    return commit


def secret_lines(secrets: dict[str, str]) -> list[str]:
    return [line for text in secrets.values() for line in text.splitlines() if line and not line.startswith("-----")]


@pytest.mark.parametrize(
    ("forge", "is_shared"),
    [
        ("github", True),
        pytest.param("github", False, marks=pytest.mark.long),
        pytest.param("gitlab", True, marks=pytest.mark.long),
        pytest.param("gitlab", False, marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(1800)
def test_scheduled_candidate(
    forge: str, is_shared: bool, project: Path, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduled pipeline makes a candidate, another job with a key of its own reproduces it, and a third proposes its
    promotion as a branch with one commit; by the shared store, and where there is none by what jobs hand on.
    """
    ada = cloned(project, tmp_path / "ada")
    store = json.loads(s3.settings()) if is_shared else {}
    settings = {**store, "promotion": POLICY, "schedule": {"weekly": "0 5 * * 1"}}
    (ada / "environments" / "preprod.yml").write_text(yaml.safe_dump(settings))
    (ada / "environments" / "pipelines").mkdir(exist_ok=True)
    (ada / "environments" / "pipelines" / "weekly.yml").write_text(CANDIDATE)
    secrets = {"RUN_KEY": key(ada, "ada"), "REPRODUCTION_KEY": key(ada, "ci")}
    (ada / "environments" / "trusted-keys" / "owners.yml").write_text(OWNERS)
    commit = commit_schedule(ada, forge)
    prefix = "weekly" if forge == "github" else "samebook-preprod-weekly"
    names = (prefix, f"{prefix}-reproduce", f"{prefix}-promote")
    proposing = (on_github if forge == "github" else on_gitlab)(ada, tmp_path, monkeypatch)
    common = {"base": base(), "artifacts": tmp_path / "artifacts"}
    known = dict[str, str]()
    secrets |= {"S3_KEY": KEY, "S3_TEXT": TEXT} if is_shared else {}
    printed: list[str] = []
    for name in names:
        folder = tmp_path / name
        if forge == "github":
            steps = dict(ci_file.run(ada, folder, "docker", name, **common, known=known, **secrets))
            printed.append("".join(steps.values()))
            known |= ci_file.outputs(folder, name)
        else:
            files = {
                each: str(ada.parent / f"{path}.pem") for each, path in (("RUN_KEY", "ada"), ("REPRODUCTION_KEY", "ci"))
            }
            printed.append(ci_file.run_gitlab(ada, folder, name, **common, **{**secrets, **files, **proposing}))
    assert printed[1].count("\nIDENTICAL: ") == 2  # the training and the gate
    assert not any(line in text for text in printed for line in secret_lines(secrets))
    if forge == "github":
        assert " --base preprod --head weekly-17 " in (tmp_path / "programs" / "call").read_text()
    branch = "weekly-17"
    assert git(ada, "log", "--format=%P", "-1", branch) == commit
    assert git(ada, "diff", "--name-status", commit, branch) == "A\tmodels/tumours.json"
    bundle = json.loads(git(ada, "show", f"{branch}:models/tumours.json"))
    (made,) = bundle["reproductions"]
    assert made["builder"].startswith("urn:samebook:builder:")
    assert made["builder"].endswith(names[1])


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_scheduled_day(project: Path, s3: S3, tmp_path: Path) -> None:
    """A scheduled pipeline that is no candidate runs on the commit of its environment's branch; its receipt and its
    results are in the shared store when the job's machine is gone.
    """
    ada = cloned(project, tmp_path / "ada")
    settings = {**json.loads(s3.settings()), "schedule": {"daily": "30 4 * * *"}}
    (ada / "environments" / "preprod.yml").write_text(yaml.safe_dump(settings))
    (ada / "environments" / "pipelines").mkdir(exist_ok=True)
    (ada / "environments" / "pipelines" / "daily.yml").write_text("steps: {train: {}}\n")
    commit = commit_schedule(ada, "github")
    given = {"base": base(), "S3_KEY": KEY, "S3_TEXT": TEXT}
    steps = dict(ci_file.run(ada, tmp_path / "daily", "docker", "daily", **given))
    assert [*steps][-1] == "Send what it made"
    assert TEXT not in "".join(steps.values())
    (path,) = (tmp_path / "daily" / "work").glob("runs/*-train-*/receipt.json")
    statement = receipt.read(path)
    assert receipt.commit_name(statement) == commit
    assert receipt.external_parameters(statement)["env"] == "preprod"
    assert {sha256(path), *receipt.subject_digests(statement).values()} <= s3.names()
