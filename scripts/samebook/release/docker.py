"""Docker: the program, with the registries that it knows and is logged in to. The base image has its own calls of it,
samebook.wheelhouse.

Credentials are those of Docker's own configuration (`docker login`): samebook neither reads nor passes on any.
"""

import json
import subprocess
from pathlib import Path

from samebook.core.errors import SamebookError, UsageError
from samebook.core.make import clean_environment
from samebook.core.text import visible, word
from samebook.release import archive

# Seconds for an answer that takes no transfer.
TIMEOUT = 60
# The lines of Docker's own words that an error shows, and of each so many characters: some hold a whole manifest.
SHOWN, LONGEST = 3, 300
INSTALL = "apt-get install docker-cli"
# Docker's words where a registry wants to know who asks, or that one may not.
DENIED = ("denied", "unauthorized", "authorization failed", "no basic auth credentials", "authentication required")


def load(file: Path) -> None:
    """Load the images of an archive, under the names that it has."""
    _call("load", "--quiet", "--input", str(file), timeout=None)


def save(image: str, file: Path) -> None:
    """Write an image, as the registry has it, into an archive of the OCI layout."""
    _call("save", image, "--output", str(file), timeout=None)


def variables(image: str) -> dict[str, str]:
    """The variables that an image that is here sets."""
    return archive.variables(json.loads(_call("image", "inspect", "--format", "{{json .Config}}", image)))


def push(image: str, seconds: int) -> None:
    """Push an image to the registry that its name begins with. Raises SamebookError where it is not taken in time."""
    _registry(image, "push", image, seconds=seconds)


def pull(image: str, seconds: int) -> None:
    """Pull an image, which Docker takes only where all its bytes have the digests that its name says."""
    _registry(image, "pull", "--quiet", image, seconds=seconds)


def check_manifest(image: str) -> None:
    """Raise SamebookError where a registry does not give the manifest that `image` names by its digest.

    It is asked anew: what a push has said of itself counts for nothing, and Docker compares the bytes that come.
    """
    _registry(image, "manifest", "inspect", image, seconds=TIMEOUT)


def host(image: str) -> str:
    """The registry in an image's name; "" for Docker's own."""
    first, slash, _ = image.partition("/")
    return first if slash and (first == "localhost" or set(first) & set(".:")) else ""


def _registry(image: str, *arguments: str, seconds: int) -> None:
    """A call that asks a registry. Raises SamebookError with Docker's own words, and what to do about them."""
    try:
        _call(*arguments, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise SamebookError(
            f"the registry has not finished docker {arguments[0]} {image} within {seconds} s",
            mend=f"again, with TIMEOUT={10 * seconds}",
        ) from None
    except SamebookError as error:
        if any(words in str(error).lower() for words in DENIED):
            login = " ".join(filter(None, ("docker login", host(image))))
            raise SamebookError(str(error), mend=login) from None
        raise


def _call(*arguments: str, timeout: float | None = TIMEOUT) -> str:
    """The output of Docker. Raises UsageError where there is none, and SamebookError with its own last words."""
    try:
        done = subprocess.run(
            ("docker", *arguments),
            stdin=subprocess.DEVNULL,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
    except FileNotFoundError:
        raise UsageError("there is no docker here, which pushes and pulls images", mend=INSTALL) from None
    if done.returncode:
        lines = [visible(line[:LONGEST]) for line in done.stderr.splitlines() if line.strip()][-SHOWN:]
        again = " ".join(map(word, ("docker", *arguments)))
        raise SamebookError("\n  ".join((f"docker {arguments[0]} has failed:", *lines)), mend=again)
    return done.stdout
