"""What the notebooks share: schemas that refuse, features, scores."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest
import xgboost
from pandas.testing import assert_frame_equal
from pandera.errors import SchemaErrors

import flights

type Ask = Callable[..., pd.DataFrame]

DAY = date(2013, 6, 15)


@pytest.fixture
def scheduled(ask: Ask) -> pd.DataFrame:
    return flights.FLIGHTS.validate(ask("flights", DAY))


@pytest.fixture
def model(scheduled: pd.DataFrame) -> xgboost.Booster:
    """A tiny model of whether a flight leaves after noon."""
    label = scheduled["departure_minute"] >= 720
    matrix = xgboost.DMatrix(flights.features(scheduled), label=label, enable_categorical=True)
    return xgboost.train({"max_depth": 3, "colsample_bytree": 0.3}, matrix, num_boost_round=20)


@pytest.mark.parametrize(
    ("column", "value"),
    [("distance", -1), ("origin", "BOS"), ("carrier", "United"), ("visib", 11.0), ("plane_late_28d", 1.5), ("id", "x")],
)
def test_flights_refused(scheduled: pd.DataFrame, column: str, value: object) -> None:
    """A value that can't be is refused, with the name of its column and its row."""
    scheduled.loc[3, column] = value
    with pytest.raises(SchemaErrors) as refused:
        flights.FLIGHTS.validate(scheduled, lazy=True)
    case = refused.value.failure_cases.iloc[0]
    assert (case["column"], case["index"], case["failure_case"]) == (column, 3, value)


def test_same_flight_twice(scheduled: pd.DataFrame) -> None:
    """A flight that comes twice is refused."""
    with pytest.raises(SchemaErrors, match="id"):
        flights.FLIGHTS.validate(pd.concat([scheduled, scheduled.head(1)]), lazy=True)


def test_outcome_among_features(scheduled: pd.DataFrame) -> None:
    """A column too many, such as an outcome, is refused."""
    with pytest.raises(SchemaErrors, match="arr_delay"):
        flights.FLIGHTS.validate(scheduled.assign(arr_delay=0.0), lazy=True)


def test_late_must_agree(ask: Ask) -> None:
    """An outcome that is called late without 15 minutes of delay is refused."""
    ended = flights.OUTCOMES.validate(ask("outcomes", DAY))
    ended.loc[ended["arr_delay"] == 14, "late"] = True
    with pytest.raises(SchemaErrors, match="late_is_arr_delay_of_15_or_more"):
        flights.OUTCOMES.validate(ended, lazy=True)


def test_last_newline_is_refused() -> None:
    """A text is the whole text: a pattern lets no line break at its end pass."""
    row = {"id": ["2013-07-01-9E-3285-JFK-MSY-1930"], "dep_delay": [1.0], "arr_delay": [1.0], "cancelled": [False]}
    frame = pd.DataFrame({**row, "late": [False]})
    flights.OUTCOMES.validate(frame)
    with pytest.raises(SchemaErrors, match="str_matches"):
        flights.OUTCOMES.validate(frame.assign(id=frame["id"] + "\n"), lazy=True)


def test_days() -> None:
    """A range of days has both its ends, and a day is a range of one."""
    assert flights.days(date(2013, 2, 27), date(2013, 3, 1)) == [
        date(2013, 2, 27),
        date(2013, 2, 28),
        date(2013, 3, 1),
    ]
    assert flights.days(DAY, DAY) == [DAY]


def test_features_without_outcomes(scheduled: pd.DataFrame) -> None:
    """The model sees the feature columns only: no id, no tail number, no time of what happened."""
    matrix = flights.features(scheduled)
    assert tuple(matrix.columns) == flights.FEATURES
    assert not {"id", "tailnum", "flight", "departure", "dep_delay", "arr_delay", "late"} & set(matrix)


def test_categories_stored(scheduled: pd.DataFrame, model: xgboost.Booster) -> None:
    """The model holds the values of its categorical features."""
    stored = flights.model_categories(model)
    assert tuple(stored) == flights.CATEGORICAL
    assert stored["carrier"] == sorted(scheduled["carrier"].unique())


def test_unseen_is_missing(scheduled: pd.DataFrame, model: xgboost.Booster) -> None:
    """A carrier that the model has not seen scores as a missing one does."""
    unseen, missing = scheduled.assign(carrier="ZZ"), scheduled.assign(carrier=None)
    assert np.array_equal(flights.score(model, unseen), flights.score(model, missing))


def test_score_alone(scheduled: pd.DataFrame, model: xgboost.Booster) -> None:
    """A flight has the same score alone, and in any order, as with all others of its day."""
    scores = pd.Series(flights.score(model, scheduled))
    shuffled = scheduled.sample(frac=1, random_state=1)
    assert np.array_equal(flights.score(model, shuffled), scores[shuffled.index])
    assert flights.score(model, scheduled.tail(1)) == scores.iloc[-1]


def test_score_bit_for_bit(scheduled: pd.DataFrame, model: xgboost.Booster) -> None:
    """Scores are, bit for bit, those of a DMatrix, and of bare numbers with the model's own codes: in batches too."""
    odd = scheduled.assign(carrier="ZZ", dest=None), scheduled.assign(manufacturer=None, temp=np.nan)
    rows = pd.concat([scheduled, *odd], ignore_index=True)
    matrix = flights.features(rows, flights.model_categories(model))
    codes = {name: matrix[name].cat.codes.replace(-1, np.nan) for name in flights.CATEGORICAL}
    bare = matrix.assign(**codes).to_numpy(dtype="float32")
    scores = flights.score(model, rows)
    assert np.array_equal(scores, model.predict(xgboost.DMatrix(matrix, enable_categorical=True)).astype(float))
    assert np.array_equal(scores, model.inplace_predict(bare).astype(float))
    pieces = [flights.score(model, rows[start : start + 100]) for start in range(0, len(rows), 100)]
    assert np.array_equal(scores, np.concatenate(pieces))


def test_features_leave_frame(scheduled: pd.DataFrame) -> None:
    """The frame that is given stays as it is."""
    before = scheduled.copy()
    flights.features(scheduled, {name: ["UA", "EWR"] for name in flights.CATEGORICAL})
    assert_frame_equal(scheduled, before)
