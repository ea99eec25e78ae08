"""The functions inside train.ipynb."""

from collections.abc import Callable

import pytest
from testbook.client import TestbookNotebookClient

type Start = Callable[[str, list[str]], TestbookNotebookClient]

FRAME = """
frame = pd.DataFrame({
    "departure": pd.to_datetime(["2013-06-16 23:59", "2013-06-17 00:00", "2013-06-30 23:00", "2013-06-01 06:00"]),
    "carrier": ["UA", "UA", "ZZ", "UA"],
    "late": [1, 1, 0, 0],
})
"""


@pytest.fixture(scope="module")
def train(notebook: Start) -> TestbookNotebookClient:
    client = notebook("train", ["parameters", "imports", "split", "baseline", "scores"])
    client.inject(FRAME)
    return client


def test_split_by_day(train: TestbookNotebookClient) -> None:
    """The holdout is the last 14 days up to as_of, from midnight on; everything before it is learnt from."""
    train.inject("parts = split(frame, date(2013, 6, 30), 14)")
    assert train.value("[part['departure'].dt.day.tolist() for part in parts]") == [[16, 1], [17, 30]]


def test_baseline_rates(train: TestbookNotebookClient) -> None:
    """The baseline is the late share by carrier and hour, with one flight at the overall share added."""
    train.inject("rates = baseline(frame, frame)")
    assert train.value("rates.tolist()") == pytest.approx([(1 + 0.5) / 2, (1 + 0.5) / 2, (0 + 0.5) / 2, (0 + 0.5) / 2])


def test_baseline_unseen(train: TestbookNotebookClient) -> None:
    """For a carrier or an hour without a past the baseline says the overall share."""
    train.inject("rates = baseline(frame.head(2), frame.assign(carrier='YY'))")
    assert train.value("rates.tolist()") == [1.0] * 4


def test_scores_of_a_perfect_model(train: TestbookNotebookClient) -> None:
    """Who is always right has AUC 1 and no loss; who always says one half has AUC 0.5 and log loss ln 2."""
    perfect, half = (
        train.value(f"scores(pd.Series([0, 1, 0, 1]), pd.Series({p}))") for p in ([0.0, 1.0, 0.0, 1.0], [0.5] * 4)
    )
    assert perfect == {"auc": 1.0, "log_loss": 0.0, "brier": 0.0, "calibration_error": 0.0}
    assert half == {"auc": 0.5, "log_loss": 0.693147, "brier": 0.25, "calibration_error": 0.0}
