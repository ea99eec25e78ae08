"""Metrics of a binary classifier, and their bootstrap intervals, which draw whole groups of rows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd

from samebook.core.errors import UsageError

# 1 where a larger value is better, -1 where a smaller one is.
BETTER = {"auc": 1, "log_loss": -1, "brier": -1}
WATCHED = ("auc", "log_loss", "calibration_error")
DIGITS = 6
LEVEL = 0.95
# The draws in memory at once: so many, and of more rows fewer, so that their weights take 32 MB at most, or one draw.
CHUNK, WEIGHTS = 50, 1 << 22

type Interval = dict[str, float]


def scores(label: pd.Series, score: pd.Series) -> dict[str, float]:
    """AUC (higher is better), log loss, Brier score and calibration error (lower is better), to six decimals.

    Processors round further decimals differently, and those say nothing.
    """
    return {name: round(measured(name, label, score), DIGITS) for name in (*BETTER, "calibration_error")}


def measured(metric: str, label: pd.Series, score: pd.Series) -> float:
    """The value of a metric in BETTER, one row a sample; NaN where it is not defined, as AUC of one class is not."""
    side = Side.of(label, score, label)
    return float(side.values(metric, np.ones((1, len(label))))[0]) if len(label) else float("nan")


def score_intervals(
    label: pd.Series, score: pd.Series, *, groups: pd.Series, draws: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """AUC, log loss and calibration error of one model: value, low and high of the 95 % interval, by metric.

    Whole groups are drawn with replacement: one row a sample, three columns of equal length, of both classes. The
    mean error of the draws is subtracted from the interval, because fewer rows have a larger calibration error.
    """
    generator = np.random.default_rng(seed)
    side = Side.of(label, score, groups)
    values: dict[str, list[np.ndarray]] = {name: [] for name in WATCHED}
    for count in _chunks(draws, len(label)):
        weights = side.weights(generator, count)
        for name in WATCHED:
            values[name].append(side.values(name, weights))
    all_rows = np.ones((1, len(label)))
    return {name: _centred(float(side.values(name, all_rows)[0]), np.concatenate(values[name])) for name in WATCHED}


def paired_bootstrap(
    label: pd.Series, score: pd.Series, baseline: pd.Series, *, groups: pd.Series, draws: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """The gain of `score` over `baseline` on the same rows, by metric: gain, low and high of the 95 % interval.

    Whole groups are drawn with replacement, the same ones for both: one row a sample, four columns of equal length.
    A gain above 0 is an improvement, whatever the metric's direction. Efron and Tibshirani, 1993, chapters 8 and 13.
    """
    generator = np.random.default_rng(seed)
    sides = Side.of(label, score, groups), Side.of(label, baseline, groups)

    def weights(count: int) -> tuple[np.ndarray, np.ndarray]:
        shared = sides[0].weights(generator, count)
        return shared, shared

    return gains_of(sides, weights, draws)


def difference_intervals(
    measure: Callable[[pd.Series, pd.Series], dict[str, float]],
    label: pd.Series,
    first: pd.Series,
    second: pd.Series,
    *,
    groups: pd.Series | pd.Index,
    draws: int = 200,
    seed: int = 0,
) -> dict[str, Interval]:
    """The difference of what two models of any kind say of the same rows, first less second, in each metric that
    `measure(label, prediction)` gives: difference, low and high of the 95 % interval.

    Whole groups are drawn with replacement, the same ones for both. A metric that a draw does not have, as one of two
    classes, leaves that draw out. Each draw measures all rows once more: 200 take 400 calls.
    """
    generator, rows = np.random.default_rng(seed), pd.Series(range(len(label)))
    members = [part.to_numpy() for _, part in rows.groupby(pd.factorize(groups)[0])]

    def differences(places: np.ndarray) -> dict[str, float]:
        ahead, behind = (measure(label.iloc[places], said.iloc[places]) for said in (first, second))
        return {name: ahead[name] - behind[name] for name in ahead.keys() & behind.keys()}

    found = differences(rows.to_numpy())
    drawn = (generator.integers(len(members), size=len(members)) for _ in range(draws))
    values = pd.DataFrame([differences(np.concatenate([members[place] for place in draw])) for draw in drawn])
    ends = {name: values[name].quantile([(1 - LEVEL) / 2, (1 + LEVEL) / 2]) for name in found if name in values}
    return {
        name: {"difference": round(found[name], DIGITS), "low": round(low, DIGITS), "high": round(high, DIGITS)}
        for name, (low, high) in sorted(ends.items())
    }


@dataclass(frozen=True)
class Side:
    """The rows that a model is measured on: of each the label, 0 or 1, the score and the number of its group."""

    truth: np.ndarray
    score: np.ndarray
    group: np.ndarray
    groups: int

    @classmethod
    def of(cls, label: pd.Series, score: pd.Series, group: pd.Series) -> Self:
        codes, names = pd.factorize(group, sort=True)
        truth, values = label.to_numpy(dtype=float), score.to_numpy(dtype=float)
        if not len(truth) == len(values) == len(codes):
            raise UsageError(
                f"found {len(truth)} labels, {len(values)} scores and {len(codes)} groups; expected as many",
                mend="take all three from the same rows of one frame",
            )
        if not np.isin(truth, (0, 1)).all():
            found = truth[~np.isin(truth, (0, 1))][0]
            raise UsageError(f"found a label {found:g}; expected 0 and 1 alone", mend="(label == 1).astype(int)")
        if not ((values >= 0) & (values <= 1)).all() or (codes < 0).any():
            raise UsageError(
                "found a row without a group, or without a score from 0 to 1; expected one of each",
                mend="score.between(0, 1) & groups.notna() selects the rows",
            )
        return cls(truth, values, codes, len(names))

    def weights(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """The weights of the rows (columns) in `count` draws of groups (rows): how often each row is drawn."""
        draws = generator.integers(self.groups, size=(count, self.groups))
        return np.stack([np.bincount(draw, minlength=self.groups)[self.group] for draw in draws]).astype(float)

    def values(self, name: str, weights: np.ndarray) -> np.ndarray:
        """The weighted metric of each draw; `weights` has one row a draw and one column a sample."""
        if name == "auc":
            return _auc(*self.ranking, weights)
        if name == "calibration_error":
            return _calibration_error(self.truth, self.score, weights)
        loss = self.log_loss if name == "log_loss" else (self.score - self.truth) ** 2
        return (weights * loss).sum(axis=1) / weights.sum(axis=1)

    # The same in each draw, and what takes longest of many rows: found once.
    @cached_property
    def ranking(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows from the lowest score up: their places, whether each one's label is 1, where a new score begins."""
        order = np.argsort(self.score, kind="stable")
        values = self.score[order]
        return order, self.truth[order] == 1, np.flatnonzero(np.r_[True, values[1:] != values[:-1]])

    @cached_property
    def log_loss(self) -> np.ndarray:
        """The logarithmic loss of each row."""
        clipped = np.clip(self.score, 1e-15, 1 - 1e-15)
        return np.where(self.truth == 1, -np.log(clipped), -np.log1p(-clipped))


def gains_of(
    sides: tuple[Side, Side], weights: Callable[[int], tuple[np.ndarray, np.ndarray]], draws: int
) -> dict[str, Interval]:
    """By metric, the gain of the first side on all rows, and the interval of the draws."""
    gains: dict[str, list[np.ndarray]] = {name: [] for name in BETTER}
    for count in _chunks(draws, max(len(side.truth) for side in sides)):
        chunk = weights(count)
        for name in BETTER:
            gains[name].append(_gain(name, sides, chunk))
    all_rows = np.ones((1, len(sides[0].truth))), np.ones((1, len(sides[1].truth)))
    return {name: _interval(_gain(name, sides, all_rows)[0], np.concatenate(gains[name])) for name in BETTER}


def _chunks(draws: int, rows: int) -> list[int]:
    """The numbers of draws that are in memory at once. The draws are the same, however they are divided."""
    size = max(1, min(CHUNK, WEIGHTS // max(rows, 1)))
    return [min(size, draws - start) for start in range(0, draws, size)]


def _gain(name: str, sides: tuple[Side, Side], weights: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    first, second = (side.values(name, weight) for side, weight in zip(sides, weights, strict=True))
    return BETTER[name] * (first - second)


def _auc(order: np.ndarray, ranked: np.ndarray, starts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted share of pairs of a positive and a negative row that are ranked right; ties count half."""
    positive = np.add.reduceat(weights[:, order] * ranked, starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * ~ranked, starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return (positive * (below + negative / 2)).sum(axis=1) / pairs


def _calibration_error(truth: np.ndarray, score: np.ndarray, weights: np.ndarray, bins: int = 10) -> np.ndarray:
    """The weighted mean distance of predicted and observed rates, in bins of equal width: Naeini et al., AAAI 2015."""
    bin_of = np.minimum((score * bins).astype(int), bins - 1)
    gap = score - truth
    gaps = np.stack([np.bincount(bin_of, row * gap, bins) for row in weights])
    return np.abs(gaps).sum(axis=1) / weights.sum(axis=1)


def _centred(value: float, values: np.ndarray) -> Interval:
    """The value, and the interval of the draws around it, without their bias; none of these metrics is below 0."""
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - (np.nanmean(values) - value)
    interval = {"value": value, "low": max(float(low), 0.0), "high": float(high)}
    return {name: round(number, DIGITS) for name, number in interval.items()}


def _interval(gain: float, gains: np.ndarray) -> Interval:
    """The gain, and the interval of the draws that have both classes."""
    low, high = np.nanquantile(gains, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"gain": round(float(gain), DIGITS), "low": round(float(low), DIGITS), "high": round(float(high), DIGITS)}
