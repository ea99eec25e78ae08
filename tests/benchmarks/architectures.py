"""Which kinds of computation have the same bytes on two machines, as of two architectures, and how far others differ.

    python tests/benchmarks/architectures.py --results here.npz           on the one
    python tests/benchmarks/architectures.py --against here.npz           on the other

Numerics are portable on both, as far as they can be held there.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmarks.portability import place, put, selection, way

from samebook.environment import numerics
from samebook.records.numbers import largest

START = "<!-- make portability AGAINST -->"


def results(path: Path, names: list[str]) -> None:
    """Write the results of these kinds on this machine to a file."""
    way(numerics.of().variables()).output("kinds.save(*sys.argv[1:3], sys.argv[3:])", [str(path), place(), *names])


def size(old: Any, new: Any) -> tuple[float, int] | None:
    """The largest difference of two arrays, and that in ulp; None where more differs than numbers."""
    if old.shape != new.shape or old.dtype != new.dtype or old.dtype == "uint8":
        return None
    old, new = (values.view(values.real.dtype) for values in (old, new))
    differing = old != new
    return largest(zip(old[differing].tolist(), new[differing].tolist(), strict=True))


def row(name: str, pairs: list[tuple[Any, Any]]) -> str:
    """The row of a kind that differs."""
    sizes = [size(*pair) for pair in pairs]
    if None in sizes:
        return f"| {name} | other bytes | |"
    numbers = max(relative for relative, _ in filter(None, sizes)), max(ulps for _, ulps in filter(None, sizes))
    return f"| {name} | {numbers[0]:.1e} | {numbers[1]:,} |"


def table(old: Any, new: Any, names: list[str]) -> str:
    """The comparison of two files of results as Markdown."""
    keys = {name: [key for key in new if key.startswith(f"{name}/")] for name in names}
    pairs = {name: [(old[key], new[key]) for key in keys[name] if key in old] for name in names}
    same = [name for name in names if pairs[name] and all(a.tobytes() == b.tobytes() for a, b in pairs[name])]
    rows = [row(name, pairs[name]) for name in names if name not in same and pairs[name]]
    count = f"{len(same)} of {len(same) + len(rows)} kinds have the same bytes"
    places = f"{old['place']}, and on {new['place']}"
    lines = (f"{count} on {places}: {', '.join(same)}.\n", "| results of | largest difference | ulp |", "|---|---|---|")
    return "\n".join((*lines, *rows))


def main() -> None:
    """Write this machine's results, or print how far they differ from those of another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="kinds whose names hold one of these words, with commas between")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--results", type=Path, help="a file, .npz, for this machine's results")
    target.add_argument("--against", type=Path, help="the file of another machine")
    parser.add_argument("--into", type=Path, help="a page whose table is replaced")
    given = parser.parse_args()
    names = selection(given.only)
    if given.results:
        results(given.results, names)
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "results.npz"
        results(path, names)
        put(given.into, START, table(np.load(given.against), np.load(path), names))


if __name__ == "__main__":
    main()
