"""The reason that a person must know first of two runs that differ: another processor, other threads, other numerics.

It names the cell that differs first, the calls that are known to depend on it, the size of the difference, and the pin
that mends it; and the first call that differs on any machine, as one without a seed does.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

from samebook.environment.numerics import LEVEL
from samebook.records import run_folder
from samebook.records.comparison import Comparison, Side
from samebook.records.differences import Difference
from samebook.reproduction import causes
from samebook.reproduction.definition import PROCESSOR, Divergence

THREADS = "internalParameters.threads"
NUMERICS = "internalParameters.numerics"
VARIABLES = "internalParameters.processor.variables"
# A number of cores alone decides nothing.
UNDECISIVE = ("internalParameters.processor.cores",)
FIX = "numerics: portable, in environments/<env>.yml, gives the same digits on each x86-64-v3 processor"
SHOWN = 3


def lines(
    divergences: Sequence[Divergence],
    comparisons: Sequence[Comparison],
    new: Side,
    *,
    is_portable: bool,
    is_held: bool,
) -> list[str]:
    """The reason as lines; none where both runs had the same processor, threads and numerics.

    `new` is the result of the new run; `is_portable` says that both had portable numerics, `is_held`
    that both processors hold them.
    """
    differing = [
        item for item in divergences if item.name.startswith((*PROCESSOR, NUMERICS)) and item.name not in UNDECISIVE
    ]
    if not differing:
        return []
    taken = [item for item in differing if not item.name.startswith(VARIABLES)] or differing
    facts = "; ".join(f"{item.name.partition('.')[2]}: {item.original} then, {item.reproduced} here" for item in taken)
    changes = [subject.change for subject in comparisons if subject.change]
    cell = next((change.cell for change in changes if change.cell), None)
    names = _causes(differing, is_portable=is_portable, is_held=is_held)
    suspects = _suspects(new, cell.number if cell else sys.maxsize)
    of_machine = [suspect for suspect in suspects if suspect.cause.numeric and suspect.cause.name in names]
    of_any = [suspect for suspect in suspects if not suspect.cause.numeric and not suspect.cause.machine]
    return [
        f"the runs had another processor, other threads, or other numerics: {facts}",
        *([f"  first in cell {cell.number} `{cell.name}`"] if cell else []),
        *_suspect_lines("known to depend on it", of_machine, cell.number if cell else 0),
        *_size_lines(changes),
        *(_fix_lines(differing, is_portable=is_portable, is_held=is_held) if of_machine or not of_any else ()),
        *_suspect_lines("may differ on one machine, too", of_any[:1], cell.number if cell else 0),
        *(f"  fix: {suspect.cause.fix}" for suspect in of_any[:1]),
        "",
    ]


def _causes(differing: Sequence[Divergence], *, is_portable: bool, is_held: bool) -> set[str]:
    """The names of the causes that may be at work: portable numerics hold the processor's level where it has it."""
    by_threads = not is_portable or any(item.name.startswith(THREADS) for item in differing)
    names = ((causes.PROCESSOR.name, not is_held), (causes.THREADS.name, by_threads))
    return {name for name, is_possible in names if is_possible}


def _suspects(new: Side, number: int) -> list[causes.Suspect]:
    """The suspects in the cell of this number and those before it; none where the notebook is no valid one."""
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):  # a stranger wrote it
        return causes.in_notebook(new.content(run_folder.CANONICAL) or b"[]", number)
    return []


def _suspect_lines(words: str, suspects: Sequence[causes.Suspect], number: int) -> list[str]:
    """The places of the first suspects, with their cells where these are not the one of this number."""
    places = dict.fromkeys(suspect.place(number) for suspect in suspects)
    return [f"  {words}: {place}" for place in list(places)[:SHOWN]]


def _size_lines(changes: Sequence[Difference]) -> Iterator[str]:
    """The largest difference of numbers in all subjects."""
    sizes = [size for change in changes for size in (change, change.cell) if size]
    largest = max((size.largest or 0.0 for size in sizes), default=0.0)
    ulps = max((size.ulps for size in sizes), default=0)
    if largest:
        yield f"  largest difference of numbers: {f'{ulps:,} ulp, ' * bool(ulps)}{largest:.3g} relative"


def _fix_lines(differing: Sequence[Divergence], *, is_portable: bool, is_held: bool) -> Iterator[str]:
    """The pin that mends it."""
    threads = next((item.original for item in differing if item.name in (THREADS, f"{THREADS}.openmp")), "").strip('"')
    if not is_portable:
        yield f"  fix: {FIX}"
    elif not is_held:
        yield f"  fix: a processor of the level {LEVEL} or above, without which portable numerics are not held"
    elif threads.isdecimal():
        yield f"  fix: threads: {threads}, in environments/<env>.yml, is the number of the run"
