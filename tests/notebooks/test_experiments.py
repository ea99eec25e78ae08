"""Comparison of models: scores, and the interval of their difference."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

import ab_tests
import experiments
import samebook

PEAK = """
import sys
sys.path.append(sys.argv[1])
from pathlib import Path
import experiments, numpy as np, pandas as pd
def peak():
    return int(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0]) // 1024
random = np.random.default_rng(3)
frame = pd.DataFrame({'late': random.integers(2, size=600_000), 'score': random.random(600_000)})
before = peak()
days = pd.Series(np.arange(600_000) // 1000)
experiments.intervals(frame['late'], frame['score'], groups=days, draws=50, seed=1)
print(peak() - before)
"""
LABEL = pd.Series([0, 1, 0, 1])


def sample(rows: int, seed: int) -> pd.DataFrame:
    """Labels, a good and a poor score of them, and the day of each row."""
    draw = np.random.default_rng(seed)
    label = draw.integers(2, size=rows)
    good, poor = (np.clip(0.5 + (label - 0.5) * by + draw.normal(0, 0.15, rows), 0.01, 0.99) for by in (0.3, 0.1))
    return pd.DataFrame({"label": label, "good": good, "poor": poor, "day": draw.integers(14, size=rows)})


def gains(frame: pd.DataFrame, score: str, baseline: str) -> dict[str, dict[str, float]]:
    return experiments.paired_bootstrap(
        frame["label"], frame[score], frame[baseline], groups=frame["day"], draws=200, seed=1
    )


def test_scores_of_a_perfect_model() -> None:
    """A model that is always right has AUC 1 and no loss; one that always says 0.5 has AUC 0.5 and log loss ln 2."""
    perfect, half = (experiments.scores(LABEL, pd.Series(p)) for p in ([0.0, 1.0, 0.0, 1.0], [0.5] * 4))
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


@pytest.mark.parametrize("weights", [1, 500, 7 * 500, 1 << 22])
def test_draws_are_the_same(monkeypatch: pytest.MonkeyPatch, weights: int) -> None:
    """An interval has the same digits, however many draws are in memory at once."""
    frame = sample(500, 3)
    expected = gains(frame, "good", "poor"), of_one(frame)
    monkeypatch.setattr(experiments, "WEIGHTS", weights)
    assert (gains(frame, "good", "poor"), of_one(frame)) == expected


def of_one(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    return experiments.intervals(frame["label"], frame["good"], groups=frame["day"], draws=120, seed=1)


def test_memory_of_draws() -> None:
    """Memory does not grow with rows times draws: 600,000 rows take less than 50 of their draws, 240 MB, would."""
    program = [sys.executable, "-c", PEAK, str(Path(experiments.__file__).parent)]
    assert int(subprocess.run(program, capture_output=True, text=True, check=True).stdout) < 220


def test_weighted_auc_repeats_rows() -> None:
    """A row that is drawn twice counts as two rows, ties included."""
    frame = sample(60, 4).round(1)
    weights = np.random.default_rng(0).integers(0, 4, size=60)
    repeated = frame.loc[frame.index.repeat(weights)]
    auc = experiments._auc(frame["label"].to_numpy(), frame["good"].to_numpy(), weights[None].astype(float))
    assert auc[0] == pytest.approx(roc_auc_score(repeated["label"], repeated["good"]))


def test_values_have_intervals() -> None:
    """One model's metrics are those of `scores`, each inside its interval, which depends on the groups."""
    frame = sample(2000, 6)
    common = {"groups": frame["day"], "draws": 200, "seed": 1}
    intervals = experiments.intervals(frame["label"], frame["good"], **common)
    scores = experiments.scores(frame["label"], frame["good"])
    assert {name: interval["value"] for name, interval in intervals.items()} == {
        name: scores[name] for name in intervals
    }
    assert list(intervals) == ["auc", "log_loss", "calibration_error"]
    assert all(interval["low"] < interval["value"] < interval["high"] for interval in intervals.values())
    alone = experiments.intervals(frame["label"], frame["good"], **common | {"groups": frame["day"] // 5})
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
    """The calibration error is the flights' mean distance of predicted from observed rate, bin by bin."""
    assert experiments.measured("calibration_error", pd.Series(late), pd.Series(probability)) == pytest.approx(expected)


def test_calibration_error_is_covered() -> None:
    """In 60 repetitions at least 85 % of the intervals hold a calibration error of 0.1, in spite of few rows."""
    covered = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        probability = pd.Series(draw.uniform(0.15, 0.85, size=400))
        label = pd.Series((draw.uniform(size=400) < probability + 0.1).astype(int))
        interval = experiments.intervals(label, probability, groups=pd.Series(label.index), draws=100, seed=seed)[
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


def group_gain(
    frame: pd.DataFrame, is_challenger: pd.Series, column: str = "good", entity: str = "entity"
) -> dict[str, float]:
    label, score = frame["label"], frame[column]
    common = {"entities": frame[entity], "draws": 200, "seed": 1}
    return ab_tests.group_bootstrap(label, score, is_challenger, **common)["log_loss"]


def test_measured_as_by_others() -> None:
    """Each metric has the value that scikit-learn gives; AUC of one class is not defined."""
    frame = sample(300, 6)
    for name, metric in {"auc": roc_auc_score, "log_loss": log_loss, "brier": brier_score_loss}.items():
        value = experiments.measured(name, frame["label"], frame["good"])
        assert value == pytest.approx(metric(frame["label"], frame["good"]), abs=1e-12)
        assert experiments.scores(frame["label"], frame["good"])[name] == round(value, 6)
    late = frame[frame["label"] == 1]
    assert np.isnan(experiments.measured("auc", late["label"], late["good"]))
    assert np.isnan(experiments.measured("brier", late["label"].head(0), late["good"].head(0)))


def test_groups_differ_by_their_metric() -> None:
    """The gain of two groups is the difference of their metric, and a real effect has an interval above zero."""
    frame = sample(2000, 7).assign(entity=range(2000))
    is_challenger = pd.Series(np.arange(2000) % 2 == 0)
    mixed = frame.assign(score=frame["good"].where(is_challenger, frame["poor"]))
    gain = group_gain(mixed, is_challenger, "score")
    losses = [log_loss(part["label"], part["score"]) for part in (mixed[is_challenger], mixed[~is_challenger])]
    assert gain["gain"] == pytest.approx(losses[1] - losses[0], abs=1e-6)
    assert 0 < gain["low"] < gain["gain"] < gain["high"]


def test_entities_are_drawn_whole() -> None:
    """Rows of few entities say less than as many independent rows: the interval is wider."""
    frame = pd.concat([sample(200, 8).assign(entity=range(200))] * 10, ignore_index=True).assign(row=range(2000))
    is_challenger = frame["entity"] % 2 == 0
    whole, alone = (group_gain(frame, is_challenger, entity=name) for name in ("entity", "row"))
    assert whole["high"] - whole["low"] > 2 * (alone["high"] - alone["low"])


@pytest.mark.parametrize("entities", [1000, 250])
def test_same_model_in_two_groups(entities: int) -> None:
    """A/A: of 300 assignments of one model's scores about 5 % have an interval without zero, not more."""
    frame = sample(1000, 9)
    frame["entity"] = np.random.default_rng(9).integers(entities, size=1000)
    gains = []
    for salt in range(300):
        is_challenger = pd.Series(samebook.assign(frame["entity"], salt=f"{salt}", share=0.5)) == "challenger"
        gains.append(group_gain(frame, is_challenger))
    assert 3 <= sum(gain["low"] > 0 or gain["high"] < 0 for gain in gains) <= 27


def test_sample_ratio() -> None:
    """A ratio as planned is likely, another one is not, and one entity astray from a share of 0 or 1 is impossible."""
    is_challenger = pd.Series([True] * 500 + [False] * 500)
    assert ab_tests.sample_ratio(is_challenger, 0.5) == 1.0
    assert ab_tests.sample_ratio(is_challenger, 0.48) > 0.1
    assert ab_tests.sample_ratio(is_challenger, 0.4) < 1e-9
    assert [ab_tests.sample_ratio(is_challenger[:500], share) for share in (0.0, 1.0)] == [0.0, 1.0]
    assert [ab_tests.sample_ratio(is_challenger[499:], share) for share in (0.0, 1.0)] == [0.0, 0.0]


def test_sample_ratio_seldom_cries() -> None:
    """Of 1,000 sound assignments hardly one is called wrong at p < 0.001."""
    entities = range(500)
    chances = [
        ab_tests.sample_ratio(pd.Series(samebook.assign(entities, salt=f"{salt}", share=0.3)) == "challenger", 0.3)
        for salt in range(1000)
    ]
    assert sum(chance < 0.001 for chance in chances) <= 4
    assert sum(chance < 0.05 for chance in chances) == pytest.approx(50, abs=25)


def test_threads_are_left_alone() -> None:
    """The helpers set no number of threads: xgboost shares OpenMP with scikit-learn, and the receipt has the number."""
    assert xgboost.get_config()["nthread"] == 0
