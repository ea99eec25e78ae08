"""The calls of make in a rerun's checkout: the commit's own make on the local engine, the caller's with Docker.

With Docker nothing of the commit runs on this machine: an image is built from its tree, and a container works on it.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from samebook.core import signals
from samebook.core.errors import EnvironmentMismatch, UsageError

PINNED = Path(".samebook") / "receipt.json"
# The files and folders of a checkout that are read or written on this machine while a container may work on it.
SHARED = (".samebook", ".samebook/patches", "runs", "Dockerfile", ".dockerignore", "environments/variables.env")
# One patch for environment and runs: after a container, nothing in the checkout is asked for its changes again.
PATCH = "SAMEBOOK_PATCH=.samebook/patches/rerun.patch"


@dataclass(frozen=True)
class Front:
    """The make of a rerun in `checkout`; `caller` is the checkout that the user is in, `engine` is docker or local."""

    caller: Path
    checkout: Path
    engine: str

    def environment(self, env: Mapping[str, str]) -> None:
        """Make the commit's environment. Raises EnvironmentMismatch where that fails."""
        self.check()
        if self._make(env, "environment", *([PATCH, "TARGETS=runtime"] if self.engine == "docker" else [])):
            raise EnvironmentMismatch(
                "the environment of that commit can't be made here; make's own words are above",
                mend=f"again, with ENGINE={'local' if self.engine == 'docker' else 'docker'}",
            )

    def run(self, env: Mapping[str, str]) -> int:
        """The exit code of a run of the plan in PINNED."""
        target = ["rerun", PATCH] if self.engine == "docker" else ["run"]
        return self._make(env, *target, f"RECEIPT={PINNED}")

    def check(self) -> None:
        """Raise UsageError where a file that this machine shares with the container leads out of the checkout."""
        check_inside(self.checkout, (self.checkout / name for name in SHARED))

    def _make(self, env: Mapping[str, str], *arguments: str) -> int:
        """The exit code of make in the checkout; its output goes to standard error."""
        callers = [f"--file={self.caller / 'Makefile'}"] if self.engine == "docker" else []
        command = ("make", "--silent", *callers, *arguments, f"ENGINE={self.engine}")
        return signals.call(command, self.checkout, env, sys.stderr.buffer)


def check_inside(checkout: Path, paths: Iterable[Path]) -> None:
    """Raise UsageError for a path whose links lead out of the checkout."""
    for path in paths:
        if not path.resolve().is_relative_to(checkout.resolve()):
            raise UsageError(
                f"{path.relative_to(checkout)} leads out of the checkout of the reproduced commit; "
                f"found a link to {path.resolve()}, where this machine would read or write",
                mend="git rm the link, commit, and make run",
            )
