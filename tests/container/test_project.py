"""A project of one's own on the real engine: its CI, step by step, and the image that it pushes."""

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import ci_file
import docker
import docker.errors
import pytest
from containers import base, make
from s3 import free_ports
from tiny import wait_until

NAME = "delivered"
IDENTITY = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Debian's registry of images, on loopback."""
    program = shutil.which("docker-registry")
    if program is None:
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse("no registry: apt-get install docker-registry")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    settings = tmp_path / "registry.yml"
    storage = f"{{filesystem: {{rootdirectory: {tmp_path / 'registry'}}}}}"
    settings.write_text(f"version: 0.1\nstorage: {storage}\nhttp: {{addr: {address}}}\nlog: {{level: error}}\n")
    with subprocess.Popen([str(program), "serve", str(settings)], stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: answers(f"http://{address}/v2/"))
        yield address
        process.terminate()


def answers(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
        return answer.status == 200
    return False


@pytest.mark.timeout(1800)
def test_ci(engine: docker.DockerClient, registry: str, tmp_path: Path) -> None:
    """Each step of its CI passes in containers, in a clean clone; the image of the registry is that of `make image`."""
    project, clone = tmp_path / NAME, tmp_path / "ci" / "work"
    command = [sys.executable, "-m", "samebook", "new", str(project), "--example", "tiny"]
    subprocess.run([*command, "--registry", f"{registry}/team"], env={**os.environ, **IDENTITY}, check=True)
    secrets = {"REGISTRY_USER": "ann", "REGISTRY_PASSWORD": "p"}
    try:
        printed = dict(ci_file.run(project, tmp_path / "ci", "docker", BASE_IMAGE=base(), **secrets))
        assert "2 passed" in printed["Test"]
        assert f"image: {NAME}:runtime" in printed["Reproduce on this engine"]
        assert "\nIDENTICAL: " in printed["Reproduce on this engine"]
        (line,) = (
            line for line in printed["Push the release image"].splitlines() if line.startswith(f"{NAME}:runtime")
        )
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True, check=True)
        pushed = engine.images.get_registry_data(f"{registry}/team/{NAME}:{commit.stdout.strip()}")
        assert line == f"{NAME}:runtime {pushed.id}"
    finally:
        make("stop", "ENGINE=docker", cwd=clone)
        for image in engine.images.list(filters={"reference": [f"{NAME}:*", f"{registry}/team/{NAME}"]}):
            with suppress(docker.errors.APIError):
                engine.images.remove(image.id, force=True)
