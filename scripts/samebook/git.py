"""The only door to git."""

import subprocess
from pathlib import Path

from samebook.errors import UsageError


def git(root: Path, *arguments: str) -> str:
    """What `git ARGUMENTS` prints in `root`, without the last line break.

    Raises UsageError with git's own words when it fails, or when there is no git.
    """
    # A bind mount may belong to another user than the container's: that is no reason to distrust it.
    trust = ("-c", f"safe.directory={root}")
    try:
        done = subprocess.run(("git", *trust, "-C", str(root), *arguments), capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError("git is not installed here") from error
    if done.returncode:
        raise UsageError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")
