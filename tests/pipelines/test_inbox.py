"""Files that come in: what is archived are the bytes that were looked at, whatever happens to the file meanwhile."""

from pathlib import Path

import pytest

from samebook.core.errors import DataRejected
from samebook.core.workspace import Workspace
from samebook.pipelines import inbox

pytestmark = pytest.mark.fast


@pytest.fixture
def arrival(tmp_path: Path) -> inbox.Arrival:
    path = tmp_path / "data" / "inbox" / "orders-2013-07-01.csv"
    path.parent.mkdir(parents=True)
    path.write_text("a,b\n1,2\n")
    return inbox.arrival(path, ["orders"])


def archived(workspace: Path) -> list[str]:
    return [path.read_text() for path in workspace.glob("data/archive/orders/*")]


def test_archived_once(arrival: inbox.Arrival, tmp_path: Path) -> None:
    """The copy has the arrival's bytes, and a damaged one is made again."""
    path = inbox.archive(Workspace(tmp_path), arrival)
    path.write_text("damaged")
    assert inbox.archive(Workspace(tmp_path), arrival) == path
    assert archived(tmp_path) == ["a,b\n1,2\n"]


def test_link_in_its_place_is_not_followed(arrival: inbox.Arrival, tmp_path: Path) -> None:
    """A link that takes the place of a file that was looked at shows no other file of this machine to a pipeline."""
    (tmp_path / "secret").write_text("STORE_KEY=x\n")
    arrival.path.unlink()
    arrival.path.symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        inbox.archive(Workspace(tmp_path), arrival)
    assert archived(tmp_path) == []
    with pytest.raises(DataRejected, match="is a link"):
        inbox.arrival(arrival.path, ["orders"])


def test_file_that_is_still_written(arrival: inbox.Arrival, tmp_path: Path) -> None:
    """A file that somebody goes on writing is not archived under the hash that it had; it is looked at again."""
    with arrival.path.open("a") as file:
        file.write("3,4\n")
    with pytest.raises(DataRejected, match="has changed while it was taken in"):
        inbox.archive(Workspace(tmp_path), arrival)
    assert archived(tmp_path) == []
    again = inbox.arrival(arrival.path, ["orders"])
    assert inbox.archive(Workspace(tmp_path), again).read_text() == "a,b\n1,2\n3,4\n"
