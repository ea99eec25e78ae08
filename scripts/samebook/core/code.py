"""The package's own files, wherever it is installed."""

from pathlib import Path

FOLDER = Path(__file__).parents[1]


def files() -> list[Path]:
    """The paths of the Python files of the package, in all of its wings, sorted."""
    return sorted(FOLDER.rglob("*.py"))
