"""Builds of the images, and what a container prints."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from docker.models.containers import Container

CHECKOUT = Path(__file__).parents[2]
# A user that is in no passwd file; only root can give files to one.
NOBODY = 12345 if os.geteuid() == 0 else os.geteuid()

Start = Callable[..., Container]


def output(container: Container) -> str:
    """What a container printed, once it has ended well."""
    code = container.wait(timeout=900)["StatusCode"]
    printed = container.logs().decode()
    assert code == 0, printed
    return printed


def base() -> str:
    """The base that this checkout's images are built on."""
    remembered = CHECKOUT / ".samebook" / "base-image"
    named = remembered.read_text().strip() if remembered.is_file() else "samebook-base:trixie"
    return os.environ.get("BASE_IMAGE", named)


def make(*arguments: str, cwd: Path = CHECKOUT, **variables: str) -> str:
    """Run make, which must succeed, and return what it prints."""
    assigned = [f"{name}={value}" for name, value in variables.items()]
    done = subprocess.run(["make", *arguments, *assigned], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
