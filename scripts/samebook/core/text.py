"""Text for people: tables, lines while the work goes on, and names that can't command a terminal."""

import re
import shlex
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache

# A function that shows a line.
type Say = Callable[[str], None]

GAP = "  "
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# Colours, and what else commands a terminal: moves of the cursor, erasures.
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
# Categories of characters that act on a terminal: controls, formats that turn writing around, half characters, breaks.
ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@cache
def warn(message: str) -> None:
    """Write a warning to standard error, in git's form, once in a process."""
    sys.stderr.write(f"warning: {visible(message)}\n")


def visible(text: str, kept: str = "\n\t") -> str:
    """The text with each character that acts on a terminal escaped, but those in `kept`.

    Names in receipts, bundles, branches and notebooks are their authors' choice.
    """
    if text.isprintable():
        return text
    is_acting = (unicodedata.category(letter) in ACTING and letter not in kept for letter in text)
    return "".join(ascii(letter)[1:-1] if acts else letter for acts, letter in zip(is_acting, text, strict=True))


def word(text: object) -> str:
    """The text as one word of a shell, for a command that people copy: a name in a receipt may hold `$(…)`."""
    return shlex.quote(str(text))


def align(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """A line for each row of cells; a column is as wide as its widest cell.

    Rows are equally long, and no cell makes a line of its own; the columns with a number in `right` are aligned right.
    """
    rows = [[visible(cell, kept="") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def repeated_name(names: Sequence[str]) -> str:
    """The first name that occurs more than once; "" where none does."""
    counts = Counter(names)  # a receipt may have any number of names
    return next((name for name in names if counts[name] > 1), "")


def moved(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """A line for each package that came, went or has another version."""
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return [f"{name} {old.get(name, '(added)')} -> {new.get(name, '(removed)')}" for name in names]
