"""JupyterLab in its container: there for who has the token, on loopback alone."""

import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from containers import CHECKOUT, NOBODY
from docker.models.images import Image


@dataclass(frozen=True)
class Lab:
    """A running Lab: where it answers, and the facts that the engine has of it."""

    url: str
    token: str
    facts: dict[str, dict[str, dict[str, list[dict[str, str]]]]]

    def status(self, token: str) -> int:
        """The HTTP status of the API for who has this token."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/contents?token={token}", timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@pytest.fixture(scope="module")
def running(lab: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Lab as `docker compose` starts it, under a project name and a port of the test's own."""
    del lab
    workspace = tmp_path_factory.mktemp("lab") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(workspace)], check=True)
    for path in (workspace, *workspace.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"SAMEBOOK_UID": NOBODY, "SAMEBOOK_GID": NOBODY, "PORT": port, "JUPYTER_TOKEN": "a-token"}
    yield from composed(workspace, {name: str(value) for name, value in variables.items()})


def composed(workspace: Path, variables: dict[str, str]) -> Iterator[Lab]:
    def compose(*command: str) -> str:
        return subprocess.run(
            ["docker", "compose", "--project-name", f"samebook-{variables['PORT']}", *command],
            cwd=workspace, env=os.environ | variables, stdout=subprocess.PIPE, text=True, check=True,
        ).stdout  # fmt: skip

    try:
        compose("up", "--detach", "--wait", "lab")
        inspected = subprocess.run(
            ["docker", "inspect", compose("ps", "-q", "lab").strip()], capture_output=True, check=True
        )
        yield Lab(f"http://127.0.0.1:{variables['PORT']}", variables["JUPYTER_TOKEN"], json.loads(inspected.stdout)[0])
    finally:
        compose("down", "--timeout", "2")


def test_token_opens(running: Lab) -> None:
    """Lab answers who has the token."""
    assert running.status(running.token) == 200


@pytest.mark.parametrize("token", ["", "another-token"])
def test_token_is_required(running: Lab, token: str) -> None:
    """Lab refuses who has no token or another one."""
    assert running.status(token) == 403


def test_loopback_only(running: Lab) -> None:
    """Lab's port is open on 127.0.0.1 and on no address that another machine reaches."""
    published = running.facts["NetworkSettings"]["Ports"]["8888/tcp"]
    assert {binding["HostIp"] for binding in published} == {"127.0.0.1"}
