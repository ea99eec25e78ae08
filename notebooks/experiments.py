"""How models are compared: the same scores everywhere, and intervals that know that flights come in groups."""

import numpy as np
import pandas as pd
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

import flights

# Whether a larger value is better.
BETTER = {"auc": 1, "log_loss": -1, "brier": -1}
DIGITS = 6
LEVEL = 0.95
# Draws that are in memory at once.
CHUNK = 50


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


def paired_bootstrap(
    label: pd.Series, ours: pd.Series, theirs: pd.Series, *, groups: pd.Series, draws: int, seed: int
) -> dict[str, dict[str, float]]:
    """How much better `ours` is than `theirs` on the same rows, by metric: gain, low and high of the 95 % interval.

    Whole groups are drawn with replacement, the same ones for both: one row a sample, four columns of equal length.
    A gain above 0 is an improvement, whatever the metric's direction. Efron and Tibshirani, 1993, chapters 8 and 13.
    """
    codes, names = pd.factorize(groups, sort=True)
    drawn = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)))
    truth, sides = label.to_numpy(), (ours.to_numpy(dtype=float), theirs.to_numpy(dtype=float))
    gains = {name: _gains(name, truth, sides, codes, drawn) for name in BETTER}
    return {name: _interval(name, truth, sides, found) for name, found in gains.items()}


def _gains(
    name: str, truth: np.ndarray, sides: tuple[np.ndarray, np.ndarray], codes: np.ndarray, drawn: np.ndarray
) -> np.ndarray:
    """The gain in each draw; each row counts as often as its group was drawn."""
    found = []
    for chunk in np.array_split(drawn, -(-len(drawn) // CHUNK)):
        weights = np.stack([np.bincount(draw, minlength=drawn.shape[1])[codes] for draw in chunk]).astype(float)
        ours, theirs = (_weighted(name, truth, side, weights) for side in sides)
        found.append(BETTER[name] * (ours - theirs))
    return np.concatenate(found)


def _weighted(name: str, truth: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A metric for each row of weights: one row a draw, one column a sample."""
    if name == "auc":
        return _auc(truth, probability, weights)
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


def _interval(
    name: str, truth: np.ndarray, sides: tuple[np.ndarray, np.ndarray], gains: np.ndarray
) -> dict[str, float]:
    """The gain on all rows, and the interval of the draws in which both classes occur."""
    once = np.ones((1, len(truth)))
    gain = BETTER[name] * (_weighted(name, truth, sides[0], once) - _weighted(name, truth, sides[1], once))[0]
    low, high = np.nanquantile(gains, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"gain": round(float(gain), DIGITS), "low": round(float(low), DIGITS), "high": round(float(high), DIGITS)}
