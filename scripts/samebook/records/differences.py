"""Differences between two contents of one kind: JSON values, cells of a notebook, columns of a table, pixels.

Whole numbers of any size are compared exactly. A truth value, a missing value and a text such as 007 are not numbers.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import PurePath
from typing import Any

from samebook.records import canonical, model_file, numbers
from samebook.records.numbers import gap

WIDTH = 160
# The value that a JSON object is taken to have for a key that only the other object has.
ABSENT = object()
# The ways in which tables write a missing number; each is equal to itself only.
BLANKS = ("", "NA", "NaN", "nan")

type Column = tuple[str, Sequence[Any], Sequence[Any]]


@dataclass(frozen=True)
class Difference:
    """The difference of two contents; `largest` (None where more differs) and `ulps` are that of their numbers."""

    detail: str
    largest: float | None = None
    ulps: int = 0
    cell: "CellDifference | None" = None


def difference(name: str, old: bytes, new: bytes) -> Difference:
    """The difference between two contents of one subject; the suffix of its name says their kind."""
    kind = "".join(PurePath(name).suffixes[-2:]) if name.endswith(".canonical.json") else PurePath(name).suffix
    try:
        return KINDS.get(kind, _bytes)(old, new)
    except ModuleNotFoundError:
        raise  # beside the image, where the readers' libraries are not
    except Exception as error:
        # Readers raise errors of any class for bytes of another kind (RecursionError, csv.Error, SyntaxError).
        return Difference(f"not readable as {kind}: {error}")


def _bytes(old: bytes, new: bytes) -> Difference:
    return Difference(f"{len(old):,} and {len(new):,} bytes, first different at byte {_common_length(old, new):,}")


def _common_length(old: Sequence[Any], new: Sequence[Any]) -> int:
    """The length of the longest common beginning."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((position for position, (a, b) in pairs if a != b), min(len(old), len(new)))


def _json(old: bytes, new: bytes) -> Difference:
    return _values(*(json.loads(content, object_pairs_hook=_object) for content in (old, new)))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError where a name is there twice: which value counts would be a guess."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError(f"expected each name once, found {[name for name, _ in pairs]}")
    return members


def _values(old: Any, new: Any) -> Difference:
    """The first place where two JSON values differ, and the number of further places."""
    differing = list(_leaves(old, new, ""))
    if not differing:
        return Difference("the same values, written differently", 0.0)
    path, before, after = differing[0]
    more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
    return _with_largest(f"{path}: {_short(before)} became {_short(after)}{more}", [(a, b) for _, a, b in differing])


def _leaves(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """The places where two JSON values differ, with both values there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _leaves(old.get(key, ABSENT), new.get(key, ABSENT), f"{path}.{key}" if path else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (first, second) in enumerate(zip(old, new, strict=True)):
            yield from _leaves(first, second, f"{path}[{number}]")
    elif not _same(old, new):
        yield path, old, new


def _same(old: Any, new: Any) -> bool:
    """Whether two values are the same: True, 1 and 1.0 are three different ones here, and NaN equals NaN."""
    return type(old) is type(new) and (old == new or (old != old and new != new))


def _with_largest(detail: str, differing: list[tuple[Any, Any]]) -> Difference:
    """The difference, with the largest one of numbers where only numbers differ."""
    if any(gap(old, new) is None for old, new in differing):
        return Difference(detail)
    largest, ulps = numbers.largest(differing)
    return Difference(f"{detail}; largest difference {largest:.3g}", largest, ulps)


def _short(value: Any) -> str:
    return "nothing" if value is ABSENT else _cut(json.dumps(value, ensure_ascii=False), 0)


@dataclass(frozen=True)
class CellDifference:
    """A cell in which two canonical notebooks differ: its number, its name, the path in it, both lines there.

    `largest` and `ulps` are the size of the difference of its values that differ by numbers alone.
    """

    number: int
    name: str
    path: str
    before: str
    after: str
    largest: float = 0.0
    ulps: int = 0


def first_cell(old: bytes, new: bytes) -> CellDifference | None:
    """The first cell in which two canonical notebooks differ; None where all cells that both have are the same."""
    cells = json.loads(old)
    positions = canonical.numbers(cell["type"] for cell in cells)
    for number, first, second in zip(positions, cells, json.loads(new), strict=False):
        leaves = list(_leaves(first, second, ""))
        if leaves:
            name = canonical.name(first["tags"], number)
            # Displayed data is there as plain text, too, which reads better than HTML.
            path, before, after = min(leaves, key=lambda leaf: leaf[0].endswith("text/html"))
            size = numbers.largest(pair for _, *values in leaves for pair in numbers.pairs(*values))
            return CellDifference(number, name, path, *_lines(before, after), *size)
    return None


def _notebook(old: bytes, new: bytes) -> Difference:
    """The first cell that differs, with both sides of it."""
    cell = first_cell(old, new)
    if cell is None:
        return Difference(f"{len(json.loads(old))} and {len(json.loads(new))} cells")
    position = f"first in cell {cell.number} `{cell.name}`, {cell.path}"
    return Difference(f"{position}:\n    original   {cell.before}\n    reproduced {cell.after}", cell=cell)


def _lines(old: Any, new: Any) -> tuple[str, str]:
    """The first lines in which two texts differ, cut around the difference.

    Values that are not texts, and texts that differ only in their last newlines, are written as JSON.
    """
    if not (isinstance(old, str) and isinstance(new, str)):
        return _short(old), _short(new)
    body = old.rstrip("\n")
    if body == new.rstrip("\n"):
        start = max(body.rfind("\n") + 1, len(body) - WIDTH // 2)
        return _short(old[start:]), _short(new[start:])
    pairs = zip_longest(old.split("\n"), new.split("\n"), fillvalue="")
    first, second = next((a, b) for a, b in pairs if a != b)
    start = max(0, _common_length(first, second) - WIDTH // 2) if max(len(first), len(second)) > WIDTH else 0
    return _cut(first, start), _cut(second, start)


def _cut(line: str, start: int) -> str:
    return "…" * (start > 0) + line[start : start + WIDTH] + "…" * (len(line) > start + WIDTH)


def _parquet(old: bytes, new: bytes) -> Difference:
    # Not through pandas, which makes floats of integers with gaps.
    from pyarrow import parquet

    before, after = (parquet.read_table(io.BytesIO(content)) for content in (old, new))
    headers = [[f"{field.name} {field.type}" for field in table.schema] for table in (before, after)]
    columns = zip(before.column_names, before.columns, after.columns, strict=True)
    changed = ((name, a.to_pylist(), b.to_pylist()) for name, a, b in columns if not a.equals(b))
    return _tables(headers, [before.num_rows, after.num_rows], changed)


def _csv(old: bytes, new: bytes) -> Difference:
    (before, *first), (after, *second) = _rows(old), _rows(new)
    columns = zip(before, zip(*first, strict=True), zip(*second, strict=True), strict=False)
    return _tables([before, after], [len(first), len(second)], ((name, *_numbers(a, b)) for name, a, b in columns))


def _rows(content: bytes) -> list[list[str]]:
    """The header and the rows of a CSV file, as texts; pandas would guess types, and read 007 as 7."""
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        raise ValueError(f"expected a header and rows of its length, found {sorted(lengths) or 'nothing'} fields")
    return rows


def _numbers(old: Sequence[str], new: Sequence[str]) -> tuple[list[Any], list[Any]]:
    """A column as numbers where all its texts are numbers or blanks, else as texts: 12 beside 007 is a code."""
    before, after = ([text if text in BLANKS else _unquoted(text) for text in column] for column in (old, new))
    numeric = all(value in BLANKS or gap(value, value) == 0 for value in before + after)
    return (before, after) if numeric else (list(old), list(new))


def _tables(headers: list[list[str]], rows: list[int], columns: Iterable[Column]) -> Difference:
    """The columns in which two tables differ, each with its number of rows; `columns` has both tables' values."""
    (old, new), (before, after) = headers, rows
    if old != new:
        removed, added = sorted(set(old) - set(new)), sorted(set(new) - set(old))
        detail = f"columns differ: without {removed or 'none'}, with new {added or 'none'}"
        return Difference(detail if removed or added else "the same columns in another order")
    if before != after:
        return Difference(f"{before:,} rows became {after:,}")
    details: list[str] = []
    pairs: list[tuple[Any, Any]] = []
    for name, first, second in columns:
        differing = [(a, b) for a, b in zip(first, second, strict=True) if not _same(a, b)]
        details += [f"{name} in {len(differing):,} of {before:,} rows"] * bool(differing)
        pairs += differing
    return (
        _with_largest(", ".join(details), pairs) if details else Difference("the same rows, written differently", 0.0)
    )


def _model(old: bytes, new: bytes) -> Difference:
    """The difference of two models, in their library's JSON form."""
    change = _values(*(_unquoted(model_file.as_json(content)) for content in (old, new)))
    return replace(change, ulps=0)  # its texts are the shortest decimals of another precision


def _unquoted(value: Any) -> Any:
    """A JSON value whose numbers that are written as texts ("5E-1", "[2.3E-1]") are numbers."""
    if isinstance(value, dict):
        return {key: _unquoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unquoted(item) for item in value]
    with suppress(ValueError):
        return json.loads(value) if isinstance(value, str) else value
    return value


def _image(old: bytes, new: bytes) -> Difference:
    import numpy as np
    from PIL import Image

    first, second = (np.asarray(Image.open(io.BytesIO(image)).convert("RGBA"), dtype=int) for image in (old, new))
    if first.shape != second.shape:
        return Difference(f"an image of {first.shape[1::-1]} became one of {second.shape[1::-1]} pixels")
    changed = int((first != second).any(axis=2).sum())
    return Difference(f"{changed:,} of {first.shape[0] * first.shape[1]:,} pixels differ")


KINDS: dict[str, Callable[[bytes, bytes], Difference]] = {
    ".canonical.json": _notebook,
    ".json": _json,
    ".parquet": _parquet,
    ".csv": _csv,
    **dict.fromkeys(model_file.BINARY, _model),
    ".png": _image,
}
