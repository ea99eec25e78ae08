"""The functions inside predict.ipynb."""

from collections.abc import Callable

import pytest
from testbook.client import TestbookNotebookClient

type Start = Callable[[str, list[str]], TestbookNotebookClient]


@pytest.fixture(scope="module")
def predict(notebook: Start) -> TestbookNotebookClient:
    return notebook("predict", ["parameters", "imports", "unseen"])


def test_unseen_counted(predict: TestbookNotebookClient) -> None:
    """Values that the model does not know are counted by feature; a missing value is not one of them."""
    predict.inject("frame = pd.DataFrame({'carrier': ['UA', 'ZZ', None], 'dest': ['IAH', 'IAH', 'XXX']})")
    assert predict.value("unseen(frame, {'carrier': ['UA'], 'dest': ['IAH']})") == {"carrier": 1, "dest": 1}
