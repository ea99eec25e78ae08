"""The matrices that xgboost learns from: in memory, beside it, and from one frame, to the same model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost

import flights
import training

FIXED = {"objective": "binary:logistic", "tree_method": "hist", "subsample": 0.8, "colsample_bytree": 0.6, "seed": 1}
ROWS = 6000


@pytest.fixture(scope="module")
def learnt() -> pd.DataFrame:
    """Made-up flights with their `late`, which follows from some of their features, and with missing values."""
    random = np.random.default_rng(17)
    frame = pd.DataFrame({name: random.normal(size=ROWS).round(3) for name in flights.NUMERIC})
    frame = frame.mask(random.random(frame.shape) < 0.05)
    for name in flights.CATEGORICAL:
        frame[name] = random.choice(["a", "b", "c", "d", None], ROWS)
    return frame.assign(
        late=(frame["seats"].fillna(0) + (frame["origin"] == "a") > random.normal(size=ROWS)).astype(int)
    )


def model(matrix: xgboost.DMatrix, threads: int) -> bytes:
    return bytes(xgboost.train({**FIXED, "nthread": threads}, matrix, num_boost_round=15).save_raw("ubj"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [700, ROWS])
def test_memory_is_no_part_of_the_model(learnt: pd.DataFrame, tmp_path: Path, rows: int, threads: int) -> None:
    """A model has the same bytes from batches in memory, from batches on disk, and from one frame."""

    def read() -> Iterator[pd.DataFrame]:
        return (learnt.iloc[start : start + rows] for start in range(0, ROWS, rows))

    categories = flights.observed_categories(learnt)
    whole = xgboost.QuantileDMatrix(flights.features(learnt, categories), learnt["late"])
    external = training.matrix(read, categories, tmp_path / "bins")
    assert list(tmp_path.glob("bins*")), "nothing is on disk"
    assert model(training.matrix(read, categories), threads) == model(external, threads) == model(whole, threads)
