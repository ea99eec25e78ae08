"""Metrics of scores, and the intervals of their values and differences."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scored import sample
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from samebook.core.errors import UsageError
from samebook.monitoring import bootstrap

LABEL = pd.Series([0, 1, 0, 1])
PEAK = """
from pathlib import Path
import numpy as np, pandas as pd
from samebook.monitoring import bootstrap
def peak():
    return int(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0]) // 1024
random = np.random.default_rng(3)
frame = pd.DataFrame({'late': random.integers(2, size=600_000), 'score': random.random(600_000)})
before = peak()
days = pd.Series(np.arange(600_000) // 1000)
bootstrap.score_intervals(frame['late'], frame['score'], groups=days, draws=50, seed=1)
print(peak() - before)
"""


def gains(frame: pd.DataFrame, score: str, baseline: str) -> dict[str, dict[str, float]]:
    return bootstrap.paired_bootstrap(
        frame["label"], frame[score], frame[baseline], groups=frame["day"], draws=200, seed=1
    )


def test_scores_of_a_perfect_model() -> None:
    """A model that is always right has AUC 1 and no loss; one that always says 0.5 has AUC 0.5 and log loss ln 2."""
    perfect, half = (bootstrap.scores(LABEL, pd.Series(p)) for p in ([0.0, 1.0, 0.0, 1.0], [0.5] * 4))
    assert perfect == {"auc": 1.0, "log_loss": 0.0, "brier": 0.0, "calibration_error": 0.0}
    assert half == {"auc": 0.5, "log_loss": 0.693147, "brier": 0.25, "calibration_error": 0.0}


def test_gain_is_the_difference() -> None:
    """The gain is the difference of scikit-learn's metrics; above zero is better, whatever the metric."""
    frame = sample(500, 3)
    gain_of = gains(frame, "good", "poor")
    auc, loss = (
        metric(frame["label"], frame["good"]) - metric(frame["label"], frame["poor"])
        for metric in (roc_auc_score, log_loss)
    )
    assert gain_of["auc"]["gain"] == pytest.approx(auc, abs=1e-6)
    assert gain_of["log_loss"]["gain"] == pytest.approx(-loss, abs=1e-6)
    assert all(gain["low"] < gain["gain"] < gain["high"] for gain in gain_of.values())
    assert gain_of["auc"]["low"] > 0


def test_weighted_auc_repeats_rows() -> None:
    """A row that is drawn twice counts as two rows, ties included."""
    frame = sample(60, 4).round(1)
    weights = np.random.default_rng(0).integers(0, 4, size=60)
    repeated = frame.loc[frame.index.repeat(weights)]
    side = bootstrap.Side.of(frame["label"], frame["good"], frame["label"])
    auc = side.values("auc", weights[None].astype(float))
    assert auc[0] == pytest.approx(roc_auc_score(repeated["label"], repeated["good"]))


def test_values_have_intervals() -> None:
    """One model's metrics are those of `scores`, each inside its interval, which depends on the groups."""
    frame = sample(2000, 6)
    common = {"groups": frame["day"], "draws": 200, "seed": 1}
    intervals = bootstrap.score_intervals(frame["label"], frame["good"], **common)
    scores = bootstrap.scores(frame["label"], frame["good"])
    assert {name: interval["value"] for name, interval in intervals.items()} == {
        name: scores[name] for name in intervals
    }
    assert list(intervals) == ["auc", "log_loss", "calibration_error"]
    assert all(interval["low"] < interval["value"] < interval["high"] for interval in intervals.values())
    alone = bootstrap.score_intervals(frame["label"], frame["good"], **common | {"groups": frame["day"] // 5})
    assert alone["auc"] != intervals["auc"]


@pytest.mark.parametrize(
    ("late", "probability", "expected"),
    [
        ([0, 1], [0.0, 1.0], 0.0),  # all said, all true
        ([1, 0], [0.0, 1.0], 1.0),  # all said, all wrong
        ([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0.0),  # half of "one in two" is late
        ([0, 0, 0, 1], [0.55, 0.55, 0.05, 0.05], 0.5 * 0.55 + 0.5 * 0.45),
    ],
)
def test_calibration_error(late: list[int], probability: list[float], expected: float) -> None:
    """The calibration error is the rows' mean distance of predicted from observed rate, bin by bin."""
    assert bootstrap.measured("calibration_error", pd.Series(late), pd.Series(probability)) == pytest.approx(expected)


def test_calibration_error_is_covered() -> None:
    """In 60 repetitions at least 85 % of the intervals hold a calibration error of 0.1, in spite of few rows."""
    covered = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        probability = pd.Series(draw.uniform(0.15, 0.85, size=400))
        label = pd.Series((draw.uniform(size=400) < probability + 0.1).astype(int))
        interval = bootstrap.score_intervals(label, probability, groups=pd.Series(label.index), draws=100, seed=seed)[
            "calibration_error"
        ]
        covered += interval["low"] <= 0.1 <= interval["high"]
    assert covered >= 51


def test_same_model_gains_nothing() -> None:
    """Against itself a model gains exactly nothing, in every draw."""
    gain_of = gains(sample(300, 5), "good", "good")
    assert all(gain == {"gain": 0.0, "low": 0.0, "high": 0.0} for gain in gain_of.values())


def test_interval_covers_the_truth() -> None:
    """In 40 repetitions about 95 % of the intervals hold the difference that a large sample has."""
    truth = gains(sample(40_000, 0), "good", "poor")["brier"]["gain"]
    intervals = [gains(sample(400, seed), "good", "poor")["brier"] for seed in range(1, 41)]
    assert sum(interval["low"] <= truth <= interval["high"] for interval in intervals) >= 34


def test_measured_as_by_others() -> None:
    """Each metric has the value that scikit-learn gives; AUC of one class is not defined."""
    frame = sample(300, 6)
    for name, metric in {"auc": roc_auc_score, "log_loss": log_loss, "brier": brier_score_loss}.items():
        value = bootstrap.measured(name, frame["label"], frame["good"])
        assert value == pytest.approx(metric(frame["label"], frame["good"]), abs=1e-12)
        assert bootstrap.scores(frame["label"], frame["good"])[name] == round(value, 6)
    late = frame[frame["label"] == 1]
    assert np.isnan(bootstrap.measured("auc", late["label"], late["good"]))
    assert np.isnan(bootstrap.measured("brier", late["label"].head(0), late["good"].head(0)))


@pytest.mark.parametrize(
    ("label", "score", "groups", "message"),
    [
        ([0, 1], [0.5], [1, 1], "found 2 labels, 1 scores and 2 groups"),
        ([0, 2], [0.5, 0.5], [1, 1], "found a label 2"),
        ([0, np.nan], [0.5, 0.5], [1, 1], "found a label nan"),
        ([0, 1], [0.5, 1.5], [1, 1], "without a score from 0 to 1"),
        ([0, 1], [0.5, np.nan], [1, 1], "without a score from 0 to 1"),
        ([0, 1], [0.5, 0.5], [1, None], "without a group"),
    ],
)
def test_rows_must_be_whole(label: list[float], score: list[float], groups: list[object], message: str) -> None:
    """Labels other than 0 and 1, scores that are no probability, and rows without either are refused."""
    with pytest.raises(UsageError, match=message):
        bootstrap.score_intervals(pd.Series(label), pd.Series(score), groups=pd.Series(groups))


@pytest.mark.parametrize("weights", [1, 500, 7 * 500, 1 << 22])
def test_draws_are_the_same(monkeypatch: pytest.MonkeyPatch, weights: int) -> None:
    """An interval has the same digits, however many draws are in memory at once."""
    frame = sample(500, 3)
    expected = gains(frame, "good", "poor"), of_one(frame)
    monkeypatch.setattr(bootstrap, "WEIGHTS", weights)
    assert (gains(frame, "good", "poor"), of_one(frame)) == expected


def of_one(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    return bootstrap.score_intervals(frame["label"], frame["good"], groups=frame["day"], draws=120, seed=1)


def test_memory_of_draws() -> None:
    """Memory does not grow with rows times draws: 600,000 rows take less than 50 of their draws, 240 MB, would."""
    program = [sys.executable, "-c", PEAK]
    assert int(subprocess.run(program, capture_output=True, text=True, check=True).stdout) < 220


def test_difference_of_any_metric() -> None:
    """The difference is that of the function's own metrics, of numbers and of classes; equal answers differ
    nowhere, and of rows that go together all are drawn or none.
    """
    random = np.random.default_rng(5)
    label, days = pd.Series(random.normal(size=200)), pd.Series(np.arange(200) // 20)
    near, far = label + random.normal(0, 0.1, 200), label + random.normal(0, 1, 200)

    def measure(label: pd.Series, said: pd.Series) -> dict[str, float]:
        return {"error": float((said - label).abs().mean()), "days": float(days[label.index].nunique())}

    found = bootstrap.difference_intervals(measure, label, near, far, groups=days, draws=100, seed=1)
    wrong = measure(label, near)["error"] - measure(label, far)["error"]
    assert found["error"]["difference"] == pytest.approx(wrong, abs=1e-6)
    assert found["error"]["low"] < wrong < found["error"]["high"] < 0
    same = bootstrap.difference_intervals(measure, label, near, near, groups=days.astype(str), draws=20)
    assert same["error"] == {"difference": 0, "low": 0, "high": 0}
    seen = list[int]()

    def rows(label: pd.Series, _: pd.Series) -> dict[str, float]:
        seen.append(len(label) if all(label.index.value_counts().groupby(days).nunique() == 1) else -1)
        return {}

    bootstrap.difference_intervals(rows, label, near, far, groups=days, draws=10)
    assert {*seen} == {200}
