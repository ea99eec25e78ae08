"""Trials: runs that are made only to be compared with each other, or with the run that they repeat."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from samebook.core import errors, signals, subcommand
from samebook.core.errors import CellFailed, NotReproduced, SamebookError
from samebook.core.signing_programs import SAMEBOOK
from samebook.core.workspace import Workspace
from samebook.environment.numerics import BLAS, OPENMP, lowered_level
from samebook.records import receipt, run_folder
from samebook.records.comparison import Side
from samebook.reproduction import original as originals
from samebook.reproduction.original import Original
from samebook.reproduction.rerun import Rerun


@dataclass(frozen=True)
class Machine:
    """A machine that a trial stands for: its name in messages, the variables of its runs, and its cores (0: all).

    `has_lower_level` says whether a lower level of its processor can be simulated, and would count.
    """

    name: str
    variables: Mapping[str, str]
    cores: int = 0
    has_lower_level: bool = False

    def having(self, variable: str, text: str) -> Self:
        """The machine with one variable more."""
        return replace(self, variables={**self.variables, variable: text})


@dataclass(frozen=True)
class Attempt:
    """One of the runs: its label in messages, its machine, its folder, and its subjects with their bytes."""

    label: str
    machine: str
    folder: Path
    side: Side


# Makes the trial of a number on a machine.
type Try = Callable[[int, Machine], Attempt]


def machines(numerics: str, *, starts_containers: bool = False) -> tuple[Machine, ...]:
    """Two machines, of one core and of two: the numbers of threads of portable numerics do not depend on it.

    A container that is started takes all cores.
    """
    if numerics == "portable":
        return (
            (Machine("all cores", {}),) if starts_containers else (Machine("1 core", {}, 1), Machine("2 cores", {}, 2))
        )
    one, two = (dict.fromkeys((OPENMP, BLAS[0]), number) for number in ("1", "2"))
    has_lower_level = numerics == "fast" and bool(lowered_level())
    return Machine("1 thread", one, 0, has_lower_level), Machine("2 threads", two)


def numerics_of(original: Original) -> str:
    """The name of the numerics of a run; "" in a receipt of before there were any."""
    return original.statement["predicate"]["buildDefinition"].get("internalParameters", {}).get("numerics", "")


def original(workspace: Workspace, original: Original) -> Attempt:
    """The run that the new ones repeat."""
    internal = original.statement["predicate"]["buildDefinition"].get("internalParameters", {})
    threads = internal.get("threads", "")  # two numbers; before, one as text
    openmp = str(threads["openmp"]) if isinstance(threads, dict) else threads
    name = next((there.name for there in machines("") if there.variables[OPENMP] == openmp), "")
    return Attempt("the run", name, original.path.parent, originals.side(workspace, original))


def in_worktree(rerun: Rerun, number: int, machine: Machine) -> Attempt:
    """A new run of the receipt, in its checkout aside."""
    with _on_cores(machine.cores):
        return _finished(rerun(machine.variables), number, machine)


def in_place(workspace: Workspace, notebook: str, number: int, machine: Machine) -> Attempt:
    """A run of a notebook as it is now, with its defaults. Raises the error of the first run that fails."""
    command = (*SAMEBOOK, "run", "--trial", "--json", notebook)
    env = {**os.environ, "SAMEBOOK_WORKSPACE": str(workspace.root), **machine.variables}
    with tempfile.TemporaryFile() as output, _on_cores(machine.cores):
        code = signals.call(command, workspace.root, env, output)
        output.seek(0)
        printed = output.read().decode()
    if code:
        raise _failure(number, code, printed)
    return _finished(workspace.runs / subcommand.run_id(printed), number, machine)


@contextmanager
def _on_cores(number: int) -> Iterator[None]:
    """Keep this thread and the processes that it starts on so many cores inside the block; 0, and macOS: on all."""
    if not (number and hasattr(os, "sched_setaffinity")):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:number])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _finished(folder: Path, number: int, machine: Machine) -> Attempt:
    digests = receipt.subject_digests(receipt.read(folder / run_folder.RECEIPT))
    side = Side(digests, lambda name: (folder / name).read_bytes())
    return Attempt(f"run {number}", machine.name, folder, side)


def _failure(number: int, code: int, printed: str) -> SamebookError:
    message = printed.rpartition("error: ")[2].strip()
    if number > 1:
        return NotReproduced(f"run {number} failed where run 1 was complete: {message}", mend="make log")
    return errors.from_exit_code(code, f"run {number} failed: {message}", default=CellFailed)
