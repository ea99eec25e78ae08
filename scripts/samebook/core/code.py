"""The files of this package, wherever it is installed."""

from pathlib import Path

FOLDER = Path(__file__).parents[1]


def files() -> list[Path]:
    """Every Python file of the package, in all of its wings, in order."""
    return sorted(FOLDER.rglob("*.py"))
