"""The program of a pod whose result goes to the shared store: `python -m samebook.cluster.index_program calls.json`.

It runs the call of its index in this image, and sends the runs that this has made. What is done is not run again.
"""

import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from samebook.cluster.indexed import INDEX
from samebook.cluster.results import AGAIN, Results, facts
from samebook.core import signals, subcommand
from samebook.core import workspace as workspaces
from samebook.core.digest import json_bytes, parse_json
from samebook.core.errors import ARROW, EnvironmentMismatch, SamebookError
from samebook.core.make import clean_environment
from samebook.core.processes import Processes, ProcessResult, exit_at_once
from samebook.core.workspace import Workspace
from samebook.records import run_folder
from samebook.store import remote


@dataclass(frozen=True)
class Calls:
    """The calls of an indexed Job, with the digest by which each one's result is found.

    `source` has the sha256 of what the image must have as whoever has sent the calls, and `commit` is that sender's.
    """

    env: str
    commit: str
    source: dict[str, str]
    calls: list[list[str]]
    digests: list[str]

    @property
    def text(self) -> str:
        return json_bytes(asdict(self)).decode()

    @classmethod
    def parse(cls, content: bytes) -> Self:
        return cls(**parse_json(content))


def execute(calls: Calls, index: int) -> int:
    """Run the call of an index and send its result; returns the exit code."""
    workspace = workspaces.find()
    results = Results(workspace, remote.require(workspace, calls.env))
    digest, call = calls.digests[index], calls.calls[index]
    if results.receipts(digest):
        _say("done already: its result is in the shared store")
        return 0
    _check(workspace, calls)
    done = _call(workspace, call)
    if done.exit_code:
        _say(done.stderr.strip())
        return done.exit_code if done.exit_code > 0 else 128 - done.exit_code
    results.send(digest, _runs(workspace, call, done), _say)
    return 0


def _call(workspace: Workspace, call: list[str]) -> ProcessResult:
    programs = Processes()
    try:
        return programs.call((sys.executable, "-m", "samebook", *call), workspace.root, clean_environment())
    except BaseException:
        programs.stop()
        raise


def _runs(workspace: Workspace, call: list[str], done: ProcessResult) -> list[Path]:
    """The finished runs of this pod, whose folder was empty before; that of the call itself first."""
    runs = [path.parent for path in sorted(workspace.runs.glob(f"*Z-*/{run_folder.RECEIPT}"))]
    if call[0] != "run":
        return runs
    own = workspace.runs / subcommand.run_id(done.stdout)
    return [own, *(run for run in runs if run != own)]


def _check(workspace: Workspace, calls: Calls) -> None:
    """Raise EnvironmentMismatch where the image is of another commit, or has other code, than the sender's checkout."""
    commit = os.environ.get("SAMEBOOK_COMMIT", "")
    if commit and calls.commit and commit != calls.commit:
        raise EnvironmentMismatch(
            f"the image is of commit {commit[:12]}; the runs are for {calls.commit[:12]}", mend=AGAIN
        )
    own = facts(workspace)
    if other := [name for name, digest in calls.source.items() if own.get(name) != digest]:
        raise EnvironmentMismatch(
            f"the image has another {other[0]} than the checkout that has sent this run", mend=AGAIN
        )


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> int:
    """The exit code of the call at this pod's index. SIGTERM ends it, as it ends any command."""
    try:
        with signals.as_errors():
            return execute(Calls.parse(Path(sys.argv[1]).read_bytes()), int(os.environ[INDEX]))
    except SamebookError as error:
        _say(f"error: {error}" + (f"\n  {ARROW}{error.mend}" if error.mend else ""))
        return error.exit_code


if __name__ == "__main__":
    exit_at_once(main())
