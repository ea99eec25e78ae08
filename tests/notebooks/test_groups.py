"""Comparison of models that each decide for a part of the flights: the interval of their difference."""

import numpy as np
import pandas as pd
import pytest
import xgboost
from scored import sample
from sklearn.metrics import log_loss

import ab_tests
import samebook


def group_gain(
    frame: pd.DataFrame, is_challenger: pd.Series, column: str = "good", entity: str = "entity"
) -> dict[str, float]:
    label, score = frame["label"], frame[column]
    common = {"entities": frame[entity], "draws": 200, "seed": 1}
    return ab_tests.group_bootstrap(label, score, is_challenger, **common)["log_loss"]


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
