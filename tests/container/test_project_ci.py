"""A project's own CI: each step on the real engine, and the reproduction of a model by a shared store."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import ci_file
import docker
import pytest
import registry as registries
import yaml
from containers import CHECKOUT, base
from s3 import KEY, S3, TEXT
from tiny import of_its_own_make

from samebook.forge import jobs

IDENTITY = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
NAME = "ci_tiny"
FORGES = ("github", pytest.param("gitlab", marks=pytest.mark.long))
OWNERS = "ada: {keys: [ada], signs: [runs, releases]}\nci: {keys: [ci], signs: [reproductions]}\n"
POLICY = {"reproduced": True, "signed": True, "gate": {"notebook": "gate", "metric": "auc", "margin": 0}}
# A scheduled pipeline that trains, and compares with the champion.
CANDIDATE = """
parameters: {model: tumours}
steps:
  fit: {notebook: train}
  gate: {needs: [fit], parameters: {candidate: $fit, champion: $model}}
"""
# In place of GitHub's own program: it keeps what it is told.
FORGE = '#!/bin/sh\necho "$*" >"$(dirname "$0")/call"\n'


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registries.serving(tmp_path_factory.mktemp("registry"), is_encrypted=True) as address:
        yield address


@pytest.fixture(scope="module")
def project(engine: docker.DockerClient, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new project, made with a registry; its images are gone at the end."""
    folder = tmp_path_factory.mktemp("project") / NAME
    make(CHECKOUT, "new", f"PROJECT={folder}", "EXAMPLE=tiny", f"REGISTRY={registry}/team")
    yield folder
    for image in engine.images.list():
        for tag in (*image.tags, *image.attrs.get("RepoDigests", [])):
            if tag.startswith(f"{NAME}:") or f"/team/{NAME}" in tag:
                with suppress(docker.errors.ImageNotFound):
                    engine.images.remove(tag, force=True)


def make(folder: Path, *words: str, **variables: str) -> str:
    """Make, as a person on the local engine calls it."""
    env = {**of_its_own_make(), **IDENTITY, **variables}
    command = ["make", "--silent", *words, "ENGINE=local"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def git(folder: Path, *arguments: str) -> str:
    env = {**os.environ, **IDENTITY}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def key(folder: Path, name: str) -> str:
    """A new private key, whose public one is trusted in a checkout; its text."""
    private, trusted = folder.parent / f"{name}.pem", folder / "environments" / "trusted-keys" / f"{name}.pem"
    trusted.parent.mkdir(exist_ok=True)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", trusted], check=True)
    return private.read_text()


def cloned(project: Path, folder: Path) -> Path:
    """A clone on main."""
    folder.mkdir()
    git(folder, "clone", "--quiet", str(project), NAME)
    return folder / NAME


def commit_jobs(clone: Path, forge: str) -> None:
    """Commit the jobs of a forge, with all that is there."""
    make(clone, "ci", f"AS={forge}", "INTO=.", "ENV=preprod", "OWNERS=@ada")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "jobs")


def run(forge: str, job: str, clone: Path, folder: Path, **secrets: str) -> str:
    """What a job on the Docker engine prints, on a machine of its own."""
    if forge == "github":
        return "".join(dict(ci_file.run(clone, folder, "docker", job, base=base(), **secrets)).values())
    if key := secrets.pop(jobs.KEY, ""):  # on GitLab it is a file
        secrets[jobs.KEY] = str(folder.with_suffix(".pem"))
        Path(secrets[jobs.KEY]).write_text(key)
    return ci_file.run_gitlab(clone, folder, job, base=base(), engine="docker", target="main", **secrets)


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


def secret_lines(secrets: dict[str, str]) -> list[str]:
    return [line for text in secrets.values() for line in text.splitlines() if line and not line.startswith("-----")]


@pytest.mark.long  # on the local engine: tests/projects/test_new.py
@pytest.mark.parametrize("forge", ["github", "gitlab"])
@pytest.mark.timeout(1800)
def test_every_step_passes(forge: str, project: Path, tmp_path: Path) -> None:
    """A clean clone is checked, tested and reproduced in its image."""
    clone = cloned(project, tmp_path / "ada")
    commit_jobs(clone, forge)
    printed = run(forge, "test", clone, tmp_path / "ci")
    assert "check: all well" in printed
    assert "2 passed" in printed  # the training and the gate, each a notebook with a model
    assert f"image: {NAME}:runtime" in printed
    assert "\nIDENTICAL: " in printed


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.timeout(1800)
def test_new_model_is_reproduced(forge: str, project: Path, s3: S3, tmp_path: Path) -> None:
    """A pull request with a model of ada's is reproduced by the code of its base, in an image, and signed with CI's
    key; with that statement she promotes it where the policy asks for another builder. Without secrets, as for a fork,
    nothing is signed.
    """
    ada = cloned(project, tmp_path / "ada")
    settings = ada / "environments" / "preprod.yml"
    store = json.loads(s3.settings())["store"]
    settings.write_text(yaml.safe_dump({"store": store, "promotion": POLICY}))
    key(ada, "ada")
    secret = key(ada, "ci")
    (ada / "environments" / "trusted-keys" / "owners.yml").write_text(OWNERS)
    commit_jobs(ada, forge)
    git(ada, "switch", "--quiet", "-c", "retrain")
    signed = {"SIGNING_KEY": str(ada.parent / "ada.pem")}
    make(ada, "run", "NOTEBOOK=train", **signed)
    make(ada, "promote", "RUN=train", "MODEL=tumours", **signed)
    secrets = {"S3_KEY": KEY, "S3_TEXT": TEXT}
    make(ada, "push", "ENV=preprod", "SECRETS=S3_KEY S3_TEXT", **secrets)
    git(ada, "switch", "--quiet", "main")
    git(ada, "switch", "--quiet", "-c", "merge")
    git(ada, "merge", "--quiet", "--no-ff", "retrain")
    with pytest.raises(AssertionError, match="S3_KEY"):
        run(forge, "reproduce", ada, tmp_path / "fork")
    printed = run(forge, "reproduce", ada, tmp_path / "ci", **secrets, **{jobs.KEY: secret})
    assert printed.count("\nIDENTICAL: ") == 2
    received = tmp_path / "ci" / "work" / "runs" / ".received"
    assert len(list(received.glob("*/reproduction-1.json.dsse"))) == 2
    assert secret.splitlines()[1] not in printed
    git(ada, "switch", "--quiet", "retrain")
    shutil.copytree(received, ada / "runs", dirs_exist_ok=True)
    make(ada, "promote", "RUN=train", "MODEL=tumours", "ENV=preprod", **signed)
    bundle = json.loads((ada / "models" / "tumours.json").read_text())
    assert [item["builder"] for item in bundle["reproductions"]] == [f"urn:samebook:builder:{NAME}/reproduce"]


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("forge", ["github", "gitlab"])
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
    make(ada, "schedule", f"AS={forge}", "ENV=preprod", f"INTO={'.github/workflows' if forge == 'github' else '.'}")
    commit_jobs(ada, forge)
    commit = ci_file.head(ada)
    prefix = "weekly" if forge == "github" else "samebook-preprod-weekly"
    names = (prefix, f"{prefix}-reproduce", f"{prefix}-promote")
    proposing = (on_github if forge == "github" else on_gitlab)(ada, tmp_path, monkeypatch)
    common = {"base": base(), "artifacts": tmp_path / "artifacts"}
    secrets |= {"S3_KEY": KEY, "S3_TEXT": TEXT} if is_shared else {}
    printed: list[str] = []
    for name in names:
        folder = tmp_path / name
        if forge == "github":
            printed.append("".join(dict(ci_file.run(ada, folder, "docker", name, **common, **secrets)).values()))
        else:
            files = {
                each: str(ada.parent / f"{path}.pem") for each, path in (("RUN_KEY", "ada"), ("REPRODUCTION_KEY", "ci"))
            }
            printed.append(ci_file.run_gitlab(ada, folder, name, **common, **{**secrets, **files, **proposing}))
    assert printed[1].count("\nIDENTICAL: ") == 2  # the training and the gate
    assert not any(line in text for text in printed for line in secret_lines(secrets))
    branch = "weekly-17"
    assert git(ada, "log", "--format=%P", "-1", branch) == commit
    assert git(ada, "diff", "--name-status", commit, branch) == "A\tmodels/tumours.json"
    bundle = json.loads(git(ada, "show", f"{branch}:models/tumours.json"))
    (made,) = bundle["reproductions"]
    assert made["builder"].startswith("urn:samebook:builder:")
    assert made["builder"].endswith(names[1])


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_published_and_deployed(project: Path, registry: str, engine: docker.DockerClient, tmp_path: Path) -> None:
    """A push to prod pushes the release image, which runs; once its digest is merged, the machine of prod runs it."""
    clone = cloned(project, tmp_path / "ada")
    git(clone, "switch", "--quiet", "-c", "prod")
    (clone / "environments" / "pipelines").mkdir(exist_ok=True)
    (clone / "environments" / "pipelines" / "daily.yml").write_text("steps: {train: {}}\n")
    with (clone / "environments" / "prod.yml").open("a") as settings:
        settings.write('schedule: {daily: "30 4 * * *"}\n')
    commit_jobs(clone, "github")
    known = {"vars.REGISTRY": f"{registry}/team"}
    job = {"base": base(), "known": known}
    dict(ci_file.run(clone, tmp_path / "publish", "docker", "publish-prod", **job, **registries.WHO))
    (clone / "patch").write_text(ci_file.given(tmp_path / "publish")[1])
    git(clone, "am", "--quiet", "patch")
    image = yaml.safe_load((clone / "environments" / "prod.yml").read_text())["published"]["runtime"]
    user, password = registries.WHO["REGISTRY_USER"], registries.WHO["REGISTRY_PASSWORD"]
    engine.images.pull(image, auth_config={"username": user, "password": password})
    assert b"train" in engine.containers.run(image, ["run", "train"], remove=True, stderr=True, stdout=True)
    with pytest.raises(docker.errors.APIError):
        engine.images.pull(image, auth_config={"username": user, "password": "guessed"})
    compose = ("docker", "compose", "--project-directory", str(tmp_path / "deploy" / "home" / "samebook-prod"))
    try:
        dict(ci_file.run(clone, tmp_path / "deploy", "docker", "deploy-prod", **job))
        listed = subprocess.run(
            (*compose, "ps", "--format", "{{.Image}} {{.State}}"), capture_output=True, text=True, check=True
        )
        assert listed.stdout.split() == [image, "running"]
    finally:
        subprocess.run((*compose, "down", "--volumes"), capture_output=True, check=False)
