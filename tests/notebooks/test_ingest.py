"""The functions inside ingest.ipynb."""

from collections.abc import Callable

import pytest
from testbook.client import TestbookNotebookClient

type Start = Callable[[str, list[str]], TestbookNotebookClient]

FRAMES = """
scheduled = pd.DataFrame({
    "id": ["a", "b", "c"],
    "departure": pd.to_datetime(["2013-06-29 06:10", "2013-06-29 06:50", "2013-06-30 07:00"]),
})
ended = pd.DataFrame({"id": ["c", "b", "a"], "late": pd.array([None, True, False], dtype="boolean")})
"""


@pytest.fixture(scope="module")
def ingest(notebook: Start) -> TestbookNotebookClient:
    client = notebook("ingest", ["parameters", "imports", "share"])
    client.inject(FRAMES)
    return client


@pytest.mark.parametrize(("by", "groups"), [("hour", [6, 7]), ("day", [29, 30])])
def test_share_of_arrivals(ingest: TestbookNotebookClient, by: str, groups: list[int]) -> None:
    """The share of late flights is one of those that arrived, while all scheduled flights are counted."""
    ingest.inject(f"shares = share_late(scheduled, ended, {by!r})")
    assert ingest.value("[getattr(group, 'day', group) for group in shares.index]") == groups
    assert ingest.value("shares['flights'].tolist()") == [2, 1]
    assert ingest.value("shares['late'].astype(object).where(shares['late'].notna(), None).tolist()") == [0.5, None]
