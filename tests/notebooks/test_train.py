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
    client = notebook("train", ["parameters", "imports", "split", "baseline"])
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
