"""What differs in two contents of one kind: values, the cells of a notebook, columns, pixels.

A number's difference is relative to the larger of the two, and absolute below 1. A whole number is compared as
one; a truth value, a missing value and a text such as 007 are no numbers.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import PurePath
from typing import Any

from samebook.records import canonical, model_file

SHOWN = 160
# What stands in one of two JSON objects for a key that only the other has.
ABSENT = object()
# How tables write that there is no number; each is like itself alone.
BLANKS = ("", "NA", "NaN", "nan")

type Column = tuple[str, Sequence[Any], Sequence[Any]]


@dataclass(frozen=True)
class Difference:
    """How two contents differ. `largest` is the largest difference of numbers; None where more than numbers differs."""

    detail: str
    largest: float | None = None


def difference(name: str, old: bytes, new: bytes) -> Difference:
    """What differs between two contents of one subject, by the kind that its name tells."""
    kind = "".join(PurePath(name).suffixes[-2:]) if name.endswith(".canonical.json") else PurePath(name).suffix
    try:
        return KINDS.get(kind, _bytes)(old, new)
    except Exception as error:
        # Readers raise anything for bytes that are not of their kind (RecursionError, csv.Error, SyntaxError).
        return Difference(f"not readable as {kind}: {error}")


def _bytes(old: bytes, new: bytes) -> Difference:
    return Difference(f"{len(old):,} and {len(new):,} bytes, first different at byte {_alike(old, new):,}")


def _alike(old: Sequence[Any], new: Sequence[Any]) -> int:
    """How many of the first items are the same."""
    return next((place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))


def _json(old: bytes, new: bytes) -> Difference:
    return _values(*(json.loads(each, object_pairs_hook=_unique) for each in (old, new)))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object that has no name twice: which of the two counts would be a guess."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"expected each name once, found {[name for name, _ in pairs]}")
    return found


def _values(old: Any, new: Any) -> Difference:
    """The first place where two JSON values differ, and how many more."""
    differing = list(_leaves(old, new, ""))
    if not differing:
        return Difference("the same values, written differently", 0.0)
    path, before, after = differing[0]
    more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
    return _sized(f"{path}: {_short(before)} became {_short(after)}{more}", [(a, b) for _, a, b in differing])


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
    """Python's True == 1 == 1.0 are three values here; two NaN are one."""
    return type(old) is type(new) and (old == new or (old != old and new != new))


def _sized(detail: str, differing: list[tuple[Any, Any]]) -> Difference:
    """The difference, with the largest of the numbers where nothing else differs."""
    gaps = [each for each in (gap(old, new) for old, new in differing) if each is not None]
    if len(gaps) < len(differing):
        return Difference(detail)
    return Difference(f"{detail}; largest difference {max(gaps):.3g}", max(gaps))


def gap(old: Any, new: Any) -> float | None:
    """The difference of two numbers, relative above 1; None for what is no number."""
    if not all(type(each) in (int, float) and math.isfinite(each) for each in (old, new)):
        return None
    return abs(old - new) / max(1, abs(old), abs(new))


def _short(value: Any) -> str:
    return "nothing" if value is ABSENT else _cut(json.dumps(value, ensure_ascii=False), 0)


@dataclass(frozen=True)
class CellDifference:
    """A cell of canonical notebooks that differs: its number from 1, its name, where in it, and both lines there."""

    number: int
    name: str
    path: str
    before: str
    after: str


def first_cell(old: bytes, new: bytes) -> CellDifference | None:
    """The first cell in which two canonical notebooks differ; None where all that both have are alike."""
    for number, (first, second) in enumerate(zip(json.loads(old), json.loads(new), strict=False), start=1):
        leaves = list(_leaves(first, second, ""))
        if leaves:
            name = canonical.name(first["tags"], number)
            # What people see in Lab is in HTML as well, which reads worse.
            path, was, now = min(leaves, key=lambda leaf: leaf[0].endswith("text/html"))
            return CellDifference(number, name, path, *_lines(was, now))
    return None


def _notebook(old: bytes, new: bytes) -> Difference:
    """The first cell that differs, with both sides of it."""
    cell = first_cell(old, new)
    if cell is None:
        return Difference(f"{len(json.loads(old))} and {len(json.loads(new))} cells")
    where = f"first in cell {cell.number} `{cell.name}`, {cell.path}"
    return Difference(f"{where}:\n    original   {cell.before}\n    reproduced {cell.after}")


def _lines(old: Any, new: Any) -> tuple[str, str]:
    """The first lines in which two texts differ, cut to where they do; last newlines, and other values, as JSON."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return _short(old), _short(new)
    body = old.rstrip("\n")
    if body == new.rstrip("\n"):
        start = max(body.rfind("\n") + 1, len(body) - SHOWN // 2)
        return _short(old[start:]), _short(new[start:])
    pairs = zip_longest(old.split("\n"), new.split("\n"), fillvalue="")
    first, second = next((a, b) for a, b in pairs if a != b)
    start = max(0, _alike(first, second) - SHOWN // 2) if max(len(first), len(second)) > SHOWN else 0
    return _cut(first, start), _cut(second, start)


def _cut(line: str, start: int) -> str:
    return "…" * (start > 0) + line[start : start + SHOWN] + "…" * (len(line) > start + SHOWN)


def _parquet(old: bytes, new: bytes) -> Difference:
    # Not through pandas, which makes integers with gaps floats.
    from pyarrow import parquet

    before, after = (parquet.read_table(io.BytesIO(each)) for each in (old, new))
    headers = [[f"{field.name} {field.type}" for field in each.schema] for each in (before, after)]
    columns = zip(before.column_names, before.columns, after.columns, strict=True)
    changed = ((name, a.to_pylist(), b.to_pylist()) for name, a, b in columns if not a.equals(b))
    return _tables(headers, [before.num_rows, after.num_rows], changed)


def _csv(old: bytes, new: bytes) -> Difference:
    (before, *first), (after, *second) = _rows(old), _rows(new)
    columns = zip(before, zip(*first, strict=True), zip(*second, strict=True), strict=False)
    return _tables([before, after], [len(first), len(second)], ((name, *_numbers(a, b)) for name, a, b in columns))


def _rows(content: bytes) -> list[list[str]]:
    """The header and the rows of a CSV file, as texts: pandas would guess types, and take 007 for 7."""
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        raise ValueError(f"expected a header and rows as long, found {sorted(lengths) or 'nothing'} fields")
    return rows


def _numbers(old: Sequence[str], new: Sequence[str]) -> tuple[list[Any], list[Any]]:
    """A column as numbers where all in it are numbers or blanks; otherwise as texts, since 12 beside 007 is a code."""
    before, after = ([text if text in BLANKS else _unquoted(text) for text in each] for each in (old, new))
    numeric = all(value in BLANKS or gap(value, value) == 0 for value in before + after)
    return (before, after) if numeric else (list(old), list(new))


def _tables(headers: list[list[str]], rows: list[int], columns: Iterable[Column]) -> Difference:
    """What differs in two tables: which columns (each with the values of both), in how many rows."""
    (old, new), (before, after) = headers, rows
    if old != new:
        gone, came = sorted(set(old) - set(new)), sorted(set(new) - set(old))
        changed = f"columns differ: without {gone or 'none'}, with new {came or 'none'}"
        return Difference(changed if gone or came else "the same columns in another order")
    if before != after:
        return Difference(f"{before:,} rows became {after:,}")
    told: list[str] = []
    pairs: list[tuple[Any, Any]] = []
    for name, first, second in columns:
        differing = [(a, b) for a, b in zip(first, second, strict=True) if not _same(a, b)]
        told += [f"{name} in {len(differing):,} of {before:,} rows"] * bool(differing)
        pairs += differing
    return _sized(", ".join(told), pairs) if told else Difference("the same rows, written differently", 0.0)


def _model(old: bytes, new: bytes) -> Difference:
    """What differs in two models, by their library's JSON form."""
    return _values(*(_unquoted(model_file.as_json(each)) for each in (old, new)))


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

    first, second = (np.asarray(Image.open(io.BytesIO(each)).convert("RGBA"), dtype=int) for each in (old, new))
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
