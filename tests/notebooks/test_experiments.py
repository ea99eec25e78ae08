"""How models are compared: scores, and the interval of their difference."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import experiments
import samebook

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


def test_values_have_intervals() -> None:
    """One model's metrics are those of `scores`, each inside its interval, which depends on what is drawn."""
    frame = sample(2000, 6)
    common = {"groups": frame["day"], "draws": 200, "seed": 1}
    found = experiments.intervals(frame["label"], frame["good"], **common)
    told = experiments.scores(frame["label"], frame["good"])
    assert {name: each["value"] for name, each in found.items()} == {name: told[name] for name in found}
    assert list(found) == ["auc", "log_loss", "calibration_error"]
    assert all(each["low"] < each["value"] < each["high"] for each in found.values())
    alone = experiments.intervals(frame["label"], frame["good"], **common | {"groups": frame["day"] // 5})
    assert alone["auc"] != found["auc"]


def test_calibration_error_is_covered() -> None:
    """In 60 repetitions at least 85 % of the intervals hold a calibration error of 0.1, few though the rows are."""
    held = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        probability = pd.Series(draw.uniform(0.15, 0.85, size=400))
        label = pd.Series((draw.uniform(size=400) < probability + 0.1).astype(int))
        each = experiments.intervals(label, probability, groups=pd.Series(label.index), draws=100, seed=seed)
        held += each["calibration_error"]["low"] <= 0.1 <= each["calibration_error"]["high"]
    assert held >= 51


def test_same_model_gains_nothing() -> None:
    """Against itself a model gains exactly nothing, in every draw."""
    found = compared(sample(300, 5), "good", "good")
    assert all(each == {"gain": 0.0, "low": 0.0, "high": 0.0} for each in found.values())


def test_interval_covers_the_truth() -> None:
    """In 40 repetitions about 95 % of the intervals hold the difference that a large sample has."""
    truth = compared(sample(40_000, 0), "good", "poor")["brier"]["gain"]
    found = [compared(sample(400, seed), "good", "poor")["brier"] for seed in range(1, 41)]
    assert sum(each["low"] <= truth <= each["high"] for each in found) >= 34


def grouped(frame: pd.DataFrame, ours: pd.Series, column: str = "good", entity: str = "entity") -> dict[str, float]:
    return experiments.group_bootstrap(frame["label"], frame[column], ours, entities=frame[entity], draws=200, seed=1)[
        "log_loss"
    ]


def test_measured_as_scores() -> None:
    """One metric alone is what all of them say together; AUC of one class isn't defined."""
    frame = sample(300, 6)
    for name in experiments.BETTER:
        found = experiments.measured(name, frame["label"], frame["good"])
        assert found == pytest.approx(experiments.scores(frame["label"], frame["good"])[name], abs=1e-6)
    late = frame[frame["label"] == 1]
    assert np.isnan(experiments.measured("auc", late["label"], late["good"]))
    assert np.isnan(experiments.measured("brier", late["label"].head(0), late["good"].head(0)))


def test_groups_differ_by_their_metric() -> None:
    """Two groups' gain is the difference of their metric, and an effect that is there is found."""
    frame = sample(2000, 7).assign(entity=range(2000))
    ours = pd.Series(np.arange(2000) % 2 == 0)
    mixed = frame.assign(score=frame["good"].where(ours, frame["poor"]))
    found = grouped(mixed, ours, "score")
    losses = [log_loss(part["label"], part["score"]) for part in (mixed[ours], mixed[~ours])]
    assert found["gain"] == pytest.approx(losses[1] - losses[0], abs=1e-6)
    assert 0 < found["low"] < found["gain"] < found["high"]


def test_entities_are_drawn_whole() -> None:
    """Rows that come in entities say less than as many rows of their own: the interval is wider."""
    frame = pd.concat([sample(200, 8).assign(entity=range(200))] * 10, ignore_index=True).assign(row=range(2000))
    ours = frame["entity"] % 2 == 0
    whole, alone = (grouped(frame, ours, entity=name) for name in ("entity", "row"))
    assert whole["high"] - whole["low"] > 2 * (alone["high"] - alone["low"])


@pytest.mark.parametrize("entities", [1000, 250])
def test_same_model_in_two_groups(entities: int) -> None:
    """A/A: of 300 assignments of one model's scores about 5 % have an interval without zero, not more."""
    frame = sample(1000, 9)
    frame["entity"] = np.random.default_rng(9).integers(entities, size=1000)
    found = []
    for salt in range(300):
        ours = pd.Series(samebook.assign(frame["entity"], salt=f"{salt}", share=0.5)) == "challenger"
        found.append(grouped(frame, ours))
    assert 3 <= sum(each["low"] > 0 or each["high"] < 0 for each in found) <= 27


def test_sample_ratio() -> None:
    """A ratio as planned is likely, one that isn't is not, and one astray from a share of 0 or 1 is impossible."""
    ours = pd.Series([True] * 500 + [False] * 500)
    assert experiments.sample_ratio(ours, 0.5) == 1.0
    assert experiments.sample_ratio(ours, 0.48) > 0.1
    assert experiments.sample_ratio(ours, 0.4) < 1e-9
    assert [experiments.sample_ratio(ours[:500], share) for share in (0.0, 1.0)] == [0.0, 1.0]
    assert [experiments.sample_ratio(ours[499:], share) for share in (0.0, 1.0)] == [0.0, 0.0]


def test_sample_ratio_seldom_cries() -> None:
    """Of 1,000 sound assignments hardly one is called wrong at p < 0.001."""
    entities = range(500)
    found = [
        experiments.sample_ratio(pd.Series(samebook.assign(entities, salt=f"{salt}", share=0.3)) == "challenger", 0.3)
        for salt in range(1000)
    ]
    assert sum(chance < 0.001 for chance in found) <= 4
    assert sum(chance < 0.05 for chance in found) == pytest.approx(50, abs=25)
