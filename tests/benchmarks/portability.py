"""Which kinds of computation depend on the processor, or on a number of threads, and whether portable numerics mend it.

    python tests/benchmarks/portability.py --only exp,svd --into docs/explanation/identical.md

Each setting of variables is a process that computes all kinds. One column compares portable numerics on one core, on
all, and once more; each other column two processes that differ in one thing alone. Another level of the processor is
simulated by variables, the next one below this machine's own, as none above it can be.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.kinds import KINDS

from samebook.environment import machine, numerics
from samebook.environment.numerics import Numerics

START, END = "<!-- make portability -->", "<!-- end -->"
INHERITED = ("PATH", "HOME", "TMPDIR", "LANG")


@dataclass(frozen=True)
class Way:
    """A process that computes: its variables, the number of its cores (0: all), and which of equal ones it is."""

    variables: tuple[tuple[str, str], ...]
    cores: int = 0
    number: int = 0

    def digests(self, names: Sequence[str]) -> dict[str, str]:
        """The digest of each kind."""
        return json.loads(self.output("print(json.dumps(kinds.digests(sys.argv[1:])))", names))

    def output(self, work: str, arguments: Sequence[str]) -> bytes:
        """What this line of Python prints, with these arguments."""
        cores = f"os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{self.cores or None}])"
        program = f"import json, os, sys; {cores}; from benchmarks import kinds; {work}"
        env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        env |= {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONWARNINGS": "ignore", **dict(self.variables)}
        return subprocess.run(
            [sys.executable, "-c", program, *arguments], env=env, stdout=subprocess.PIPE, check=True
        ).stdout


def way(variables: Mapping[str, str], cores: int = 0, number: int = 0) -> Way:
    return Way(tuple(variables.items()), cores, number)


def threads(openmp: int, blas: int) -> dict[str, str]:
    """The variables of numbers of threads alone."""
    return Numerics("fast", openmp, blas, is_held=True).variables()


def _only(variables: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name: text for name, text in variables.items() if name.startswith(prefix)}


def ways() -> dict[str, list[Way]]:
    """For each column the processes whose results it compares."""
    portable, plain, lowered = numerics.of().variables(), threads(1, 1), numerics.lowered_level()
    counts = [count for count in (1, 2, 4) if count < machine.cores()]
    return {
        "portable": [way(portable), way(portable, number=1), *(way(portable, count) for count in counts)],
        "numpy's level": [way(plain), way({**plain, **_only(lowered, "NPY_")})],
        "BLAS's level": [way(plain), way({**plain, **_only(lowered, "OPENBLAS_")})],
        "threads of BLAS": [way(plain), way(threads(1, 2))],
        "threads of OpenMP": [way(plain), way(threads(2, 1))],
        "4 of OpenMP, again": [way(threads(4, 1), number=number) for number in range(4)],
    }


def differing(names: Sequence[str], columns: Sequence[str] = ()) -> dict[str, list[str]]:
    """For each of these columns, by default all, the kinds that differ in it."""
    compared = {column: members for column, members in ways().items() if column in (columns or ways())}
    results = {member: member.digests(names) for members in compared.values() for member in members}
    return {
        column: [name for name in names if len({results[member][name] for member in members}) > 1]
        for column, members in compared.items()
    }


def table(names: Sequence[str], columns: dict[str, list[str]]) -> str:
    """The result as a table in Markdown; kinds that are the same in each column are one row."""
    unequal = [name for name in names if any(name in differ for differ in columns.values())]
    equal = ", ".join(name for name in names if name not in unequal)
    lines = [f"| results of | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for name in unequal:
        lines.append(
            f"| {name} | {' | '.join('**differ**' if name in differ else 'same' for differ in columns.values())} |"
        )
    lines.append(f"| {equal} | {' | '.join('same' for _ in columns)} |")
    return "\n".join(lines)


def place() -> str:
    """The machine that computes, and its Python."""
    found = f"{machine.processor()}, {machine.level_name()}" if machine.level() else machine.processor()
    return f"{found}, {machine.cores()} cores, {machine.libc()}, Python {platform.python_version()}"


def selection(words: str | None) -> list[str]:
    """The kinds whose names hold one of these words, with commas between; all for none."""
    return [name for name in KINDS if any(word in name for word in (words or "").split(","))]


def put(path: Path | None, start: str, text: str) -> None:
    """Print a table, and put it into a page after this mark."""
    sys.stdout.write(f"{text}\n")
    if path:
        new = f"{start}\n{text}\n{END}"
        path.write_text(re.sub(f"{start}.*?{END}", lambda _: new, path.read_text(), flags=re.DOTALL))


def main() -> int:
    """Print the table, and write it into a page; the exit code is 1 where portable numerics differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="kinds whose names hold one of these words, with commas between")
    parser.add_argument("--into", type=Path, help="a page whose table is replaced")
    given = parser.parse_args()
    names = selection(given.only)
    if machine.level() not in numerics.BELOW or machine.cores() < 2:
        found = f"found {machine.level_name()} and {machine.cores()} cores, expected x86-64-v3 and 2"
        sys.stderr.write(f"portability can't be measured here: {found}\n")
        return 2
    columns = differing(names)
    put(given.into, START, f"{len(names)} kinds on {place()}:\n\n{table(names, columns)}")
    return bool(columns["portable"])


if __name__ == "__main__":
    sys.exit(main())
