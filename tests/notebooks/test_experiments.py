"""How models are compared: scores, and the interval of their difference."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import experiments

LABEL = pd.Series([0, 1, 0, 1])


def sample(rows: int, seed: int) -> pd.DataFrame:
    """Labels, a score that knows something of them, one that knows less, and the day of each."""
    draw = np.random.default_rng(seed)
    label = draw.integers(2, size=rows)
    good, poor = (np.clip(0.5 + (label - 0.5) * by + draw.normal(0, 0.15, rows), 0.01, 0.99) for by in (0.3, 0.1))
    return pd.DataFrame({"label": label, "good": good, "poor": poor, "day": draw.integers(14, size=rows)})


def compared(frame: pd.DataFrame, ours: str, theirs: str) -> dict[str, dict[str, float]]:
    return experiments.paired_bootstrap(
        frame["label"], frame[ours], frame[theirs], groups=frame["day"], draws=200, seed=1
    )


def test_scores_of_a_perfect_model() -> None:
    """Who is always right has AUC 1 and no loss; who always says one half has AUC 0.5 and log loss ln 2."""
    perfect, half = (experiments.scores(LABEL, pd.Series(p)) for p in ([0.0, 1.0, 0.0, 1.0], [0.5] * 4))
    assert perfect == {"auc": 1.0, "log_loss": 0.0, "brier": 0.0, "calibration_error": 0.0}
    assert half == {"auc": 0.5, "log_loss": 0.693147, "brier": 0.25, "calibration_error": 0.0}


def test_gain_is_the_difference() -> None:
    """The gain is what scikit-learn's metrics differ by; above zero is better, whatever the metric."""
    frame = sample(500, 3)
    found = compared(frame, "good", "poor")
    auc, loss = (
        metric(frame["label"], frame["good"]) - metric(frame["label"], frame["poor"])
        for metric in (roc_auc_score, log_loss)
    )
    assert found["auc"]["gain"] == pytest.approx(auc, abs=1e-6)
    assert found["log_loss"]["gain"] == pytest.approx(-loss, abs=1e-6)
    assert all(each["low"] < each["gain"] < each["high"] for each in found.values())
    assert found["auc"]["low"] > 0


def test_weighted_auc_repeats_rows() -> None:
    """A row that is drawn twice counts as two rows, ties included."""
    frame = sample(60, 4).round(1)
    weights = np.random.default_rng(0).integers(0, 4, size=60)
    repeated = frame.loc[frame.index.repeat(weights)]
    found = experiments._auc(frame["label"].to_numpy(), frame["good"].to_numpy(), weights[None].astype(float))
    assert found[0] == pytest.approx(roc_auc_score(repeated["label"], repeated["good"]))


def test_same_model_gains_nothing() -> None:
    """Against itself a model gains exactly nothing, in every draw."""
    found = compared(sample(300, 5), "good", "good")
    assert all(each == {"gain": 0.0, "low": 0.0, "high": 0.0} for each in found.values())


def test_interval_covers_the_truth() -> None:
    """In 40 repetitions about 95 % of the intervals hold the difference that a large sample has."""
    truth = compared(sample(40_000, 0), "good", "poor")["brier"]["gain"]
    found = [compared(sample(400, seed), "good", "poor")["brier"] for seed in range(1, 41)]
    assert sum(each["low"] <= truth <= each["high"] for each in found) >= 34
