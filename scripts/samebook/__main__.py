"""`samebook`, and `python -m samebook`. A run starts before the commands are imported, which takes a while."""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from samebook.core import processes, signing_key, signing_programs
from samebook.execution.warm import face

# Options, and variables of make, with which nothing may run.
NO_EARLY_START = {"--help", "-h", "--dry-run", "--dry", "DRY_RUN", "DRY", "--reuse", "REUSE"}
OPTIONS_WITH_VALUE = {"--env", "--timeout", "--params", "-p", "--parameter", "-e", "--variables"}


def main() -> None:
    """Hand a run over to a warm runner, or start its kernel beside the imports; then call the command."""
    processes.leave_no_core_dumps()
    processes.keep_one_heap()
    signing_key.take()
    signing_programs.serve()  # before there is a second thread
    processes.end_with_parent()
    notebook = notebook_of(sys.argv[1:])
    if notebook and (exit_code := face.run(sys.argv[1:], notebook)) is not None:
        processes.exit_at_once(exit_code)
    from samebook.cli import main as cli

    cli.main()


def notebook_of(arguments: Sequence[str]) -> str:
    """The notebook that `run NAME`, or make's `make run -- NOTEBOOK`, will run; "" for any other command."""
    if not NO_EARLY_START.isdisjoint(arguments):
        return ""
    if arguments[:3] == ["make", "run", "--"]:
        if "RECEIPT" in arguments:
            return notebook_of_receipt(os.environ.get("RECEIPT", ""))
        return os.environ.get("NOTEBOOK", "") if "NOTEBOOK" in arguments else ""
    if arguments[:2] == ["run", "--receipt"]:
        return notebook_of_receipt("".join(arguments[2:3]))
    return operand(arguments[1:]) if arguments[:1] == ["run"] and "--receipt" not in arguments else ""


def notebook_of_receipt(path: str) -> str:
    """The notebook that a receipt names; "" where it names none, which the command will say, or leads elsewhere."""
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        if not Path(path).is_file():  # a pipe would be waited for
            return ""
        notebook = json.loads(Path(path).read_bytes())["predicate"]["buildDefinition"]["externalParameters"]["notebook"]
        if isinstance(notebook, str) and not {"", ".", ".."} & {*notebook.split("/")}:
            return notebook
    return ""


def operand(arguments: Sequence[str]) -> str:
    """The first argument that is neither an option nor an option's value; "" where there is none."""
    rest = iter(arguments)
    for argument in rest:
        if argument in OPTIONS_WITH_VALUE:
            next(rest, None)
        elif argument == "--":
            return next(rest, "")
        elif not argument.startswith("-"):
            return argument
    return ""


if __name__ == "__main__":
    main()
