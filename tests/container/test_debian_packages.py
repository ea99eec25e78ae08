"""Debian packages in the image: what the lock names, and without a lock nothing at all."""

import re
import subprocess
from pathlib import Path

import docker
import pytest
from archive import first_difference
from containers import base, make
from docker.models.images import Image

NAMED = {"ENGINE": "docker", "SAMEBOOK_TAG": "-debian"}
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_in_the_image(engine: docker.DockerClient, runtime: Image, checkout: Path, tmp_path: Path) -> None:
    """A package of the lock runs in an image of its own layers on the base; without a lock there is no such layer."""
    git = ("git", "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b")
    make("add", APT="figlet", cwd=checkout, BASE_IMAGE=base(), **NAMED)
    subprocess.run([*git, "add", "--all"], cwd=checkout, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "figlet"], cwd=checkout, check=True)
    make("build", cwd=checkout, TARGETS="runtime", BASE_IMAGE=base(), **NAMED)
    image = engine.images.get("samebook:runtime-debian")
    assert b"|" in engine.containers.run(image.id, ["same"], entrypoint="figlet", remove=True)
    assert len(image.attrs["RootFS"]["Layers"]) == len(runtime.attrs["RootFS"]["Layers"]) + 1
    # The layer of a lock is the same, whoever makes it; that all others are is said by the test of the release image.
    assert first_difference(system(checkout, tmp_path / "one.tar"), system(checkout, tmp_path / "other.tar")) == ""


def system(checkout: Path, path: Path) -> Path:
    """The archive of the base with the packages of the lock, made anew as a release image is."""
    arguments = (f"BASE_IMAGE={base()}", "SOURCE_DATE_EPOCH=0")
    output = f"type=oci,dest={path},rewrite-timestamp=true"
    command = ["docker", "buildx", "build", "--quiet", "--no-cache", "--provenance=false", "--target=system"]
    command += [f"--build-arg={argument}" for argument in arguments] + [f"--output={output}", "."]
    subprocess.run([*command, f"--secret=id=ca,src={CERTIFICATES}"], cwd=checkout, check=True, capture_output=True)
    return path


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


@pytest.mark.long
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
