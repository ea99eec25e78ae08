"""`samebook`, and `python -m samebook`. A run begins before the commands are imported, which take a while."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from samebook.core import errors, processes, workspace
from samebook.execution.warm import early
from samebook.execution.warm import runner as runners

# With these, nothing runs, or what a receipt says; as options, and as variables of make.
OTHERWISE = {"--help", "-h", "--dry-run", "--dry", "--receipt", "DRY_RUN", "DRY", "RECEIPT"}
WITH_VALUE = {"--env", "--timeout", "--params", "-p", "--parameter"}


def main() -> None:
    """Hand a run over to a warm runner, or start its kernel beside the imports; the rest is the commands'."""
    processes.end_with_parent()
    if notebook := notebook_of(sys.argv[1:]):
        begin(notebook)
    from samebook.cli import main as cli

    cli.main()


def notebook_of(arguments: Sequence[str]) -> str:
    """The notebook that `run NAME`, or make's `make run -- NOTEBOOK`, will run; "" where it is anything else."""
    if not OTHERWISE.isdisjoint(arguments):
        return ""
    if arguments[:3] == ["make", "run", "--"]:
        return os.environ.get("NOTEBOOK", "") if "NOTEBOOK" in arguments else ""
    return named(arguments[1:]) if arguments[:1] == ["run"] else ""


def named(arguments: Sequence[str]) -> str:
    """The first argument that is no option, nor the value of one; "" where there is none."""
    waiting = iter(arguments)
    for each in waiting:
        if each in WITH_VALUE:
            next(waiting, None)
        elif each == "--":
            return next(waiting, "")
        elif not each.startswith("-"):
            return each
    return ""


def begin(notebook: str) -> None:
    runner = None
    with suppress(errors.SamebookError, OSError):  # the command will say what is wrong
        found = workspace.find()
        runner = runners.fork(found, sys.argv[1:])
        if not runner:
            early.start(found, notebook)
    if runner:
        processes.exit_at_once(runners.wait(runner))


if __name__ == "__main__":
    main()
