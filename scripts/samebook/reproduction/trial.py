"""Trials: runs that are made only to be compared with each other, or with the run that they repeat."""

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from samebook.core import errors, signals, subcommand
from samebook.core.errors import CellFailed, NotReproduced, SamebookError
from samebook.core.workspace import Workspace
from samebook.records import receipt, run_folder
from samebook.records.comparison import Side
from samebook.reproduction import original as originals
from samebook.reproduction.original import Original
from samebook.reproduction.rerun import Rerun


@dataclass(frozen=True)
class Attempt:
    """One of the runs: its label in messages, its threads, its folder, and its subjects with their bytes."""

    label: str
    threads: str
    folder: Path
    side: Side


# Makes the trial of a number, with some variables of its own.
type Try = Callable[[int, dict[str, str]], Attempt]


def original(workspace: Workspace, original: Original) -> Attempt:
    """The run that the new ones repeat."""
    internal = original.statement["predicate"]["buildDefinition"].get("internalParameters", {})
    threads = internal.get("threads", "")  # two numbers; before, one as text
    openmp = str(threads["openmp"]) if isinstance(threads, dict) else threads
    return Attempt("the run", openmp, original.path.parent, originals.side(workspace, original))


def in_worktree(rerun: Rerun, number: int, variables: dict[str, str]) -> Attempt:
    """A new run of the receipt, in its checkout aside."""
    return _finished(rerun(variables), number, variables)


def in_place(workspace: Workspace, notebook: str, number: int, variables: dict[str, str]) -> Attempt:
    """A run of a notebook as it is now, with its defaults. Raises the error of the first run that fails."""
    command = (sys.executable, "-m", "samebook", "run", "--trial", "--json", notebook)
    env = {**os.environ, "SAMEBOOK_WORKSPACE": str(workspace.root), **variables}
    with tempfile.TemporaryFile() as output:
        code = signals.call(command, workspace.root, env, output)
        output.seek(0)
        printed = output.read().decode()
    if code:
        raise _failure(number, code, printed)
    return _finished(workspace.runs / subcommand.run_id(printed), number, variables)


def _finished(folder: Path, number: int, variables: dict[str, str]) -> Attempt:
    digests = receipt.subject_digests(receipt.read(folder / run_folder.RECEIPT))
    side = Side(digests, lambda name: (folder / name).read_bytes())
    return Attempt(f"run {number}", variables["OMP_NUM_THREADS"], folder, side)


def _failure(number: int, code: int, printed: str) -> SamebookError:
    message = printed.rpartition("error: ")[2].strip()
    if number > 1:
        return NotReproduced(f"run {number} failed where run 1 was complete: {message}", mend="make log")
    return errors.from_exit_code(code, f"run {number} failed: {message}", default=CellFailed)
