"""The changes of a notebook as text: for a terminal, and as a section of a review."""

from collections.abc import Iterator

from samebook.core.text import visible
from samebook.review.cells import NotebookChange
from samebook.review.markdown import fenced, inert, table

SAME = "no cell differs"


def markdown(path: str, change: NotebookChange, status: str = "M") -> Iterator[str]:
    """The parts of a notebook's section; `status` is the letter of git: A added, D removed, M changed."""
    if status == "D":
        yield f"**{inert(path)}** is removed."
        return
    notes = [*(["new"] if status == "A" else []), *change.notes] or ([] if change.cells else [SAME])
    yield f"**{inert(path)}**{': ' if notes else ''}{inert('; '.join(notes))}"
    if change.parameters and status != "A":
        yield table(("parameter", "before", "after"), change.parameters)
    for cell in change.cells:
        yield f"{inert(cell.name)}: {cell.change}"
        if cell.lines:
            yield fenced(cell.lines, "diff")


def text(change: NotebookChange) -> Iterator[str]:
    """The lines for a terminal."""
    yield from map(visible, change.notes)
    yield from (visible(f"parameter {name}: {before} -> {after}") for name, before, after in change.parameters)
    for cell in change.cells:
        yield visible(f"{cell.name}: {cell.change}", kept="")
        yield from (f"  {visible(line)}" for line in cell.lines)
    if not change.notes and not change.cells:
        yield SAME
