"""Compare two files of results: their difference, by the kind that the name tells."""

from pathlib import Path

from samebook.records import differences
from samebook.records.differences import Difference


def compare(old: Path, new: Path) -> Difference:
    """The difference of two files; its detail says so where there is none."""
    before, after = old.read_bytes(), new.read_bytes()
    if before == after:
        return Difference("the same bytes", 0.0)
    return differences.difference(new.name, before, after)
