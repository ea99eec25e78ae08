"""Compare two results: two runs, subject by subject, or two files, by the kind that their name tells."""

from pathlib import Path

from samebook.core import workspace as workspaces
from samebook.core.errors import UsageError
from samebook.models import lookup
from samebook.records import comparison, differences, run_folder
from samebook.records.comparison import Comparison
from samebook.records.differences import Difference
from samebook.reproduction import original


def compare(old: str, new: str) -> Difference | list[Comparison]:
    """The difference of two files, or the verdict on each subject of two runs, given by id, notebook, receipt or model.

    Raises UsageError where there is no such run, NotReproduced for one whose files are not what its receipt says.
    """
    paths = [Path(name) for name in (old, new) if Path(name).is_file() and Path(name).name != run_folder.RECEIPT]
    if len(paths) == 1:
        other = old if Path(new) in paths else new
        raise UsageError(
            f"{paths[0]} is a file, and {other} is none; expected two files, or two runs", mend="make runs"
        )
    return _of_files(*paths) if paths else _of_runs(old, new)


def _of_files(old: Path, new: Path) -> Difference:
    """The difference of two files; its detail says so where there is none."""
    before, after = old.read_bytes(), new.read_bytes()
    if before == after:
        return Difference("the same bytes", 0.0)
    return differences.difference(new.name, before, after)


def _of_runs(old: str, new: str) -> list[Comparison]:
    workspace = workspaces.find()
    runs = [original.read(workspace, lookup.receipt_path(workspace, name)) for name in (old, new)]
    before, after = (original.side(workspace, run) for run in runs)
    return comparison.compare(before, after, sides=("first", "second"))


def table(result: Difference | list[Comparison]) -> str:
    """The result of a comparison as text: what differs in two files; of two runs a line a subject, and the count."""
    if isinstance(result, Difference):
        return result.detail
    return f"{comparison.table(result)}\n\n{comparison.overall(result)}: {comparison.count(result)}"
