"""Find why runs of a notebook differ: run it several times on this machine, and compare the results.

The number of threads alternates from run to run, and must not matter. One more run has another hash seed: a difference
in this run alone comes from the order of a set, which the fixed PYTHONHASHSEED hides in all other runs.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from samebook.core import errors, signals, subcommand
from samebook.core import workspace as workspaces
from samebook.core.errors import CellFailed, NotReproduced, SamebookError
from samebook.core.workspace import Workspace
from samebook.records import canonical, causes, comparison, receipt, run_folder
from samebook.records.causes import Cause, Source, Suspect
from samebook.records.comparison import Comparison, Side, Verdict
from samebook.records.differences import CellDifference, first_cell

THREADS = (1, 2)
HASH_SEED = "1"
SHOWN = 3
PROOF = {
    causes.THREADS.name: "runs with as many threads are alike",
    causes.SET_ORDER.name: f"only the run with PYTHONHASHSEED={HASH_SEED} differs",
}

type Say = Callable[[str], None]


@dataclass(frozen=True)
class StabilityRequest:
    """A notebook (its name), or a run (its id, or its receipt's file), and how many times to run it; at least twice."""

    run: str
    times: int


@dataclass(frozen=True)
class Attempt:
    """One of the runs: its label in messages, its threads, its folder, and its subjects' sha256 by name."""

    label: str
    threads: int
    folder: Path
    subjects: dict[str, str]


@dataclass(frozen=True)
class Difference:
    """Two runs that differ: the first differing cell (None where only files differ), subjects, and suspected causes.

    `proven` is the cause that the pattern of the runs proves.
    """

    first: Attempt
    second: Attempt
    cell: CellDifference | None
    subjects: list[Comparison]
    suspects: list[Suspect]
    proven: Cause | None = None


@dataclass(frozen=True)
class Stability:
    """The result: the first difference between equal runs, or, where there is none, the differences that may yet come.

    Those are the difference under another hash seed, and the lines whose result may be another on another machine.
    """

    attempts: list[Attempt]
    difference: Difference | None = None
    by_hash_seed: Difference | None = None
    by_machine: tuple[Suspect, ...] = ()


def stability(request: StabilityRequest, say: Say) -> Stability:
    """Run it, and compare. Raises the error of the first run, NotReproduced where only a later run fails."""
    workspace = workspaces.find()
    arguments = ("run", "--trial", "--json", *_run_arguments(workspace, request.run, say))
    command = (sys.executable, "-m", "samebook", *arguments)
    attempts: list[Attempt] = []
    try:
        with signals.as_errors():
            say(f"first, with another hash seed: PYTHONHASHSEED={HASH_SEED}")
            attempts.append(_attempt(workspace, command, 0, SAMEBOOK_HASH_SEED=HASH_SEED))
            for number in range(1, request.times + 1):
                threads = THREADS[(number - 1) % len(THREADS)]
                say(f"run {number} of {request.times}, OMP_NUM_THREADS={threads}")
                attempts.append(_attempt(workspace, command, number, OMP_NUM_THREADS=str(threads)))
        seeded, *others = attempts
        return _judge(others, seeded)
    finally:
        for attempt in attempts:  # trials, not results: a notebook's newest run stays the one that its author made
            run_folder.set_aside(workspace, attempt.folder)


def _run_arguments(workspace: Workspace, name: str, say: Say) -> tuple[str, ...]:
    """The arguments of `samebook run` for a notebook as it is now, or for a run's receipt."""
    stem = name.removeprefix("notebooks/").removesuffix(".ipynb")
    if (workspace.notebooks / f"{stem}.ipynb").is_file():
        say(f"notebooks/{stem}.ipynb as it is now, with its defaults (a run's id instead: with that run's parameters)")
        return (name,)
    return ("--receipt", str(run_folder.locate(workspace, name)))


def _attempt(workspace: Workspace, command: tuple[str, ...], number: int, **variables: str) -> Attempt:
    env = {**os.environ, "SAMEBOOK_WORKSPACE": str(workspace.root), "OMP_NUM_THREADS": str(THREADS[0]), **variables}
    with tempfile.TemporaryFile() as output:
        code = signals.call(command, workspace.root, env, output)
        output.seek(0)
        printed = output.read().decode()
    if code:
        raise _failure(number, code, printed)
    folder = workspace.runs / subcommand.run_id(printed)
    subjects = receipt.subject_digests(receipt.read(folder / run_folder.RECEIPT))
    return Attempt(f"run {number}", int(env["OMP_NUM_THREADS"]), folder, subjects)


def _failure(number: int, code: int, printed: str) -> SamebookError:
    message = printed.rpartition("error: ")[2].strip()
    if number > 1:
        return NotReproduced(f"run {number} failed where run 1 was complete: {message}")
    return errors.from_exit_code(code, f"run {number} failed: {message}", default=CellFailed)


def _judge(attempts: list[Attempt], seeded: Attempt) -> Stability:
    first, *rest = attempts
    differences = [difference for attempt in rest if (difference := _difference(first, attempt))]
    if not differences:
        by_hash_seed = _proven(_difference(first, seeded), causes.SET_ORDER)
        suspects = _suspects((first.folder / run_folder.CANONICAL).read_bytes(), None)
        by_machine = tuple(suspect for suspect in suspects if suspect.cause.machine)
        return Stability(attempts, by_hash_seed=by_hash_seed, by_machine=by_machine)
    earliest = min(differences, key=lambda difference: difference.cell.number if difference.cell else sys.maxsize)
    groups = [[attempt.subjects for attempt in attempts if attempt.threads == threads] for threads in THREADS]
    by_threads = len(attempts) > len(THREADS) and all(subjects == group[0] for group in groups for subjects in group)
    return Stability(attempts, _proven(earliest, causes.THREADS) if by_threads else earliest)


def _proven(difference: Difference | None, cause: Cause) -> Difference | None:
    """The difference with this cause proven, without the suspects of other causes."""
    if difference is None:
        return None
    suspects = [suspect for suspect in difference.suspects if suspect.cause.name == cause.name]
    return replace(difference, proven=cause, suspects=suspects)


def _difference(first: Attempt, second: Attempt) -> Difference | None:
    before, after = (Side(attempt.subjects, _reader(attempt.folder)) for attempt in (first, second))
    different = [subject for subject in comparison.compare(before, after) if subject.verdict != Verdict.IDENTICAL]
    if not different:
        return None
    old, new = ((attempt.folder / run_folder.CANONICAL).read_bytes() for attempt in (first, second))
    cell = first_cell(old, new)
    return Difference(first, second, cell, different, _suspects(old, cell))


def _reader(folder: Path) -> Callable[[str], bytes]:
    return lambda name: (folder / name).read_bytes()


def _suspects(content: bytes, differing: CellDifference | None) -> list[Suspect]:
    """The suspected causes in the differing cell, then those in the cells before it; without such a cell, in all."""
    code = enumerate((cell for cell in json.loads(content) if cell["type"] == "code"), start=1)
    sources = [Source(number, canonical.name(cell["tags"], number), cell["source"]) for number, cell in code]
    last = differing.number if differing else sys.maxsize
    suspects = (suspect for suspect in causes.suspects(sources) if suspect.cell.number <= last)
    return sorted(suspects, key=lambda suspect: -suspect.cell.number)


def table(result: Stability) -> str:
    """The result as text."""
    runs = f"{len(result.attempts)} runs, with {' and '.join(map(str, THREADS))} threads"
    if result.difference:
        return f"{_description(result.difference)}\n\nDIFFERENT: {runs}"
    lines = [f"IDENTICAL: {runs}"]
    for suspect in result.by_machine:
        lines.append(f"warning: {suspect.cause.name} may be another on another machine ({_place(suspect, None)})")
        lines.append(f"  fix: {suspect.cause.fix}")
    if result.by_hash_seed:
        lines.append("warning: depends on PYTHONHASHSEED, which samebook fixes to 0; without it, the result is another")
        lines.append(_description(result.by_hash_seed))
    return "\n".join(lines)


def _description(difference: Difference) -> str:
    others = [subject for subject in difference.subjects if subject.name != run_folder.CANONICAL]
    attempts = (difference.first, difference.second)
    folders = " ".join(f"runs/{run_folder.SCRATCH}/{attempt.folder.name}" for attempt in attempts)
    lines = (
        *_cell_lines(difference),
        *_cause_lines(difference),
        *(f"also different: {subject.name}: {_subject_detail(subject, difference)}" for subject in others[:SHOWN]),
        *(f"  and {len(others) - SHOWN} more" for _ in others[SHOWN : SHOWN + 1]),
        f"to compare: {folders}",
    )
    return "\n".join(lines)


def _subject_detail(subject: Comparison, difference: Difference) -> str:
    if subject.verdict != Verdict.MISSING:
        return subject.detail
    attempt = difference.first if subject.name in difference.first.subjects else difference.second
    return f"only in {attempt.label}"


def _cell_lines(difference: Difference) -> Iterator[str]:
    cell = difference.cell
    if cell is None:
        yield "no cell shows a difference, but files differ"
        return
    yield f"cell {cell.number} `{cell.name}` differs first"
    for attempt, line in ((difference.first, cell.before), (difference.second, cell.after)):
        yield f"  {attempt.label}   {line}"


def _cause_lines(difference: Difference) -> Iterator[str]:
    suspects = difference.suspects[:SHOWN]
    if difference.proven:
        yield f"cause: {difference.proven.name} ({PROOF[difference.proven.name]})"
        yield from (f"  in {_place(suspect, difference.cell)}" for suspect in suspects)
        yield f"  fix: {difference.proven.fix}"
        return
    if not suspects:
        yield "likely: none of the usual causes is in this cell, or in one before it"
    for suspect in suspects:
        yield f"likely: {suspect.cause.name} ({_place(suspect, difference.cell)})"
        yield f"  fix: {suspect.cause.fix}"


def _place(suspect: Suspect, differing: CellDifference | None) -> str:
    is_same_cell = differing is not None and suspect.cell.number == differing.number
    cell = "" if is_same_cell else f"cell {suspect.cell.number} `{suspect.cell.name}`, "
    return f"{cell}line {suspect.line}: {suspect.text}"
