"""How models are compared: the same scores everywhere, and intervals that know that flights come in groups."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from scipy.stats import chisquare
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

import flights

# Whether a larger value is better.
BETTER = {"auc": 1, "log_loss": -1, "brier": -1}
WATCHED = ("auc", "log_loss", "calibration_error")
DIGITS = 6
LEVEL = 0.95
# Draws that are in memory at once.
CHUNK = 50

type Interval = dict[str, float]


def scores(label: pd.Series, probability: pd.Series) -> dict[str, float]:
    """AUC (higher is better), log loss, Brier score and calibration error (lower is better), to six decimals.

    What lies beyond says nothing, and processors round it differently.
    """
    found = {
        "auc": roc_auc_score(label, probability),
        "log_loss": log_loss(label, probability),
        "brier": brier_score_loss(label, probability),
        "calibration_error": flights.calibration_error(label, probability),
    }
    return {name: round(float(value), DIGITS) for name, value in found.items()}


def measured(metric: str, label: pd.Series, probability: pd.Series) -> float:
    """One of the metrics in BETTER, one row a sample; NaN where it isn't defined, as AUC without one of the classes."""
    side = Side.of(label, probability, label)
    return float(side.measured(metric, np.ones((1, len(label))))[0]) if len(label) else float("nan")


def intervals(
    label: pd.Series, probability: pd.Series, *, groups: pd.Series, draws: int, seed: int
) -> dict[str, Interval]:
    """AUC, log loss and calibration error of one model: value, low and high of the 95 % interval, by metric.

    Whole groups are drawn with replacement: one row a sample, three columns of equal length, of both classes. What
    the draws are off on average is taken off the interval: a calibration error of fewer flights is a larger one.
    """
    generator = np.random.default_rng(seed)
    side = Side.of(label, probability, groups)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in WATCHED}
    for start in range(0, draws, CHUNK):
        weights = side.weights(generator, min(CHUNK, draws - start))
        for name in WATCHED:
            drawn[name].append(side.measured(name, weights))
    once = np.ones((1, len(label)))
    return {name: _centred(float(side.measured(name, once)[0]), np.concatenate(drawn[name])) for name in WATCHED}


def paired_bootstrap(
    label: pd.Series, ours: pd.Series, theirs: pd.Series, *, groups: pd.Series, draws: int, seed: int
) -> dict[str, Interval]:
    """How much better `ours` is than `theirs` on the same rows, by metric: gain, low and high of the 95 % interval.

    Whole groups are drawn with replacement, the same ones for both: one row a sample, four columns of equal length.
    A gain above 0 is an improvement, whatever the metric's direction. Efron and Tibshirani, 1993, chapters 8 and 13.
    """
    generator = np.random.default_rng(seed)
    sides = Side.of(label, ours, groups), Side.of(label, theirs, groups)

    def weights(count: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = sides[0].weights(generator, count)
        return drawn, drawn

    return _intervals(sides, weights, draws)


def group_bootstrap(
    label: pd.Series, probability: pd.Series, ours: pd.Series, *, entities: pd.Series, draws: int, seed: int
) -> dict[str, Interval]:
    """How much better the rows of `ours` (True) fare than the others, by metric, as `paired_bootstrap` tells it.

    Where each row has the score of one model only. Entities, which were assigned, are drawn with replacement on each
    side: one row a sample, four columns of equal length, and rows on both sides.
    """
    generator = np.random.default_rng(seed)
    first, second = (Side.of(label[rows], probability[rows], entities[rows]) for rows in (ours, ~ours))

    def weights(count: int) -> tuple[np.ndarray, np.ndarray]:
        return first.weights(generator, count), second.weights(generator, count)

    return _intervals((first, second), weights, draws)


def sample_ratio(ours: pd.Series, share: float) -> float:
    """The p-value of as many entities on our side (True), one row an entity, where `share` was to be.

    Chi-square: Fabijan et al., KDD 2019. With a share of 0 or 1 one entity astray is impossible.
    """
    if share in (0, 1):
        return float((ours == bool(share)).all())
    counts, expected = [ours.sum(), (~ours).sum()], [share * len(ours), (1 - share) * len(ours)]
    return float(f"{chisquare(counts, expected).pvalue:.6g}")


@dataclass(frozen=True)
class Side:
    """The rows that a model is judged on: what happened, what it said, and the number of each row's group."""

    truth: np.ndarray
    probability: np.ndarray
    group: np.ndarray
    groups: int

    @classmethod
    def of(cls, label: pd.Series, probability: pd.Series, group: pd.Series) -> Self:
        codes, names = pd.factorize(group, sort=True)
        return cls(label.to_numpy(), probability.to_numpy(dtype=float), codes, len(names))

    def weights(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """How often each row counts, one column a row, in each of `count` draws of groups, one row a draw."""
        drawn = generator.integers(self.groups, size=(count, self.groups))
        return np.stack([np.bincount(draw, minlength=self.groups)[self.group] for draw in drawn]).astype(float)

    def measured(self, name: str, weights: np.ndarray) -> np.ndarray:
        return _weighted(name, self.truth, self.probability, weights)


def _intervals(
    sides: tuple[Side, Side], weights: Callable[[int], tuple[np.ndarray, np.ndarray]], draws: int
) -> dict[str, Interval]:
    """By metric, the gain of the first side on all rows, and the interval of the draws."""
    gains: dict[str, list[np.ndarray]] = {name: [] for name in BETTER}
    for start in range(0, draws, CHUNK):
        drawn = weights(min(CHUNK, draws - start))
        for name in BETTER:
            gains[name].append(_gain(name, sides, drawn))
    once = np.ones((1, len(sides[0].truth))), np.ones((1, len(sides[1].truth)))
    return {name: _interval(_gain(name, sides, once)[0], np.concatenate(found)) for name, found in gains.items()}


def _gain(name: str, sides: tuple[Side, Side], weights: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    ours, theirs = (side.measured(name, each) for side, each in zip(sides, weights, strict=True))
    return BETTER[name] * (ours - theirs)


def _weighted(name: str, truth: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A metric for each row of weights: one row a draw, one column a sample."""
    if name == "auc":
        return _auc(truth, probability, weights)
    if name == "calibration_error":
        return _calibration_error(truth, probability, weights)
    clipped = np.clip(probability, 1e-15, 1 - 1e-15)
    logs = np.where(truth == 1, -np.log(clipped), -np.log1p(-clipped))
    loss = logs if name == "log_loss" else (probability - truth) ** 2
    return (weights * loss).sum(axis=1) / weights.sum(axis=1)


def _auc(truth: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted share of pairs, one late and one not, that are ranked right; ties count half."""
    order = np.argsort(probability, kind="stable")
    ranked, values = truth[order] == 1, probability[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    positive = np.add.reduceat(weights[:, order] * ranked, starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * ~ranked, starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return (positive * (below + negative / 2)).sum(axis=1) / pairs


def _calibration_error(truth: np.ndarray, probability: np.ndarray, weights: np.ndarray, bins: int = 10) -> np.ndarray:
    """`flights.calibration_error`, weighted."""
    bin_of = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = (probability - truth)[:, None] * (bin_of[:, None] == np.arange(bins))
    return np.abs(weights @ gaps).sum(axis=1) / weights.sum(axis=1)


def _centred(value: float, drawn: np.ndarray) -> Interval:
    """The value, and the interval of the draws around it, without their bias; none of these metrics is below 0."""
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - (np.nanmean(drawn) - value)
    told = {"value": value, "low": max(float(low), 0.0), "high": float(high)}
    return {name: round(each, DIGITS) for name, each in told.items()}


def _interval(gain: float, gains: np.ndarray) -> Interval:
    """The gain, and the interval of the draws in which both classes occur."""
    low, high = np.nanquantile(gains, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"gain": round(float(gain), DIGITS), "low": round(float(low), DIGITS), "high": round(float(high), DIGITS)}
