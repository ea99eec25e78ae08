"""The container leg of a project's own CI: each step on the real engine, and its release image in a real registry."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import ci_file
import docker
import pytest
import registry as registries
from containers import CHECKOUT, base
from registry import WHO

IDENTITY = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registries.serving(tmp_path_factory.mktemp("registry")) as address:
        yield address


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
