"""The real Docker Engine and the images that make builds; nothing here is mocked."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
from containers import CHECKOUT, NOBODY, Start, make, output
from docker.models.containers import Container
from docker.models.images import Image
from registry import Registry, logged_in


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The daemon. Without one tests are skipped, or fail where SAMEBOOK_REQUIRE_DOCKER=1 says that it must be there."""
    try:
        client = docker.from_env(timeout=900)
        client.ping()
    except docker.errors.DockerException as error:
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse(f"no Docker daemon answers: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def registry(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with a certificate and a password; this machine's images of it are gone when it is."""
    with logged_in(tmp_path_factory.mktemp("registry")) as found:
        yield found
    for image in engine.images.list():
        for tag in (*image.tags, *image.attrs.get("RepoDigests", [])):
            if tag.startswith(f"{found.address}/"):
                subprocess.run(("docker", "image", "rm", "--force", tag), capture_output=True, check=False)


@pytest.fixture(scope="session")
def build(engine: docker.DockerClient) -> None:
    """Both images as they are now: a build of what is there already takes a second."""
    del engine
    make("build", ENGINE="docker")


@pytest.fixture(scope="session")
def runtime(engine: docker.DockerClient, build: None) -> Image:
    del build
    return engine.images.get("samebook:runtime")


@pytest.fixture(scope="session")
def lab(engine: docker.DockerClient, build: None) -> Image:
    del build
    return engine.images.get("samebook:lab")


@pytest.fixture
def start(engine: docker.DockerClient) -> Iterator[Start]:
    """Start a container as compose does, less what a test says otherwise; it is gone when the test is over."""
    started: list[Container] = []

    def run(image: Image, *command: str, **options: Any) -> Container:
        hardened = {
            "read_only": True,
            "cap_drop": ["ALL"],
            "tmpfs": {"/tmp": "mode=1777"},
            "user": f"{NOBODY}:{NOBODY}",
        }
        started.append(engine.containers.run(image.id, list(command), detach=True, init=True, **hardened | options))
        return started[-1]

    yield run
    for container in started:
        container.remove(force=True)


@pytest.fixture
def python(start: Start) -> Callable[[Image, str], str]:
    """Run a line of Python in an image and return what it prints."""
    return lambda image, code: output(start(image, "-c", code, entrypoint="python"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone whose files all belong to a user without a passwd entry."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
    for path in (clone, *clone.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return clone
