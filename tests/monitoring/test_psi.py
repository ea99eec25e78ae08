"""PSI and its limits: by hand, and in a simulation of quiet days and of days that have changed."""

import math
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from samebook.environment.model_sections import Drift
from samebook.monitoring.bins import Bins, bin_numbers, expected_counts
from samebook.monitoring.finding import ALARM, WARN
from samebook.monitoring.measure import LEVELS
from samebook.monitoring.psi import Divergence, bin_groups, compare, psi
from samebook.monitoring.reference import distribution

DAYS, KNOWN = 4000, 50_000
SIZES = (100, 1000, 10_000)
LIMITS = Drift()


def zipf(values: int) -> np.ndarray:
    """Shares of 1, 1/2, 1/3 …: a few frequent values and many rare ones."""
    return 1 / np.arange(1, values + 1) / sum(1 / np.arange(1, values + 1))


def normal(shift: float = 0.0) -> np.ndarray:
    """The shares of a normal variable in ten bins, cut at its deciles before a shift in standard deviations."""
    edges = [NormalDist().inv_cdf(n / 10) - shift for n in range(1, 10)]
    return np.diff([0, *(NormalDist().cdf(edge) for edge in edges), 1])


# Shares by bin, and whether the bins are ordered. The last share is missing: a row in a thousand, or in twenty.
POPULATIONS = {
    "normal": (np.array([*normal() * 0.999, 0.001]), True),
    "three values": (np.array([0.6, 0.3, 0.05, 0.05]), False),
    "sixteen values": (np.array([*zipf(16) * 0.95, 0.05]), False),
    "a hundred values": (np.array([*zipf(100) * 0.999, 0.001]), False),
    "a thousand values": (np.array([*zipf(1000) * 0.999, 0.001]), False),
    "one rare value": (np.array([0.998, 0.001, 0.001]), False),
}


def rates(before: np.ndarray, after: np.ndarray, size: int, level: str, *, ordered: bool, floor: float) -> float:
    """The share of days of `size` rows above the limit: references have the shares `before`, the days `after`."""
    generator = np.random.default_rng(2013)
    above = []
    for counts in generator.multinomial(KNOWN, before, size=10):
        bins = reference(counts.tolist(), ordered=ordered)
        expected = expected_counts(bins)
        names = pd.Series([*range(len(before) - 1), None], dtype=float if ordered else object)
        drawn = generator.multinomial(size, after, size=DAYS // 10) @ np.eye(len(expected))[bin_numbers(names, bins)]
        groups = bin_groups(expected, min(size, KNOWN), is_ordered=ordered)
        merge = np.eye(groups.max() + 1)[groups]
        filled = int((expected @ merge > 0).sum())
        chance = Divergence(size, filled, 0.0, 1 / size + 1 / KNOWN).chance_limit(LEVELS[level])
        above.append((psi(expected @ merge, drawn @ merge) > max(floor, chance)).mean())
    return float(np.mean(above))


def reference(counts: list[int], *, ordered: bool) -> Bins:
    """The bins of a reference with these counts, the last of them missing: of numbers 0, 1, 2 …, or of words."""
    *present, missing = counts
    if ordered:
        last = len(present) - 1
        return {"edges": list(range(last)), "counts": present, "missing": missing, "range": [0, last]}
    return {"values": {str(name): count for name, count in enumerate(present) if count}, "missing": missing}


@pytest.mark.parametrize("name", POPULATIONS)
def test_false_alarms(name: str) -> None:
    """Of days of 100, 1,000 and 10,000 rows on which nothing has changed, at most 5 % warn and at most 1 % alarm."""
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
    """A fixed limit of 0.1 warns on more than one in five quiet days of 100 rows; the limit of chance does not."""
    shares = POPULATIONS["normal"][0]
    fixed = rates(shares, shares, 100, WARN, ordered=True, floor=0.0)
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(100, shares, size=DAYS)
    assert (psi(shares * KNOWN, drawn) > 0.1).mean() > 0.2 > fixed


def test_power_of_shift() -> None:
    """A shift of 0.2 standard deviations is a PSI of 0.04: a floor of 0.1 ignores it, one of 0.02 finds it."""
    before, after = normal(), normal(0.2)
    pair = np.array([*before * 0.999, 0.001]), np.array([*after * 0.999, 0.001])
    assert psi(before * 1e9, after * 1e9) == pytest.approx(0.04, abs=0.003)
    assert rates(*pair, 10_000, WARN, ordered=True, floor=LIMITS.warn) == 0
    warned = [rates(*pair, size, WARN, ordered=True, floor=0.02) for size in SIZES]
    assert warned[0] > 0.05
    assert warned[1] > 0.8
    assert warned[2] == 1
    half = np.array([*normal(0.5) * 0.999, 0.001])
    assert rates(pair[0], half, 1000, WARN, ordered=True, floor=LIMITS.warn) > 0.99


def test_power_of_share() -> None:
    """A category whose share goes from 10 to 25 % warns nearly always from 1,000 rows on."""
    before, after = np.array([0.5, 0.35, 0.1, 0.05]), np.array([0.4, 0.3, 0.25, 0.05])
    warned = [rates(before, after, size, WARN, ordered=False, floor=LIMITS.warn) for size in SIZES]
    assert warned[0] > 0.3
    assert min(warned[1:]) > 0.95


def test_by_hand() -> None:
    """PSI of shares 1/2 and 1/2 against 1/4 and 3/4 is ln 3 / 4, but for half a row in each bin."""
    assert psi(np.array([5e8, 5e8]), np.array([2.5e8, 7.5e8])) == pytest.approx(math.log(3) / 4, abs=1e-6)
    assert psi(np.array([50.0, 50.0]), np.array([50.0, 50.0])) == 0


def test_empty_bins_are_finite() -> None:
    """A bin that is empty in the day or in the reference leaves PSI finite; one that is empty in both adds nothing."""
    assert 0 < psi(np.array([50.0, 50.0, 0.0]), np.array([100.0, 0.0, 0.0])) < 10
    assert 0 < psi(np.array([100.0, 0.0, 0.0]), np.array([0.0, 0.0, 100.0])) < 20
    assert psi(np.array([50.0, 50.0, 0.0]), np.array([50.0, 50.0, 0.0])) < 0.001


def test_rare_bins_merge() -> None:
    """Rare values are one group, ordered bins join their neighbours; missing and unseen stay alone."""
    rare, ordered = np.array([50.0, 1, 40, 2, 3, 0]), np.array([10.0] * 10 + [0, 0])
    assert bin_groups(rare, 100, is_ordered=False).tolist() == [0, 2, 1, 2, 3, 4]
    assert bin_groups(ordered, 20, is_ordered=True).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 3]
    assert bin_groups(np.array([0.0, 0, 0]), 0, is_ordered=True).tolist() == [0, 1, 2]


def test_days_that_are_alike() -> None:
    """A shift in a value that all rows of a day share does not warn, however many rows; in independent rows it does."""
    days = pd.Series(np.repeat(np.arange(60), 500).astype(str))
    generator = np.random.default_rng(1)
    weather = distribution(pd.Series(np.repeat(generator.normal(size=60), 500)), days)
    seats = distribution(pd.Series(generator.normal(size=30_000)), days)
    assert weather["intraclass"] > 0.95
    assert seats["intraclass"] < 0.001
    hot = pd.Series([1.5] * 500)
    assert compare(weather | {"intraclass": 0.0}, 0, hot, 1).psi > 2
    divergence = compare(weather, 60, hot, 1)
    assert divergence.psi < divergence.chance_limit(LEVELS[WARN])
    wide = compare(seats, 60, pd.Series(generator.normal(0.5, size=500)), 1)
    assert wide.psi > max(LIMITS.warn, wide.chance_limit(LEVELS[WARN]))


def test_weeks_of_weather() -> None:
    """Of quiet weeks and months of a value that a day has once at most 5 % warn; warmer months nearly all do."""
    generator = np.random.default_rng(7)
    days = pd.Series(np.repeat(np.arange(120), 50).astype(str))
    bins = distribution(pd.Series(np.repeat(generator.normal(size=120), 50)), days)

    def warned(length: int, shift: float) -> float:
        samples = (pd.Series(np.repeat(draw, 50)) for draw in draws(length) + shift)
        results = (compare(bins, 120, sample, length) for sample in samples)
        return float(np.mean([result.psi > max(LIMITS.warn, result.chance_limit(LEVELS[WARN])) for result in results]))

    def draws(length: int) -> np.ndarray:
        return generator.normal(size=(100, length))

    assert warned(7, 0.0) <= 0.05
    assert warned(28, 0.0) <= 0.05
    assert warned(28, 1.5) > 0.9


def test_unseen_is_foreseen() -> None:
    """New values are expected if one row in ten of the reference has a value of its own; if none, they are drift."""
    many = distribution(pd.Series([*["a", "b"] * 450, *(f"x{n}" for n in range(100))]))
    few = distribution(pd.Series(["a", "b"] * 500))
    new = pd.Series([*["a", "b"] * 450, *(f"y{n}" for n in range(100))])
    assert compare(many, 0, new, 1).psi < 0.001
    assert compare(few, 0, new, 1).psi > 0.25
