"""Find what makes runs of a notebook differ: run it several times, here, and compare.

The number of threads changes from run to run, and must not matter. One more run has another hash seed: what
differs in it alone hangs on the order of a set, which the fixed PYTHONHASHSEED hides from all others.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from samebook.core import errors, signals, subcommand, workspace
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
    """Which notebook (its name), or which run (its id, or its receipt's file), how many times; at least twice."""

    run: str
    times: int


@dataclass(frozen=True)
class Attempt:
    """One of the runs: what people call it, its threads, its folder, and its subjects' sha256 by name."""

    label: str
    threads: int
    folder: Path
    subjects: dict[str, str]


@dataclass(frozen=True)
class Difference:
    """Two runs that differ: in which cell first (None where only files do), in which subjects, and what may be why.

    `proven` is the cause that the runs themselves show.
    """

    first: Attempt
    second: Attempt
    cell: CellDifference | None
    subjects: list[Comparison]
    suspects: list[Suspect]
    proven: Cause | None = None


@dataclass(frozen=True)
class Stability:
    """What came out: how runs of the same differ, or what they hide when they don't.

    Hidden are what differs with another hash seed, and what may differ on another machine.
    """

    attempts: list[Attempt]
    difference: Difference | None = None
    by_hash_seed: Difference | None = None
    by_machine: tuple[Suspect, ...] = ()


def stability(request: StabilityRequest, say: Say) -> Stability:
    """Run it, and compare. Raises the error of a first run that fails, NotReproduced where only a later one does."""
    here = workspace.find()
    command = (sys.executable, "-m", "samebook", "run", "--json", *_what(here, request.run, say))
    attempts: list[Attempt] = []
    try:
        with signals.as_errors():
            # First, so that the data it publishes are in the end of the seed that all other runs have.
            say(f"first, with another hash seed: PYTHONHASHSEED={HASH_SEED}")
            attempts.append(_attempt(here, command, 0, SAMEBOOK_HASH_SEED=HASH_SEED))
            for number in range(1, request.times + 1):
                threads = THREADS[(number - 1) % len(THREADS)]
                say(f"run {number} of {request.times}, OMP_NUM_THREADS={threads}")
                attempts.append(_attempt(here, command, number, OMP_NUM_THREADS=str(threads)))
        other, *same = attempts
        return _judged(same, other)
    finally:
        for each in attempts:  # trials, not results: a notebook's newest run stays the one that its author made
            run_folder.set_aside(here, each.folder)


def _what(here: Workspace, name: str, say: Say) -> tuple[str, ...]:
    """A notebook as it is now, or what a receipt did."""
    stem = name.removeprefix("notebooks/").removesuffix(".ipynb")
    if (here.notebooks / f"{stem}.ipynb").is_file():
        say(f"notebooks/{stem}.ipynb as it is now, with its defaults (a run's id instead: with that run's parameters)")
        return (name,)
    return ("--receipt", str(run_folder.locate(here, name)))


def _attempt(here: Workspace, command: tuple[str, ...], number: int, **variables: str) -> Attempt:
    env = {**os.environ, "SAMEBOOK_WORKSPACE": str(here.root), "OMP_NUM_THREADS": str(THREADS[0]), **variables}
    with tempfile.TemporaryFile() as output:
        code = signals.call(command, here.root, env, output)
        output.seek(0)
        told = output.read().decode()
    if code:
        raise _failed(number, code, told)
    folder = here.runs / subcommand.run_id(told)
    subjects = receipt.subject_digests(receipt.read(folder / run_folder.RECEIPT))
    return Attempt(f"run {number}", int(env["OMP_NUM_THREADS"]), folder, subjects)


def _failed(number: int, code: int, told: str) -> SamebookError:
    words = told.rpartition("error: ")[2].strip()
    if number > 1:
        return NotReproduced(f"run {number} failed where run 1 was complete: {words}")
    return errors.from_exit_code(code, f"run {number} failed: {words}", default=CellFailed)


def _judged(attempts: list[Attempt], other: Attempt) -> Stability:
    first, *rest = attempts
    found = [difference for each in rest if (difference := _difference(first, each))]
    if not found:
        by_hash_seed = _proven(_difference(first, other), causes.SET_ORDER)
        suspects = _suspects((first.folder / run_folder.CANONICAL).read_bytes(), None)
        by_machine = tuple(each for each in suspects if each.cause.machine)
        return Stability(attempts, by_hash_seed=by_hash_seed, by_machine=by_machine)
    earliest = min(found, key=lambda each: each.cell.number if each.cell else sys.maxsize)
    groups = [[each.subjects for each in attempts if each.threads == threads] for threads in THREADS]
    by_threads = len(attempts) > len(THREADS) and all(each == group[0] for group in groups for each in group)
    return Stability(attempts, _proven(earliest, causes.THREADS) if by_threads else earliest)


def _proven(found: Difference | None, cause: Cause) -> Difference | None:
    """The difference, with its cause known, and other suspects dropped."""
    if found is None:
        return None
    return replace(found, proven=cause, suspects=[each for each in found.suspects if each.cause.name == cause.name])


def _difference(first: Attempt, second: Attempt) -> Difference | None:
    before, after = (Side(each.subjects, _reader(each.folder)) for each in (first, second))
    different = [each for each in comparison.compare(before, after) if each.verdict != Verdict.IDENTICAL]
    if not different:
        return None
    old, new = ((each.folder / run_folder.CANONICAL).read_bytes() for each in (first, second))
    cell = first_cell(old, new)
    return Difference(first, second, cell, different, _suspects(old, cell))


def _reader(folder: Path) -> Callable[[str], bytes]:
    return lambda name: (folder / name).read_bytes()


def _suspects(content: bytes, differing: CellDifference | None) -> list[Suspect]:
    """The causes in the cell that differs, then in those before it; in any cell where only files differ."""
    numbered = [(number, cell) for number, cell in enumerate(json.loads(content), start=1) if cell["type"] == "code"]
    sources = [Source(number, canonical.name(cell["tags"], number), cell["source"]) for number, cell in numbered]
    last = differing.number if differing else sys.maxsize
    found = (each for each in causes.suspects(sources) if each.cell.number <= last)
    return sorted(found, key=lambda each: -each.cell.number)


def table(found: Stability) -> str:
    """What was found, as text."""
    runs = f"{len(found.attempts)} runs, with {' and '.join(map(str, THREADS))} threads"
    if found.difference:
        return f"{_told(found.difference)}\n\nDIFFERENT: {runs}"
    lines = [f"IDENTICAL: {runs}"]
    for each in found.by_machine:
        lines.append(f"warning: {each.cause.name} may be another on another machine ({_place(each, None)})")
        lines.append(f"  fix: {each.cause.fix}")
    if found.by_hash_seed:
        lines.append("warning: depends on PYTHONHASHSEED, which samebook fixes to 0; without it, the result is another")
        lines.append(_told(found.by_hash_seed))
    return "\n".join(lines)


def _told(found: Difference) -> str:
    others = [each for each in found.subjects if each.name != run_folder.CANONICAL]
    folders = " ".join(f"runs/{run_folder.SCRATCH}/{each.folder.name}" for each in (found.first, found.second))
    lines = (
        *_where(found),
        *_why(found),
        *(f"also different: {each.name}: {_detail(each, found)}" for each in others[:SHOWN]),
        *(f"  and {len(others) - SHOWN} more" for _ in others[SHOWN : SHOWN + 1]),
        f"to compare: {folders}",
    )
    return "\n".join(lines)


def _detail(subject: Comparison, found: Difference) -> str:
    if subject.verdict != Verdict.MISSING:
        return subject.detail
    return f"only in {(found.first if subject.name in found.first.subjects else found.second).label}"


def _where(found: Difference) -> Iterator[str]:
    if found.cell is None:
        yield "no cell shows a difference, but files differ"
        return
    yield f"cell {found.cell.number} `{found.cell.name}` differs first"
    for attempt, line in ((found.first, found.cell.before), (found.second, found.cell.after)):
        yield f"  {attempt.label}   {line}"


def _why(found: Difference) -> Iterator[str]:
    if found.proven:
        yield f"cause: {found.proven.name} ({PROOF[found.proven.name]})"
        yield from (f"  in {_place(each, found.cell)}" for each in found.suspects[:SHOWN])
        yield f"  fix: {found.proven.fix}"
        return
    if not found.suspects:
        yield "likely: none of the usual causes is in this cell, or in one before it"
    for each in found.suspects[:SHOWN]:
        yield f"likely: {each.cause.name} ({_place(each, found.cell)})"
        yield f"  fix: {each.cause.fix}"


def _place(suspect: Suspect, differing: CellDifference | None) -> str:
    own = differing is not None and suspect.cell.number == differing.number
    cell = "" if own else f"cell {suspect.cell.number} `{suspect.cell.name}`, "
    return f"{cell}line {suspect.line}: {suspect.text}"
