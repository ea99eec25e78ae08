"""The container leg of a project's own CI: each step on the real engine, and its release image in a real registry."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import ci_file
import docker
import pytest
import tiny
import yaml
from containers import CHECKOUT, base

WHO = {"REGISTRY_USER": "ci", "REGISTRY_PASSWORD": "secret"}
# As htpasswd -B writes it.
HASHED = "ci:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
IDENTITY = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Debian's registry on loopback, which takes nothing from whoever has not logged in."""
    program = shutil.which("docker-registry")
    if not program:
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse("the container leg of a project's CI is not tested: docker-registry is not installed")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"localhost:{free.getsockname()[1]}"
    (folder / "htpasswd").write_text(HASHED)
    settings = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": address.replace("localhost", "127.0.0.1")},
        "auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([str(program), "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        until = time.monotonic() + tiny.PATIENCE
        while _answer(address) != HTTPStatus.UNAUTHORIZED and time.monotonic() < until:
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield address
    finally:
        server.terminate()
        server.wait()


def _answer(address: str) -> int:
    with suppress(OSError):
        try:
            return urllib.request.urlopen(f"http://{address}/v2/", timeout=5).status
        except urllib.error.HTTPError as error:
            return error.code
    return 0


@pytest.mark.timeout(1800)
def test_every_step_passes(engine: docker.DockerClient, registry: str, tmp_path: Path) -> None:
    """A clean clone is checked, tested and reproduced in its image; what it pushes is of its commit, and runs."""
    name = "ci_tiny"
    new = ["make", "--silent", "new", f"PROJECT={tmp_path / name}", "EXAMPLE=tiny", f"REGISTRY={registry}/team"]
    made = subprocess.run(
        [*new, "ENGINE=local"],
        cwd=CHECKOUT,
        env={**os.environ, **IDENTITY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    try:
        printed = dict(ci_file.run(tmp_path / name, tmp_path / "forge", "docker", base=base(), **WHO))
        assert "check: all well" in printed["Check"]
        assert "2 passed" in printed["Test"]  # the training and the gate, each a notebook with a model
        assert f"image: {name}:runtime" in printed["Test"]
        assert "\nIDENTICAL: " in printed["Reproduce on this engine"]
        pushed = printed["Push the release image"]
        digest = next(line.split()[1] for line in pushed.splitlines() if line.startswith(f"{name}:runtime "))
        kept = f"{registry}/team/{name}@{digest}"
        _remove(engine, name)
        engine.images.pull(kept, auth_config={"username": WHO["REGISTRY_USER"], "password": WHO["REGISTRY_PASSWORD"]})
        assert b"train" in engine.containers.run(kept, ["run", "train"], remove=True, stderr=True, stdout=True)
        with pytest.raises(docker.errors.APIError):
            engine.images.pull(kept, auth_config={"username": "ci", "password": "guessed"})
    finally:
        _remove(engine, name)


def _remove(engine: docker.DockerClient, name: str) -> None:
    """Remove the images of a project, its own and those that it has pushed."""
    for image in engine.images.list():
        for tag in (*image.tags, *image.attrs.get("RepoDigests", [])):
            if tag.startswith(f"{name}:") or f"/team/{name}" in tag:
                with suppress(docker.errors.ImageNotFound):
                    engine.images.remove(tag, force=True)
