"""The program of a rank: it calls a function that a notebook has sent, and leaves its result in a file.

    python -m samebook.cluster.rank FOLDER INDEX COUNT HOST PORT SECONDS

It is a process of its own with the numerics of the notebook's kernel, so that it ends, and its memory with it, whenever
its worker says so; a library that hangs, or that ends its process, takes nothing else with it. What it reads beside the
data of the notebook is recorded in the run, as are a kernel's reads.
"""

import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cloudpickle

from samebook.core import errors, processes
from samebook.core import workspace as workspaces
from samebook.core.errors import ARROW, SamebookError
from samebook.core.processes import ProcessResult
from samebook.core.workspace import replacing
from samebook.reads import undeclared
from samebook.records import run_folder

CALL = "call.pickle"


@dataclass(frozen=True)
class Rank:
    """A rank: its `index`, from 0, and the `count` of all.

    `host` is the address of rank 0's machine, as the others see it, and `port` one that was free there: by these the
    ranks may find each other.
    """

    index: int
    count: int
    host: str
    port: int


def result_path(folder: Path, index: int) -> Path:
    """The file with the result of a rank."""
    return folder / f"result-{index}.pickle"


def failure(results: Mapping[int, ProcessResult], count: int) -> SamebookError:
    """The error of the ranks of so many that have failed: most of these often only say that another is gone."""
    index, result = min(results.items(), key=lambda item: not _raised(item[1]))
    ended = f"it ended with exit code {result.exit_code}" + ", and returned nothing" * (not result.exit_code)
    lines = _raised(result).splitlines() or [ended]
    mend = next((line.strip().removeprefix(ARROW) for line in lines[1:] if ARROW in line), None)
    if not result.exit_code:
        mend = "return, in place of sys.exit(0), in the function of samebook.run_ranks"
    return errors.from_exit_code(
        result.exit_code or SamebookError.exit_code, f"rank {index} of {count} has failed: {lines[0]}", mend=mend
    )


def _raised(result: ProcessResult) -> str:
    """The message of a rank that has raised; "" of one that a library has ended."""
    return result.stderr.rpartition("\nerror: ")[2].strip() if "\nerror: " in result.stderr else ""


def main(arguments: Sequence[str]) -> int:
    """Call the function, and keep its result; returns the exit code."""
    processes.end_with_parent()
    signal.alarm(int(arguments[5]))  # its end, whatever it waits for
    folder, (index, count), host, port = Path(arguments[0]), map(int, arguments[1:3]), arguments[3], int(arguments[4])
    # Modules beside the notebook are those of the file system, as in its kernel.
    sys.path.insert(0, str(workspaces.find().notebooks))
    try:
        function, declared = cloudpickle.loads((folder / CALL).read_bytes())
        undeclared.RECORDER.seen.update(declared)
        undeclared.start(os.environ["SAMEBOOK_RUN"], str(workspaces.find().root))
        result = function(Rank(index, count, host, port))
        with replacing(result_path(folder, index)) as path:
            path.write_bytes(cloudpickle.dumps(result))
    except Exception as error:
        traceback.print_exc()
        sys.stderr.write(f"error: {_message(error)}\n")
        if mend := _mend(error):
            sys.stderr.write(f"  {ARROW}{mend}\n")
        return error.exit_code if isinstance(error, SamebookError) else SamebookError.exit_code
    return 0


def _mend(error: Exception) -> str | None:
    """The command that mends an error: where a rank has lost its connection to another, the same run again."""
    if isinstance(error, ConnectionError):
        return f"make run NOTEBOOK={run_folder.notebook_name(Path(os.environ['SAMEBOOK_RUN']).name)} PARAMS=…"
    return error.mend if isinstance(error, SamebookError) else None


def _message(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, SamebookError) else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    processes.exit_at_once(main(sys.argv[1:]))
