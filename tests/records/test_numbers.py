"""The size of the difference of two numbers, and the numbers in texts."""

import math
from typing import Any

import numpy as np
import pytest

from samebook.records import numbers


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        (1.0, math.nextafter(1.0, 2), 1),
        (-math.nextafter(0.0, 1), math.nextafter(0.0, 1), 2),
        (0.0, -0.0, 0),
        (float(np.float32(0.1)), float(np.nextafter(np.float32(0.1), np.float32(1))), 1),
        (1e300, math.nextafter(1e300, math.inf), 1),
        (1, 2, 0),
        (1.0, math.inf, 0),
        ("1.0", 2.0, 0),
    ],
)
def test_units_in_the_last_place(old: Any, new: Any, count: int) -> None:
    """Floats are as many steps apart as there are floats of their precision between them; others have no such size."""
    assert numbers.ulps(old, new) == numbers.ulps(new, old) == count


@pytest.mark.parametrize(
    ("old", "new", "pairs"),
    [
        ("inertia: 1.5, of 3", "inertia: 1.25, of 3", [(1.5, 1.25), (3, 3)]),
        ("[ 1.  -2e-3]", "[1. -3e-3]", [(1, 1), (-0.002, -0.003)]),
        ("0x1.8p+3", "0x1.0p+3", [(12, 8)]),
        ("0x1.0p+5000", "0x1.0p+1", [(math.inf, 2)]),
        ("1.5 s", "1.5 m", []),
        ("v1.2.3 3f2a 7x", "v1.2.4 3f2a 7x", []),
        (1.5, 2.5, []),
        ("1" * 100_000 + "x", "2" * 100_000 + "x", []),
    ],
)
def test_numbers_of_texts(old: Any, new: Any, pairs: list[tuple[float, float]]) -> None:
    """Numbers come in pairs from two texts that differ by them alone; digits in words, versions and hashes are none."""
    assert list(numbers.pairs(old, new)) == pairs


def test_numbers_beyond_floats() -> None:
    """Whole numbers that no float can hold have no size of their difference, and end no comparison."""
    assert [numbers.gap(10**400, new) for new in (1, 1.5, 10**400 + 1)] == [None] * 3


def test_largest_of_all() -> None:
    """The largest relative size and the most units may be those of two pairs; none have the size 0."""
    pairs = [(1.0, 1.5), (1e-300, 2e-300), (3, 4)]
    size, units = numbers.largest(pairs)
    assert (size, units) == (0.5 / 1.5, numbers.ulps(1e-300, 2e-300))
    assert numbers.largest([]) == (0.0, 0)
