"""Text for people: tables, and lines while the work goes on."""

from collections.abc import Callable, Collection, Sequence

# A function that shows a line.
type Say = Callable[[str], None]

GAP = "  "


def align(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """A line for each row of cells; a column is as wide as its widest cell.

    Rows are equally long; the columns with a number in `right` are aligned right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def repeated(names: Sequence[str]) -> str:
    """The first name that occurs more than once; "" where none does."""
    return next((name for name in names if names.count(name) > 1), "")
