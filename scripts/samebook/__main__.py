"""`samebook`, and `python -m samebook`. A run begins before the commands are imported, which take a while."""

import sys
from contextlib import suppress

from samebook import early, errors, processes, runners, workspace

# With these, nothing runs.
OTHERWISE = {"--help", "-h", "--dry-run"}


def main() -> None:
    """Hand a run over to a warm runner, or start its kernel beside the imports; the rest is the commands'."""
    processes.end_with_parent()
    match sys.argv[1:]:
        case ["run", notebook, *rest] if not notebook.startswith("-") and OTHERWISE.isdisjoint(rest):
            with suppress(errors.SamebookError, OSError):  # the command will say what is wrong
                begin(notebook)
    from samebook import cli

    cli.main()


def begin(notebook: str) -> None:
    found = workspace.find()
    code = runners.handed_over(found, sys.argv[1:])
    if code is not None:
        processes.leave(code)
    early.start(found, notebook)


if __name__ == "__main__":
    main()
