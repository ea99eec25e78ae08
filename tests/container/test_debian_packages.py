"""Debian packages in the image: what the lock names, and without a lock nothing at all."""

import re
import subprocess
from pathlib import Path

import docker
import pytest
from containers import base, make
from docker.models.images import Image

NAMED = {"ENGINE": "docker", "SAMEBOOK_TAG": "-debian"}


@pytest.mark.timeout(1800)
def test_in_the_image(engine: docker.DockerClient, runtime: Image, checkout: Path) -> None:
    """A package of the lock runs in an image of its own layers on the base; without a lock there is no such layer."""
    git = ("git", "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b")
    make("add", APT="figlet", cwd=checkout, BASE_IMAGE=base(), **NAMED)
    subprocess.run([*git, "add", "--all"], cwd=checkout, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "figlet"], cwd=checkout, check=True)
    make("build", cwd=checkout, TARGETS="runtime", BASE_IMAGE=base(), **NAMED)
    image = engine.images.get("samebook:runtime-debian")
    assert b"|" in engine.containers.run(image.id, ["same"], entrypoint="figlet", remove=True)
    assert len(image.attrs["RootFS"]["Layers"]) == len(runtime.attrs["RootFS"]["Layers"]) + 1
    digests = [
        make("archives", cwd=checkout, TARGETS="runtime", BASE_IMAGE=base(), NO_CACHE=anew, **NAMED) for anew in "01"
    ]
    assert digests[0] == digests[1]


def build(checkout: Path, *options: str) -> str:
    """The error of a build of production's image from a checkout."""
    command = ["docker", "build", "--build-arg", f"BASE_IMAGE={base()}", "--target", "runtime", *options, "."]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode
    return done.stderr


def test_other_packages_refused(engine: docker.DockerClient, checkout: Path) -> None:
    """An image that was built without the packages of its lock, or from other bytes, is refused, whoever builds it."""
    del engine
    make("add", APT="figlet", cwd=checkout, BASE_IMAGE=base(), **NAMED)
    assert "--build-arg SYSTEM=system" in build(checkout)
    lock = checkout / "environments" / "apt.lock"
    lock.write_text(re.sub(r"[0-9a-f]{64}", "0" * 64, lock.read_text()))
    assert "no mirror has figlet" in build(checkout, "--build-arg", "SYSTEM=system")


@pytest.mark.timeout(1800)
def test_missing_library_named(engine: docker.DockerClient, checkout: Path) -> None:
    """Where a package's library is not in the image, the build names the command that adds it, which is enough."""
    assert '-> make add APT="libgomp1"' in make("add", PACKAGE="lightgbm", cwd=checkout, **NAMED)
    build = ["make", "build", "TARGETS=runtime", f"BASE_IMAGE={base()}", *(f"{name}={NAMED[name]}" for name in NAMED)]
    refused = subprocess.run(build, cwd=checkout, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    *_, reason, mend, _ = refused.stderr.splitlines()
    assert reason == "error: lightgbm can't be imported: the image lacks libgomp.so.1"
    assert mend == '  -> make add APT="libgomp1"'
    make("add", APT="libgomp1", cwd=checkout, BASE_IMAGE=base(), **NAMED)
    subprocess.run(build, cwd=checkout, check=True)
    version = ["-c", "import lightgbm; print(lightgbm.__version__)"]
    image = "samebook:runtime-debian"
    assert engine.containers.run(image, version, entrypoint="python", remove=True).startswith(b"4.")
