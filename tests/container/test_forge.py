"""What a push to prod does on a forge, job by job, with Debian's registry: publish, build again, propose; deploy."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ci_file
import docker
import pytest
import registry as registries
import yaml
from containers import CHECKOUT, base
from registry import WHO
from test_publish import DOCKERFILE

from samebook.forge import gitlab
from samebook.forge.job import Project

# In place of the forge's own program: it keeps what it is told.
FORGE = '#!/bin/sh\necho "$*" >"$(dirname "$0")/call"\n'
# What the forge does with the options of a push.
HOOK = '#!/bin/sh\nprintf "%s\\n" "$GIT_PUSH_OPTION_0" "$GIT_PUSH_OPTION_1" >options\n'


@pytest.fixture(scope="module")
def registry(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registries.serving(tmp_path_factory.mktemp("registry"), is_encrypted=True) as address:
        yield address
    for image in engine.images.list():
        for tag in (*image.tags, *image.attrs.get("RepoDigests", [])):
            if tag.startswith(f"{address}/"):
                subprocess.run(("docker", "image", "rm", "--force", tag), capture_output=True, check=False)


def git(folder: Path, *arguments: str) -> str:
    command = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with an image of a moment, on its branch prod. All jobs of a test share uv's cache."""
    monkeypatch.setenv("UV_CACHE_DIR", os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")))
    folder = tmp_path / "samebook"
    git(tmp_path, "clone", "--quiet", str(CHECKOUT), str(folder))
    git(folder, "switch", "--quiet", "-C", "prod")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / gitlab.FILE).write_text(gitlab.files(Project())[gitlab.FILE])
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "an image of a moment")
    return folder


def published(folder: Path, ref: str) -> dict[str, Any]:
    return yaml.safe_load(git(folder, "show", f"{ref}:environments/prod.yml")).get("published", {})


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_github(project: Path, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push to prod publishes its image; another machine builds it again; then a pull request names its digest, and
    after its merge nothing is proposed again. Nothing is deployed before a digest is named.
    """
    commit = ci_file.head(project)
    known = {"vars.REGISTRY": f"{registry}/team"}
    with pytest.raises(AssertionError, match="names no published image at HEAD"):
        dict(ci_file.run(project, tmp_path / "deploy", "docker", "deploy-prod", base=base()))
    dict(ci_file.run(project, tmp_path / "publish", "docker", "publish-prod", base=base(), known=known, **WHO))
    text, patch = ci_file.given(tmp_path / "publish")
    assert "Publish " in patch
    assert list((tmp_path / "publish" / "work" / "dist").glob("runtime-*.cdx.json"))
    known["needs.publish-prod.outputs.text"] = text
    printed = dict(ci_file.run(project, tmp_path / "verify", "docker", "verify-prod", base=base(), known=known, **WHO))
    assert f"IDENTICAL: {registry}/team/samebook is what commit {commit} says" in printed["Build it again"]
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "gh").write_text(FORGE)
    (programs / "gh").chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(programs), prepend=os.pathsep)
        dict(ci_file.run(project, tmp_path / "propose", "docker", "propose-prod", known=known))
    call = (programs / "call").read_text()
    assert call.startswith("pr create --repo samebook --base prod --head publish-prod-17 --title Publish ")
    assert git(project, "log", "--format=%P", "-1", "publish-prod-17") == commit
    assert published(project, "publish-prod-17")["commit"] == commit
    git(project, "merge", "--quiet", "--no-ff", "publish-prod-17")
    dict(ci_file.run(project, tmp_path / "again", "docker", "publish-prod", base=base(), known=known, **WHO))
    assert ci_file.given(tmp_path / "again")[1] == ""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_gitlab(project: Path, registry: str, tmp_path: Path) -> None:
    """GitLab's jobs do the same; the proposal's push makes a merge request."""
    commit = ci_file.head(project)
    given = {"REGISTRY": f"{registry}/team", **WHO}
    handed = {"artifacts": tmp_path / "artifacts"}
    ci_file.run_gitlab(project, tmp_path / "publish", "publish-prod", base=base(), **handed, **given)
    printed = ci_file.run_gitlab(project, tmp_path / "verify", "verify-prod", base=base(), **handed, **given)
    assert f"IDENTICAL: {registry}/team/samebook is what commit {commit} says" in printed
    git(project, "config", "receive.advertisePushOptions", "true")
    (project / ".git" / "hooks" / "post-receive").write_text(HOOK)
    (project / ".git" / "hooks" / "post-receive").chmod(0o755)
    server = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{project.as_uri()}.insteadOf"}
    server["GIT_CONFIG_VALUE_0"] = "https://oauth2:token@forge.example.com/samebook.git"
    ci_file.run_gitlab(project, tmp_path / "propose", "propose-prod", **handed, PUSH_TOKEN="token", **server)
    assert published(project, "publish-prod-17")["commit"] == commit
    options = (project / ".git" / "options").read_text().splitlines()
    assert options == ["merge_request.create", "merge_request.target=prod"]
