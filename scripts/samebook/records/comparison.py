"""Comparison of two results, subject by subject: a verdict by hash, and the difference where the hashes differ.

A verdict is IDENTICAL (same sha256), EQUIVALENT (only numbers differ, all within the given tolerance), DIFFERENT, or
MISSING (one side lacks the subject). Without a tolerance, other bytes are DIFFERENT.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePath

from samebook.core import subcommand, workspace
from samebook.core.text import align
from samebook.records.differences import Difference, difference


class Verdict(StrEnum):
    IDENTICAL = "IDENTICAL"
    EQUIVALENT = "EQUIVALENT"
    DIFFERENT = "DIFFERENT"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Comparison:
    """The verdict on one subject; `detail` describes the difference, and is empty for IDENTICAL.

    `change` is the difference of contents that are both here.
    """

    name: str
    verdict: Verdict
    detail: str = ""
    change: Difference | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Side:
    """One of two results: the sha256 of each subject, and a function to its bytes (None where they are not here)."""

    digests: Mapping[str, str]
    content: Callable[[str], bytes | None]


def compare(
    original: Side, reproduced: Side, tolerance: float = 0.0, sides: tuple[str, str] = ("original", "reproduction")
) -> list[Comparison]:
    """Compare every subject of either side, in the order of names; `tolerance` as in `numbers.gap`.

    `sides` are what the two are called in the detail of a missing subject.
    """
    names = sorted({*original.digests, *reproduced.digests})
    return [_compare_subject(name, original, reproduced, tolerance, sides) for name in names]


def _compare_subject(
    name: str, original: Side, reproduced: Side, tolerance: float, sides: tuple[str, str]
) -> Comparison:
    before, after = original.digests.get(name), reproduced.digests.get(name)
    if before is None or after is None:
        return Comparison(name, Verdict.MISSING, f"only in the {sides[before is None]}")
    if before == after:
        return Comparison(name, Verdict.IDENTICAL)
    old, new = original.content(name), reproduced.content(name)
    if old is None or new is None:
        return Comparison(name, Verdict.DIFFERENT, "the original's bytes are not here to look into")
    change = _difference(name, old, new)
    if tolerance > 0 and change.largest is not None and change.largest <= tolerance:
        return Comparison(name, Verdict.EQUIVALENT, f"{change.detail}, within {tolerance:g}", change)
    return Comparison(name, Verdict.DIFFERENT, change.detail, change)


def _difference(name: str, old: bytes, new: bytes) -> Difference:
    """The difference of two contents; where the libraries to read them are not installed, the image finds it."""
    try:
        return difference(name, old, new)
    except ModuleNotFoundError:
        current = workspace.find()
        with tempfile.TemporaryDirectory(dir=workspace.make_folder(current.root / ".samebook")) as folder:
            Path(folder).chmod(0o755)  # the container may be another user
            paths = [Path(folder) / side / PurePath(name).name for side in ("old", "new")]
            for path, content in zip(paths, (old, new), strict=True):
                workspace.write_whole(path, content)
                path.chmod(0o644)
            files = dict(zip(("OLD", "NEW"), map(current.relative, paths), strict=True))
            return Difference(**json.loads(subcommand.make(current, "compare", **files, JSON="1")))


def table(comparisons: list[Comparison]) -> str:
    """The verdicts as text: a line a subject, with the detail below it."""
    title, *lines = align([("subject", "verdict"), *((subject.name, str(subject.verdict)) for subject in comparisons)])
    details = (f"\n  {subject.detail}" if subject.detail else "" for subject in comparisons)
    return "\n".join((title, *map(str.__add__, lines, details)))


def count(comparisons: list[Comparison]) -> str:
    """The number of identical subjects, in words."""
    same = sum(subject.verdict is Verdict.IDENTICAL for subject in comparisons)
    return f"{same} of {len(comparisons)} subjects have the same sha256"


def overall(comparisons: list[Comparison]) -> Verdict:
    """The worst verdict of all."""
    verdicts = {subject.verdict for subject in comparisons}
    worst_first = (Verdict.MISSING, Verdict.DIFFERENT, Verdict.EQUIVALENT)
    return next((verdict for verdict in worst_first if verdict in verdicts), Verdict.IDENTICAL)
