"""PSI and its limits: by hand, and in a simulation of quiet days and of days that have changed."""

import math
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from samebook.environment.model_sections import Drift
from samebook.monitoring.bins import Binned, expected, places
from samebook.monitoring.psi import Divergence, compare, merged, psi
from samebook.monitoring.reference import described
from samebook.monitoring.report import ALARM, LEVELS, WARN

DAYS, KNOWN = 4000, 50_000
SIZES = (100, 1000, 10_000)
LIMITS = Drift()


def zipf(values: int) -> np.ndarray:
    """Shares of 1, 1/2, 1/3 …: a few values that are often, many that are rare."""
    return 1 / np.arange(1, values + 1) / sum(1 / np.arange(1, values + 1))


def normal(shift: float = 0.0) -> np.ndarray:
    """The shares of a normal variable in ten bins, cut at its deciles before a shift in standard deviations."""
    edges = [NormalDist().inv_cdf(n / 10) - shift for n in range(1, 10)]
    return np.diff([0, *(NormalDist().cdf(edge) for edge in edges), 1])


# In each: missing last; one row in a thousand, or in twenty.
POPULATIONS = {
    "normal": (np.array([*normal() * 0.999, 0.001]), True),
    "three values": (np.array([0.6, 0.3, 0.05, 0.05]), False),
    "sixteen values": (np.array([*zipf(16) * 0.95, 0.05]), False),
    "a hundred values": (np.array([*zipf(100) * 0.999, 0.001]), False),
    "a thousand values": (np.array([*zipf(1000) * 0.999, 0.001]), False),
    "one rare value": (np.array([0.998, 0.001, 0.001]), False),
}


def rates(before: np.ndarray, after: np.ndarray, size: int, level: str, *, ordered: bool, floor: float) -> float:
    """The share of days of so many rows that are above the limit: references have `before`, the days `after`."""
    generator = np.random.default_rng(2013)
    above = []
    for counts in generator.multinomial(KNOWN, before, size=10):
        found = reference(counts.tolist(), ordered=ordered)
        known = expected(found)
        names = pd.Series([*range(len(before) - 1), None], dtype=float if ordered else object)
        drawn = generator.multinomial(size, after, size=DAYS // 10) @ np.eye(len(known))[places(names, found)]
        groups = merged(known, min(size, KNOWN), ordered=ordered)
        joined = np.eye(groups.max() + 1)[groups]
        filled = int((known @ joined > 0).sum())
        chance = Divergence(size, filled, 0.0, 1 / size + 1 / KNOWN).by_chance(LEVELS[level])
        above.append((psi(known @ joined, drawn @ joined) > max(floor, chance)).mean())
    return float(np.mean(above))


def reference(counts: list[int], *, ordered: bool) -> Binned:
    """A reference with these counts, the last of what is missing: of numbers 0, 1, 2 …, or of words that were seen."""
    *own, missing = counts
    if ordered:
        return {"edges": list(range(len(own) - 1)), "counts": own, "missing": missing, "range": [0, len(own) - 1]}
    return {"values": {str(name): count for name, count in enumerate(own) if count}, "missing": missing}


@pytest.mark.parametrize("name", POPULATIONS)
def test_false_alarms(name: str) -> None:
    """Where nothing has changed at most 5 % of days warn, of 100, 1,000 and 10,000 rows, and at most 1 % alarm."""
    shares, ordered = POPULATIONS[name]
    for size in SIZES:
        assert rates(shares, shares, size, WARN, ordered=ordered, floor=LIMITS.warn) <= 0.05
        assert rates(shares, shares, size, ALARM, ordered=ordered, floor=LIMITS.alarm) <= 0.01


@pytest.mark.parametrize("name", POPULATIONS)
def test_lower_floor_is_safe(name: str) -> None:
    """With a floor of 0.02 in place of 0.1, too, at most 5 % of quiet days warn."""
    shares, ordered = POPULATIONS[name]
    assert max(rates(shares, shares, size, WARN, ordered=ordered, floor=0.02) for size in SIZES) <= 0.05


def test_fixed_limit_would_not_do() -> None:
    """What this is for: a fixed limit of 0.1 warns on a quiet day of 100 rows more often than every fifth time."""
    shares = POPULATIONS["normal"][0]
    fixed = rates(shares, shares, 100, WARN, ordered=True, floor=0.0)
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(100, shares, size=DAYS)
    assert (psi(shares * KNOWN, drawn) > 0.1).mean() > 0.2 > fixed


def test_power_of_shift() -> None:
    """A shift of 0.2 standard deviations is a PSI of 0.04: no news with a floor of 0.1, found with one of 0.02."""
    before, after = normal(), normal(0.2)
    pair = np.array([*before * 0.999, 0.001]), np.array([*after * 0.999, 0.001])
    assert psi(before * 1e9, after * 1e9) == pytest.approx(0.04, abs=0.003)
    assert rates(*pair, 10_000, WARN, ordered=True, floor=LIMITS.warn) == 0
    found = [rates(*pair, size, WARN, ordered=True, floor=0.02) for size in SIZES]
    assert found[0] > 0.05
    assert found[1] > 0.8
    assert found[2] == 1
    half = np.array([*normal(0.5) * 0.999, 0.001])
    assert rates(pair[0], half, 1000, WARN, ordered=True, floor=LIMITS.warn) > 0.99


def test_power_of_share() -> None:
    """A category whose share goes from 10 to 25 % warns nearly always from 1,000 rows on."""
    before, after = np.array([0.5, 0.35, 0.1, 0.05]), np.array([0.4, 0.3, 0.25, 0.05])
    found = [rates(before, after, size, WARN, ordered=False, floor=LIMITS.warn) for size in SIZES]
    assert found[0] > 0.3
    assert min(found[1:]) > 0.95


def test_by_hand() -> None:
    """PSI of shares 1/2 and 1/2 against 1/4 and 3/4 is ln 3 / 4, but for the half row that each bin is given."""
    assert psi(np.array([5e8, 5e8]), np.array([2.5e8, 7.5e8])) == pytest.approx(math.log(3) / 4, abs=1e-6)
    assert psi(np.array([50.0, 50.0]), np.array([50.0, 50.0])) == 0


def test_empty_bins_are_finite() -> None:
    """Neither what the day lacks nor what the reference lacks makes PSI infinite; what both lack adds nothing."""
    assert 0 < psi(np.array([50.0, 50.0, 0.0]), np.array([100.0, 0.0, 0.0])) < 10
    assert 0 < psi(np.array([100.0, 0.0, 0.0]), np.array([0.0, 0.0, 100.0])) < 20
    assert psi(np.array([50.0, 50.0, 0.0]), np.array([50.0, 50.0, 0.0])) < 0.001


def test_rare_bins_merge() -> None:
    """Rare values are one group, ordered bins join their neighbours; missing and unseen stay alone."""
    assert merged(np.array([50.0, 1, 40, 2, 3, 0]), 100, ordered=False).tolist() == [0, 2, 1, 2, 3, 4]
    assert merged(np.array([10.0] * 10 + [0, 0]), 20, ordered=True).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 3]
    assert merged(np.array([0.0, 0, 0]), 0, ordered=True).tolist() == [0, 1, 2]


def test_days_that_are_alike() -> None:
    """What a day has once is no news for a day, however many rows it has; what rows have each for itself is."""
    days = pd.Series(np.repeat(np.arange(60), 500).astype(str))
    generator = np.random.default_rng(1)
    weather = described(pd.Series(np.repeat(generator.normal(size=60), 500)), days)
    seats = described(pd.Series(generator.normal(size=30_000)), days)
    assert weather["intraclass"] > 0.95
    assert seats["intraclass"] < 0.001
    hot = pd.Series([1.5] * 500)
    assert compare(weather | {"intraclass": 0.0}, 0, hot, 1).psi > 2
    found = compare(weather, 60, hot, 1)
    assert found.psi < found.by_chance(LEVELS[WARN])
    wide = compare(seats, 60, pd.Series(generator.normal(0.5, size=500)), 1)
    assert wide.psi > max(LIMITS.warn, wide.by_chance(LEVELS[WARN]))


def test_weeks_of_weather() -> None:
    """At most 5 % of quiet weeks and months warn, of what each day has but once; a month that is warmer does."""
    generator = np.random.default_rng(7)
    days = pd.Series(np.repeat(np.arange(120), 50).astype(str))
    known = described(pd.Series(np.repeat(generator.normal(size=120), 50)), days)

    def warned(length: int, shift: float) -> float:
        drawn = (compare(known, 120, pd.Series(np.repeat(each, 50)), length) for each in draws(length) + shift)
        return float(np.mean([each.psi > max(LIMITS.warn, each.by_chance(LEVELS[WARN])) for each in drawn]))

    def draws(length: int) -> np.ndarray:
        return generator.normal(size=(100, length))

    assert warned(7, 0.0) <= 0.05
    assert warned(28, 0.0) <= 0.05
    assert warned(28, 1.5) > 0.9


def test_unseen_is_foreseen() -> None:
    """Where one row in ten has a value of its own, new values are foreseen; where none had, they are drift."""
    many = described(pd.Series([*["a", "b"] * 450, *(f"x{n}" for n in range(100))]))
    few = described(pd.Series(["a", "b"] * 500))
    new = pd.Series([*["a", "b"] * 450, *(f"y{n}" for n in range(100))])
    assert compare(many, 0, new, 1).psi < 0.001
    assert compare(few, 0, new, 1).psi > 0.25
