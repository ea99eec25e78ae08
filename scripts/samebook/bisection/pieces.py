"""The pieces in which two contents of a file differ, each of which can be taken from either: cells, lines, packages."""

import difflib
import json
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from samebook.environment import packages
from samebook.records import canonical


@dataclass(frozen=True)
class Piece:
    """A stretch of a file: what stands there before and after, in a form of its own for each kind of file.

    `name` is empty where both are the same.
    """

    name: str
    before: tuple[Any, ...]
    after: tuple[Any, ...]


@dataclass(frozen=True)
class FileChange:
    """A file that differs: its path, both contents (None where there is none), its mode, and its pieces in their order.

    A file that came, went or is no text has no pieces: it changes as a whole.
    """

    path: str
    before: bytes | None
    after: bytes | None
    mode: int = 0o644
    pieces: tuple[Piece, ...] = ()

    @classmethod
    def of(cls, path: str, before: bytes | None, after: bytes | None, mode: int = 0o644) -> "FileChange":
        """The change from one content to the other."""
        if before is None or after is None:
            return cls(path, before, after, mode)
        try:
            kind = _cells if PurePath(path).suffix == ".ipynb" else _lines
            pieces = tuple(kind(before.decode(), after.decode()))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # no text, or no whole notebook
            return cls(path, before, after, mode)
        return cls(path, before, after, mode, pieces)

    def names(self) -> dict[int, str]:
        """The name of each piece that differs, by its number; that of the whole file where it has no pieces."""
        return {number: piece.name for number, piece in enumerate(self.pieces) if piece.name} or {0: ""}

    def mixed(self, chosen: Collection[int]) -> bytes | None:
        """The content with the pieces of these numbers as they are after, and all others as they are before."""
        if not chosen:
            return self.before
        if set(chosen) == self.names().keys():
            return self.after
        taken = [
            item
            for number, piece in enumerate(self.pieces)
            for item in (piece.after if number in chosen else piece.before)
        ]
        if PurePath(self.path).suffix != ".ipynb":
            return "".join(taken).encode()
        notebook = dict(item for item in taken if isinstance(item, tuple))
        return json.dumps({**notebook, "cells": [item for item in taken if isinstance(item, dict)]}).encode()


def _lines(before: str, after: str) -> Iterator[Piece]:
    """The pieces of a text: stretches of lines."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for kind, start, end, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        name = f"line {first + 1}" if last - first < 2 else f"lines {first + 1}-{last}"
        yield Piece("" if kind == "equal" else name, tuple(old[start:end]), tuple(new[first:last]))


def _cells(before: str, after: str) -> Iterator[Piece]:
    """The pieces of a notebook: what stands beside its cells, then each cell.

    Outputs and the numbers of executions are no source.
    """
    old, new = json.loads(before), json.loads(after)
    heads = [{name: value for name, value in notebook.items() if name != "cells"} for notebook in (old, new)]
    yield Piece("metadata" if heads[0] != heads[1] else "", tuple(heads[0].items()), tuple(heads[1].items()))
    sides = [[{**cell, "source": _source(cell)} for cell in notebook["cells"]] for notebook in (old, new)]
    ids = [{cell.get("id") for cell in side} - {None} for side in sides]
    keys = [[_key(cell, has_ids=bool(ids[0] & ids[1])) for cell in side] for side in sides]
    for kind, start, end, first, last in difflib.SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if kind == "equal":
            for number, (one, other) in enumerate(zip(sides[0][start:end], sides[1][first:last], strict=True), first):
                yield Piece("" if _same(one, other) else _name(sides[1], number), (one,), (other,))
            continue
        for number in range(start, end):
            yield Piece(f"{_name(sides[0], number)}, removed", (sides[0][number],), ())
        for number in range(first, last):
            yield Piece(f"{_name(sides[1], number)}, added", (), (sides[1][number],))


def _source(cell: dict[str, Any]) -> str:
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def _tags(cell: dict[str, Any]) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", ()))


def _key(cell: dict[str, Any], *, has_ids: bool) -> Hashable:
    """What tells a cell from the others of its notebook."""
    return cell.get("id") if has_ids else (*_tags(cell)[:1], "") if _tags(cell) else cell["source"]


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    is_same = all(one.get(name) == other.get(name) for name in ("source", "cell_type", "attachments"))
    return is_same and _tags(one) == _tags(other)


def _name(cells: Sequence[dict[str, Any]], place: int) -> str:
    """The number of a cell and its name, as a run counts and calls it."""
    number = canonical.numbers(cell["cell_type"] for cell in cells)[place]
    if cells[place]["cell_type"] != "code":
        return f"the text before cell {number}"
    return f"cell {number} `{canonical.name(_tags(cells[place]), number)}`"


def mixed_lock(before: str, after: str, names: Collection[str]) -> str:
    """The lock of before with the packages of these names as they are after; their hashes go along."""
    old, new = entries(before), entries(after)
    chosen = {name: (new if name in names else old).get(name, "") for name in {*old, *new}}
    return "".join(chosen[name] for name in sorted(chosen))


def entries(lock: str) -> dict[str, str]:
    """The text of each package of a lock: a line for each platform, and its hashes."""
    found: dict[str, str] = {}
    for entry in packages.ENTRY.finditer(lock):
        found[entry[1]] = found.get(entry[1], "") + entry[0]
    return found
