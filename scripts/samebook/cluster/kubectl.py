"""kubectl: the user's own, with the cluster, the namespace and the rights of its context. No other module calls it."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from samebook.core.errors import UsageError
from samebook.core.make import clean_environment

# Seconds for the API server to answer.
TIMEOUT = 15
# The lines of kubectl's own words that an error shows.
SHOWN = 3
INSTALL = "apt-get install kubernetes-client"
LOOK = "kubectl cluster-info"

type Object = dict[str, Any]


def create(manifest: Object) -> Object:
    """Create an object; returns it as the API server has it."""
    return json.loads(_call("create", "--filename", "-", "--output", "json", stdin=json.dumps(manifest)))


def merge(kind: str, name: str, change: Object) -> None:
    """Change some fields of an object."""
    _call("patch", kind, name, "--type", "merge", "--patch", json.dumps(change))


def get(kind: str, labels: str) -> list[Object]:
    """The objects of a kind with these labels, `name=text,…`."""
    return json.loads(_call("get", kind, "--selector", labels, "--output", "json"))["items"]


def delete(kind: str, names: Sequence[str]) -> None:
    """Delete objects, with all that belongs to them, without waiting for its end."""
    _call("delete", kind, *names, "--ignore-not-found", "--wait=false")


def _call(*arguments: str, stdin: str = "") -> str:
    """The output of kubectl. Raises UsageError where there is none, no API server answers, or it refuses."""
    command = ("kubectl", f"--request-timeout={TIMEOUT}s", *arguments)
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=4 * TIMEOUT,
        )
    except FileNotFoundError:
        raise UsageError("there is no kubectl here, by which runs are sent to Kubernetes", mend=INSTALL) from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"kubectl has said nothing for {4 * TIMEOUT} s", mend=LOOK) from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()][-SHOWN:]
        raise UsageError("\n  ".join((f"kubectl {arguments[0]} has failed:", *lines)), mend=LOOK)
    return done.stdout
