"""The cells of a notebook that have changed, without outputs, which are no part of its source."""

import ast
import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# Lines of one cell's difference that are shown, so that a long cell does not hide the others.
MOST_LINES = 60
BY_SOURCE = "source: "


@dataclass(frozen=True)
class Cell:
    """A cell: its name (the first tag, else its id, else its number), what tells it from others, and its lines."""

    name: str
    key: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class CellChange:
    """A cell that was added, removed, changed or moved, with the lines of a unified difference."""

    name: str
    change: str
    lines: list[str]


@dataclass(frozen=True)
class NotebookChange:
    """The changes of a notebook; `parameters` are rows of name, declaration before and after."""

    cells: list[CellChange]
    parameters: list[tuple[str, str, str]]
    notes: list[str]


def compare(before: bytes, after: bytes) -> NotebookChange:
    """The changes from one content of a notebook's file to another; empty bytes are no file."""
    old, new = _parse(before), _parse(after)
    unreadable = [f"it is no notebook {when}" for when, side in (("before", old), ("now", new)) if side is None]
    if old is None or new is None:
        return NotebookChange([], [], unreadable)
    names = [str(side.get("metadata", {}).get("kernelspec", {}).get("name", "")) for side in (old, new)]
    notes = [f"its kernel was {names[0]!r}, and is {names[1]!r}"] * (bool(before and after) and names[0] != names[1])
    if any(cell.get("outputs") for cell in new.get("cells", [])):
        notes.append("it is committed with outputs")
    common = _ids(old) & _ids(new)
    cells = [_cells(side, has_ids=bool(common)) for side in (old, new)]
    return NotebookChange(list(_changes(*cells)), _parameters(old, new), notes)


def _parse(content: bytes) -> dict[str, Any] | None:
    """A notebook; without cells where there is no file, None where the content is no notebook."""
    try:
        notebook = json.loads(content or b"{}")
        (notebook.get("metadata", {}).get("kernelspec", {})).get("name")
        for cell in notebook.get("cells", []):
            list(cell["metadata"].get("tags") or []), "".join(cell["source"]), str(cell["cell_type"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return notebook


def _source(cell: dict[str, Any]) -> str:
    return cell["source"] if isinstance(cell["source"], str) else "".join(map(str, cell["source"]))


def _ids(notebook: dict[str, Any]) -> set[str]:
    return {str(cell["id"]) for cell in notebook.get("cells", []) if cell.get("id")}


def _cells(notebook: dict[str, Any], *, has_ids: bool) -> list[Cell]:
    """The cells; where the two files share no id, their source is what tells them apart."""
    cells = []
    for number, cell in enumerate(notebook.get("cells", []), 1):
        tags = [str(tag) for tag in cell["metadata"].get("tags") or []]
        head = f"[{cell['cell_type']}] {' '.join(tags)}".rstrip()
        name = tags[0] if tags else str(cell.get("id") or number)
        key = str(cell["id"]) if has_ids and cell.get("id") else f"{BY_SOURCE}{_source(cell)}"
        cells.append(Cell(name, key, (head, *_source(cell).split("\n"))))
    return cells


def _changes(old: Sequence[Cell], new: Sequence[Cell]) -> Iterator[CellChange]:
    """The changes in the order of the new notebook."""
    before, after = ([cell.key for cell in side] for side in (old, new))
    moved = set(before) & set(after)
    for kind, start, end, first, last in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, come = list(old[start:end]), list(new[first:last])
        if kind == "equal":
            pairs = zip(gone, come, strict=True)
            yield from (_change("changed", *pair) for pair in pairs if pair[0].lines != pair[1].lines)
            continue
        rest = [cell for cell in gone if cell.key not in moved]
        for cell in come:
            if cell.key in moved:
                partner = next(other for other in old if other.key == cell.key)
                yield _change("moved", partner, cell)
            elif rest and cell.key.startswith(BY_SOURCE) and rest[0].key.startswith(BY_SOURCE):
                yield _change("changed", rest.pop(0), cell)
            else:
                yield _change("added", None, cell)
        yield from (_change("removed", cell, None) for cell in rest)


def _change(kind: str, old: Cell | None, new: Cell | None) -> CellChange:
    before, after = (cell.lines if cell else () for cell in (old, new))
    lines = list(difflib.unified_diff(before, after, n=3, lineterm=""))[2:]
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"… {len(lines) - MOST_LINES} lines more"]
    cell = new or old
    return CellChange(cell.name if cell else "", kind, lines)


def _parameters(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The parameters whose declaration differs: name, before, after."""
    before, after = _declarations(old), _declarations(new)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [(name, before.get(name, "none"), after.get(name, "none")) for name in names]


def _declarations(notebook: dict[str, Any]) -> dict[str, str]:
    """The type and the default of each parameter, as they are written; none where the cell is not Python."""
    cells = [cell for cell in notebook.get("cells", []) if "parameters" in (cell["metadata"].get("tags") or [])]
    source = "\n".join(map(_source, cells))
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # so deep that nobody could read it
        return {}

    def written(node: ast.expr) -> str:
        return " ".join((ast.get_source_segment(source, node) or "").split())

    declared = {}
    for statement in statements:
        if isinstance(statement, ast.AnnAssign):
            default = f" = {written(statement.value)}" if statement.value else ""
            declared[written(statement.target)] = f"{written(statement.annotation)}{default}"
        elif isinstance(statement, ast.Assign):
            declared[written(statement.targets[0])] = written(statement.value)
    return declared
