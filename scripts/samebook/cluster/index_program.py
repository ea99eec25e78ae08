"""The program whose result goes to the shared store: `python -m samebook.cluster.index_program calls.json`, in a pod
of Kubernetes, or at a worker of Dask that has runs of its own.

It runs the call of its index in this image or checkout, and sends the runs that this has made. What is done is not run
again. Options that follow the file are for the call.
"""

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from samebook.cluster.frame import Frame
from samebook.cluster.indexed import INDEX
from samebook.cluster.program import AT_WORKER
from samebook.cluster.results import AGAIN, Origin, Results, digest_of, facts
from samebook.core import git, processes, signals, subcommand
from samebook.core import workspace as workspaces
from samebook.core.digest import json_bytes, parse_json
from samebook.core.errors import ARROW, EnvironmentMismatch, SamebookError
from samebook.core.make import clean_environment
from samebook.core.processes import Processes, ProcessResult, exit_at_once
from samebook.core.signing_programs import SAMEBOOK
from samebook.core.workspace import Workspace
from samebook.records import receipt, run_folder
from samebook.store import remote

# The id of a run, in a line of a pipeline.
RUN = re.compile(r"\b\d{8}T\d{6}Z-\S+-[0-9a-f]{6}\b")


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

    @classmethod
    def of(cls, workspace: Workspace, frame: Frame, calls: Sequence[Sequence[str]]) -> Self:
        """These calls, as this checkout sends them."""
        commit = git.commit(workspace.root, "HEAD") if (workspace.root / ".git").exists() else ""
        digests = [digest_of(workspace, frame.image, frame.variables, call) for call in calls]
        return cls(frame.env, commit, facts(workspace), [list(call) for call in calls], digests)

    @property
    def text(self) -> str:
        return json_bytes(asdict(self)).decode()

    @classmethod
    def parse(cls, content: bytes) -> Self:
        return cls(**parse_json(content))


def execute(calls: Calls, index: int, options: Sequence[str] = (), *, again: bool = False) -> int:
    """Run the call of an index, with these options, and send its result; returns the exit code.

    With `again` it is run though its result is there.
    """
    workspace = workspaces.find()
    results = Results(workspace, remote.require(workspace, calls.env))
    digest, call = calls.digests[index], [*calls.calls[index], *options]
    if not again and results.receipts(digest):
        say("done already: its result is in the shared store")
        return 0
    _check(workspace, calls)
    before = {path.name for path in workspace.runs.glob("*Z-*")}
    done = _call(workspace, call)
    if done.exit_code:
        say(done.stderr.strip())
        return done.exit_code if done.exit_code > 0 else 128 - done.exit_code
    results.send(digest, _runs(workspace, call, done, before), say)
    return 0


def _call(workspace: Workspace, call: list[str]) -> ProcessResult:
    programs = Processes()
    try:
        return programs.call((*SAMEBOOK, *call), workspace.root, clean_environment())
    except BaseException:
        programs.stop()
        raise


def _runs(workspace: Workspace, call: list[str], done: ProcessResult, before: set[str]) -> list[Path]:
    """The finished runs of the call, and those that were made meanwhile for it; that of the call itself first.

    A pod's runs are its own. A worker's checkout may have runs of others, which are nobody's to send.
    """
    named = [subcommand.run_id(done.stdout)] if call[0] == "run" else RUN.findall(done.stdout)
    finished = [path.parent.name for path in sorted(workspace.runs.glob(f"*Z-*/{run_folder.RECEIPT}"))]
    new = [run for run in finished if run not in before]
    if os.environ.get(AT_WORKER):
        new = _makers(workspace, named, new)
    return [workspace.runs / run for run in dict.fromkeys((*named, *new)) if run in finished]


def _makers(workspace: Workspace, runs: Sequence[str], among: Sequence[str]) -> list[str]:
    """The runs among these that made what others have read, and what that was made of."""
    makers: list[str] = []
    waiting = [run for run in runs if run in among]
    while waiting:
        statement = receipt.read(workspace.runs / waiting.pop() / run_folder.RECEIPT)
        found = {run for run in receipt.makers(statement).values() if run in among} - {*makers}
        makers += found
        waiting += found
    return sorted(makers)


def _check(workspace: Workspace, calls: Calls) -> None:
    """Raise EnvironmentMismatch where the image is of another commit, or has other code, than the sender's checkout."""
    own = Origin(os.environ.get("SAMEBOOK_COMMIT", ""), facts(workspace))
    if difference := own.difference(Origin(calls.commit, calls.source)):
        raise EnvironmentMismatch(f"the image {difference}", mend=AGAIN)


def say(line: str) -> None:
    """Write a line into the program's log."""
    sys.stderr.write(f"{line}\n")


def ended(program: Callable[[], int]) -> int:
    """The exit code of a program, whose error is written into its log. SIGTERM ends it, as it ends any command."""
    processes.end_with_parent()
    try:
        with signals.as_errors():
            return program()
    except SamebookError as error:
        say(f"error: {error}" + (f"\n  {ARROW}{error.mend}" if error.mend else ""))
        return error.exit_code


def main() -> int:
    """The exit code of the call at this program's index."""
    return ended(lambda: execute(Calls.parse(Path(sys.argv[1]).read_bytes()), int(os.environ[INDEX]), sys.argv[2:]))


if __name__ == "__main__":
    exit_at_once(main())
