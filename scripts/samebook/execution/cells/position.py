"""The place of a code cell in its notebook, by which runs, errors and receipts name it."""

from dataclasses import dataclass

from nbformat import NotebookNode

from samebook.records import canonical


@dataclass(frozen=True)
class Position:
    """The place of a code cell: its number among the code cells, from 1, how many they are, and its name."""

    number: int
    total: int
    name: str

    @classmethod
    def of(cls, cell: NotebookNode, notebook: NotebookNode) -> "Position | None":
        """The position of a cell in a notebook; None for prose."""
        return cls.all(notebook).get(id(cell))

    @classmethod
    def all(cls, notebook: NotebookNode) -> "dict[int, Position]":
        """The positions of the code cells of a notebook, by the identity of the cell's object."""
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        return {
            id(cell): cls(number, len(code), canonical.name(cell.metadata.get("tags", []), number))
            for number, cell in enumerate(code, start=1)
        }

    def __str__(self) -> str:
        return f"cell `{self.name}` ({self.number} of {self.total})"
