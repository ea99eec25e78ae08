"""Find why runs of a notebook differ: run it several times on this machine, and compare the results.

Runs alternate between two machines, of one core and of two, which must not matter. One more run has another hash seed:
a difference in this run alone comes from the order of a set, which the fixed PYTHONHASHSEED hides in all other runs.
With fast numerics another one has the next lower level of the processor, which portable numerics fix.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from samebook.core import signals
from samebook.core import workspace as workspaces
from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.numerics import LOWERED
from samebook.records import comparison, run_folder
from samebook.records.comparison import Comparison, Verdict
from samebook.records.differences import CellDifference, first_cell
from samebook.reproduction import causes, rerun, trial
from samebook.reproduction import original as originals
from samebook.reproduction.causes import Cause, Suspect
from samebook.reproduction.rerun import Site
from samebook.reproduction.trial import Attempt, Machine, Try

HASH_SEED = "1"
SHOWN = 3
PROOF = {
    causes.THREADS.name: "runs with as many threads are alike",
    causes.PROCESSOR.name: "only the run with a lower level of the processor differs",
    causes.SET_ORDER.name: f"only the run with PYTHONHASHSEED={HASH_SEED} differs",
}


@dataclass(frozen=True)
class StabilityRequest:
    """A notebook (its name), or a run (its id, or its receipt's file), and how many times to run it; at least twice."""

    run: str
    times: int
    engine: str = "local"
    trusts_patch: bool = False


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
    """The result: the first difference between equal runs, and the differences that may yet come.

    Those are the difference on another processor, where chance changes nothing, and, where equal runs don't differ, the
    one under another hash seed, and the lines whose result may be another on another machine. `machines` are the names
    of the machines of the runs.
    """

    attempts: list[Attempt]
    machines: tuple[str, ...]
    difference: Difference | None = None
    by_hash_seed: Difference | None = None
    by_processor: Difference | None = None
    by_machine: tuple[Suspect, ...] = ()


def stability(request: StabilityRequest, say: Say) -> Stability:
    """Run the notebook, and compare. Raises the error of the first run, NotReproduced where only a later run fails."""
    workspace = workspaces.find()
    stem = request.run.removeprefix("notebooks/").removesuffix(".ipynb")
    if (workspace.notebooks / f"{stem}.ipynb").is_file():
        say(f"notebooks/{stem}.ipynb as it is now, with its defaults (a run's id instead: that run, at its commit)")
        numerics = settings.load(workspace, os.environ.get("SAMEBOOK_ENV", "dev")).numerics
        attempt = partial(trial.in_place, workspace, request.run)
        with signals.as_errors():
            return _stability(workspace, request.times, trial.machines(numerics), attempt, [], say)
    original = originals.read(workspace, run_folder.locate(workspace, request.run))
    site = Site(workspace, request.engine, say, original.path.parent, request.trusts_patch)
    with rerun.reruns(site, original.statement) as new_run:
        machines = trial.machines(trial.numerics_of(original), starts_containers=request.engine == "docker")
        first, attempt = [trial.original(workspace, original)], partial(trial.in_worktree, new_run)
        return _stability(workspace, request.times, machines, attempt, first, say)


def _stability(
    workspace: Workspace, times: int, machines: Sequence[Machine], attempt: Try, first: list[Attempt], say: Say
) -> Stability:
    """The comparison of new runs with each other, and with the run that they repeat, where they repeat one."""
    attempts: list[Attempt] = []
    try:
        say(f"first, with another hash seed: PYTHONHASHSEED={HASH_SEED}")
        attempts.append(attempt(0, machines[0].having("SAMEBOOK_HASH_SEED", HASH_SEED)))
        if machines[0].has_lower_level:
            say("then as on a processor of the next lower level")
            attempts.append(attempt(0, machines[0].having(LOWERED, "1")))
        seeded, *lowered = attempts
        for number in range(1, times + 1):
            machine = machines[(number - 1) % len(machines)]
            say(f"run {number} of {times}, with {machine.name}")
            attempts.append(attempt(number, machine))
        equal = [*first, *attempts[1 + len(lowered) :]]
        return _judge(equal, seeded, next(iter(lowered), None), tuple(machine.name for machine in machines))
    finally:
        for finished in attempts:  # trials, not results: a notebook's newest run stays the one that its author made
            run_folder.set_aside(workspace, finished.folder)


def _judge(attempts: list[Attempt], seeded: Attempt, lowered: Attempt | None, machines: tuple[str, ...]) -> Stability:
    """The result of attempts that should be alike, of one with another hash seed, and of one on a lower level."""
    first, *rest = attempts
    differences = [difference for attempt in rest if (difference := _difference(first, attempt))]
    like_lowered = [attempt for attempt in attempts if attempt.machine == machines[0]][-1]
    by_processor = _proven(_difference(like_lowered, lowered), causes.PROCESSOR) if lowered else None
    if not differences:
        by_seed = _proven(_difference(rest[-1], seeded), causes.SET_ORDER)
        suspects = causes.in_notebook(_canonical(rest[-1]))
        by_machine = tuple(suspect for suspect in suspects if suspect.cause.machine)
        return Stability(attempts, machines, None, by_seed, by_processor, by_machine)
    earliest = min(differences, key=lambda difference: difference.cell.number if difference.cell else sys.maxsize)
    groups = [[attempt.side.digests for attempt in attempts if attempt.machine == name] for name in machines]
    is_repeated = any(len(group) > 1 for group in groups)  # one alone is like itself
    by_threads = is_repeated and all(subjects == group[0] for group in groups for subjects in group)
    by_threads = by_threads and any(group[0] != groups[0][0] for group in groups)  # else the run itself is another
    if by_threads:
        return Stability(attempts, machines, _proven(earliest, causes.THREADS), by_processor=by_processor)
    return Stability(attempts, machines, earliest)


def _proven(difference: Difference | None, cause: Cause) -> Difference | None:
    """The difference with this cause proven, without the suspects of other causes."""
    if difference is None:
        return None
    suspects = [suspect for suspect in difference.suspects if suspect.cause.name == cause.name]
    return replace(difference, proven=cause, suspects=suspects)


def _difference(first: Attempt, second: Attempt) -> Difference | None:
    compared = comparison.compare(first.side, second.side)
    different = [subject for subject in compared if subject.verdict != Verdict.IDENTICAL]
    if not different:
        return None
    old, new = _canonical(first), _canonical(second)
    cell = first_cell(old, new) if old else None  # the bytes of a run that was received may not be here
    return Difference(first, second, cell, different, causes.in_notebook(new, cell.number if cell else sys.maxsize))


def _canonical(attempt: Attempt) -> bytes:
    return attempt.side.content(run_folder.CANONICAL) or b""


def table(result: Stability) -> str:
    """The result as text."""
    runs = f"{len(result.attempts)} runs, with {' and '.join(result.machines)}"
    if result.difference:
        return "\n".join((_description(result.difference), *_processor_lines(result), "", f"DIFFERENT: {runs}"))
    lines = [f"IDENTICAL: {runs}"]
    for suspect in result.by_machine:
        lines.append(f"warning: {suspect.cause.name} may be another on another machine ({suspect.place()})")
        lines.append(f"  fix: {suspect.cause.fix}")
    if result.by_hash_seed:
        lines.append("warning: depends on PYTHONHASHSEED, which samebook fixes to 0; without it, the result is another")
        lines.append(_description(result.by_hash_seed))
    return "\n".join((*lines, *_processor_lines(result)))


def _processor_lines(result: Stability) -> Iterator[str]:
    if result.by_processor:
        yield "warning: depends on the processor; on another one, the result is another"
        yield _description(result.by_processor)


def _description(difference: Difference) -> str:
    others = [subject for subject in difference.subjects if subject.name != run_folder.CANONICAL]
    attempts = (difference.first, difference.second)
    folders = " ".join(map(_place_of, attempts))
    lines = (
        *_cell_lines(difference),
        *_cause_lines(difference),
        *(f"also different: {subject.name}: {_subject_detail(subject, difference)}" for subject in others[:SHOWN]),
        *(f"  and {len(others) - SHOWN} more" for _ in others[SHOWN : SHOWN + 1]),
        f"to compare: {folders}",
    )
    return "\n".join(lines)


def _place_of(attempt: Attempt) -> str:
    """The folder in which a run is found afterwards."""
    is_trial = attempt.label.startswith("run ")
    return f"runs/{run_folder.SCRATCH}/{attempt.folder.name}" if is_trial else str(attempt.folder)


def _subject_detail(subject: Comparison, difference: Difference) -> str:
    if subject.verdict != Verdict.MISSING:
        return subject.detail
    attempt = difference.first if subject.name in difference.first.side.digests else difference.second
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
    likely = [suspect for suspect in difference.suspects if not suspect.cause.numeric]
    number = difference.cell.number if difference.cell else 0
    suspects = (difference.suspects if difference.proven else likely)[:SHOWN]
    if difference.proven:
        yield f"cause: {difference.proven.name} ({PROOF[difference.proven.name]})"
        yield from (f"  in {suspect.place(number)}" for suspect in suspects)
        yield f"  fix: {difference.proven.fix}"
        return
    shown = causes.of_lines(difference.cell.before, difference.cell.after) if difference.cell else None
    if shown:
        yield f"likely: {shown.name}, which is all that differs in these lines"
        yield f"  fix: {shown.fix}"
    elif not suspects:
        yield "likely: none of the usual causes is in this cell, or in one before it"
    for suspect in suspects:
        yield f"likely: {suspect.cause.name} ({suspect.place(number)})"
        yield f"  fix: {suspect.cause.fix}"
