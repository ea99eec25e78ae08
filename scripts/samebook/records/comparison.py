"""Compare two results subject by subject: the verdict by hash, and what differs where hashes do.

A verdict is IDENTICAL (same sha256), EQUIVALENT (only numbers differ, all within a tolerance that was asked for),
DIFFERENT, or MISSING (one side lacks the subject). Without a tolerance, other bytes are DIFFERENT.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from samebook.core.table import align
from samebook.records.differences import difference


class Verdict(StrEnum):
    IDENTICAL = "IDENTICAL"
    EQUIVALENT = "EQUIVALENT"
    DIFFERENT = "DIFFERENT"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Comparison:
    """The verdict on one subject; `detail` says what differs, and is empty for IDENTICAL."""

    name: str
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True)
class Side:
    """One result: the sha256 of each subject, and a way to its bytes, where they are here."""

    digests: Mapping[str, str]
    content: Callable[[str], bytes | None]


def compare(original: Side, reproduced: Side, tolerance: float = 0.0) -> list[Comparison]:
    """Every subject of either side, in the order of names."""
    names = sorted({*original.digests, *reproduced.digests})
    return [_compared(name, original, reproduced, tolerance) for name in names]


def _compared(name: str, original: Side, reproduced: Side, tolerance: float) -> Comparison:
    before, after = original.digests.get(name), reproduced.digests.get(name)
    if before is None or after is None:
        return Comparison(name, Verdict.MISSING, "only in the " + ("reproduction" if before is None else "original"))
    if before == after:
        return Comparison(name, Verdict.IDENTICAL)
    old, new = original.content(name), reproduced.content(name)
    if old is None or new is None:
        return Comparison(name, Verdict.DIFFERENT, "the original's bytes are not here to look into")
    found = difference(name, old, new)
    if tolerance > 0 and found.largest is not None and found.largest <= tolerance:
        return Comparison(name, Verdict.EQUIVALENT, f"{found.detail}, within {tolerance:g}")
    return Comparison(name, Verdict.DIFFERENT, found.detail)


def table(comparisons: list[Comparison]) -> str:
    """The verdicts as text, a line a subject, with what differs below it."""
    title, *lines = align([("subject", "verdict"), *((each.name, str(each.verdict)) for each in comparisons)])
    details = (f"\n  {each.detail}" if each.detail else "" for each in comparisons)
    return "\n".join((title, *map(str.__add__, lines, details)))


def overall(comparisons: list[Comparison]) -> Verdict:
    """The worst verdict of all."""
    found = {each.verdict for each in comparisons}
    worst = (Verdict.MISSING, Verdict.DIFFERENT, Verdict.EQUIVALENT)
    return next((verdict for verdict in worst if verdict in found), Verdict.IDENTICAL)
