"""The functions inside train.ipynb."""

from collections.abc import Callable

import pytest
from testbook.client import TestbookNotebookClient

# A project that begins with this example has this file, and no conftest.py.
from samebook.testing import notebook as notebook

type Start = Callable[[str, list[str]], TestbookNotebookClient]

FRAME = """
frame = pd.DataFrame({
    "id": ["a", "b", "c", "d"],
    "departure": pd.to_datetime(["2013-06-16 23:59", "2013-06-17 00:00", "2013-06-30 23:00", "2013-06-01 06:00"]),
    "carrier": ["UA", "UA", "ZZ", "UA"],
    "late": [1, 1, 0, 0],
})
"""


@pytest.fixture(scope="module")
def train(notebook: Start) -> TestbookNotebookClient:
    client = notebook("train", ["parameters", "imports", "label", "late-flights", "baseline"])
    client.inject(FRAME)
    return client


def test_labelled(train: TestbookNotebookClient) -> None:
    """What is learnt from are the flights that arrived, in their order, with 0 or 1; the others are left out."""
    train.inject("ended = pd.DataFrame({'id': ['d', 'c', 'b', 'a'], 'late': [True, None, False, True]})")
    train.inject("known = labelled(frame.drop(columns='late'), ended)")
    assert train.value("known[['id', 'late']].to_dict('list')") == {"id": ["a", "b", "d"], "late": [1, 0, 1]}


def test_baseline_rates(train: TestbookNotebookClient) -> None:
    """The baseline is the late share by carrier and hour, with one flight at the overall share added."""
    train.inject("rates = baseline(late_flights(frame), frame)")
    assert train.value("rates.tolist()") == pytest.approx([(1 + 0.5) / 2, (1 + 0.5) / 2, (0 + 0.5) / 2, (0 + 0.5) / 2])


def test_baseline_unseen(train: TestbookNotebookClient) -> None:
    """For a carrier or an hour without a past the baseline says the overall share."""
    train.inject("rates = baseline(late_flights(frame.head(2)), frame.assign(carrier='YY'))")
    assert train.value("rates.tolist()") == [1.0] * 4
