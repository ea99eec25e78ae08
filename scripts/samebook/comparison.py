"""Compare two results subject by subject: the verdict by hash, and what differs where hashes do.

A verdict is IDENTICAL (same sha256), EQUIVALENT (numbers differ, all within a stated tolerance), DIFFERENT, or
MISSING (one side lacks the subject, or its bytes to look into). A number's difference is relative to the larger
of the two, and absolute below 1.
"""

import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from pathlib import PurePath
from typing import Any

SHOWN = 160


class Verdict(StrEnum):
    IDENTICAL = "IDENTICAL"
    EQUIVALENT = "EQUIVALENT"
    DIFFERENT = "DIFFERENT"
    MISSING = "MISSING"


@dataclass(frozen=True)
class Comparison:
    """The verdict on one subject; `detail` says what differs, and is empty for IDENTICAL."""

    name: str
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True)
class Side:
    """One result: the sha256 of each subject, and a way to its bytes, where they are here."""

    digests: Mapping[str, str]
    content: Callable[[str], bytes | None]


@dataclass(frozen=True)
class Difference:
    """How two contents differ. `largest` is the largest difference of numbers; None where more than numbers differs."""

    detail: str
    largest: float | None = None


def compare(original: Side, reproduced: Side, tolerance: float = 0.0) -> list[Comparison]:
    """Every subject of either side, in the order of names."""
    names = sorted({*original.digests, *reproduced.digests})
    return [_compared(name, original, reproduced, tolerance) for name in names]


def _compared(name: str, original: Side, reproduced: Side, tolerance: float) -> Comparison:
    before, after = original.digests.get(name), reproduced.digests.get(name)
    if before is None or after is None:
        return Comparison(name, Verdict.MISSING, "only in the " + ("reproduction" if before is None else "original"))
    if before == after:
        return Comparison(name, Verdict.IDENTICAL)
    old, new = original.content(name), reproduced.content(name)
    if old is None or new is None:
        return Comparison(name, Verdict.DIFFERENT, "the original's bytes are not here to look into")
    found = difference(name, old, new)
    if found.largest is not None and found.largest <= tolerance:
        return Comparison(name, Verdict.EQUIVALENT, f"{found.detail}, within {tolerance:g}")
    return Comparison(name, Verdict.DIFFERENT, found.detail)


def difference(name: str, old: bytes, new: bytes) -> Difference:
    """What differs between two contents of one subject, by the kind that its name tells."""
    kind = "".join(PurePath(name).suffixes[-2:]) if name.endswith(".canonical.json") else PurePath(name).suffix
    look = KINDS.get(kind, _bytes)
    try:
        return look(old, new)
    except (ValueError, KeyError, TypeError, OSError) as error:
        return Difference(f"not readable as {kind}: {error}")


def _bytes(old: bytes, new: bytes) -> Difference:
    return Difference(f"{len(old):,} and {len(new):,} bytes, first different at byte {_alike(old, new):,}")


def _alike(old: Sequence[Any], new: Sequence[Any]) -> int:
    """How many of the first items are the same."""
    differing = (place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    return next(differing, min(len(old), len(new)))


def _json(old: bytes, new: bytes) -> Difference:
    return _summed(list(_leaves(json.loads(old), json.loads(new), "")))


def _leaves(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """The places where two JSON values differ, with both values there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _leaves(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (first, second) in enumerate(zip(old, new, strict=True)):
            yield from _leaves(first, second, f"{path}[{number}]")
    elif old != new:
        yield path, old, new


def _summed(differences: list[tuple[str, Any, Any]]) -> Difference:
    if not differences:
        return Difference("the same values, written differently", 0.0)
    gaps = [gap(old, new) for _, old, new in differences]
    largest = None if None in gaps else max(each for each in gaps if each is not None)
    path, old, new = differences[0]
    more = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
    size = "" if largest is None else f"; largest difference {largest:.3g}"
    return Difference(f"{path}: {_short(old)} became {_short(new)}{more}{size}", largest)


def gap(old: Any, new: Any) -> float | None:
    """The difference of two numbers, relative above 1; None for what is no number."""
    plain = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (old, new))
    if not plain or not (math.isfinite(old) and math.isfinite(new)):
        return None
    return abs(old - new) / max(1.0, abs(old), abs(new))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


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
        if first != second:
            name = (first["tags"] or [f"cell-{number}"])[0]
            # What people see in Lab is in HTML as well, which reads worse.
            path, was, now = min(_leaves(first, second, ""), key=lambda leaf: leaf[0].endswith("text/html"))
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
    """The first lines in which two texts differ, cut to where they do; other values in short."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return _short(old), _short(new)
    pairs = zip_longest(old.split("\n"), new.split("\n"), fillvalue="")
    first, second = next((a, b) for a, b in pairs if a != b)
    same = _alike(first, second)
    start = max(0, same - SHOWN // 2) if max(len(first), len(second)) > SHOWN else 0
    return _cut(first, start), _cut(second, start)


def _cut(line: str, start: int) -> str:
    before, after = "…" * (start > 0), "…" * (len(line) > start + SHOWN)
    return f"{before}{line[start : start + SHOWN]}{after}"


def _parquet(old: bytes, new: bytes) -> Difference:
    import pandas as pd

    return _frames(pd.read_parquet(io.BytesIO(old)), pd.read_parquet(io.BytesIO(new)))


def _csv(old: bytes, new: bytes) -> Difference:
    import pandas as pd

    return _frames(pd.read_csv(io.BytesIO(old)), pd.read_csv(io.BytesIO(new)))


def _frames(old: Any, new: Any) -> Difference:
    """Which columns differ, in how many rows, and the largest difference of numbers; two pandas frames."""
    if list(old.columns) != list(new.columns):
        gone, came = sorted(set(old) - set(new)), sorted(set(new) - set(old))
        changed = f"columns differ: without {gone or 'none'}, with new {came or 'none'}"
        return Difference(changed if gone or came else "the same columns in another order")
    if len(old) != len(new):
        return Difference(f"{len(old):,} rows became {len(new):,}")
    told = [(name, *_column(old[name], new[name])) for name in old.columns]
    changed = [(name, rows, size) for name, rows, size in told if rows]
    if not changed:
        return Difference("the same rows, written differently", 0.0)
    sizes = [size for _, _, size in changed]
    largest = None if None in sizes else max(size for size in sizes if size is not None)
    shown = ", ".join(f"{name} in {rows:,} of {len(old):,} rows" for name, rows, _ in changed)
    return Difference(shown + ("" if largest is None else f"; largest difference {largest:.3g}"), largest)


def _column(old: Any, new: Any) -> tuple[int, float | None]:
    """In how many rows two columns differ, and by how much at most; None where they are no numbers."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    differs = ~((old == new) | (old.isna() & new.isna())).fillna(False).astype(bool)
    rows = int(differs.sum())
    numeric = all(is_numeric_dtype(each) and not is_bool_dtype(each) for each in (old, new))
    if not rows or not numeric:
        return rows, (0.0 if not rows else None)
    gaps = [gap(float(a), float(b)) for a, b in zip(old[differs], new[differs], strict=True)]
    return rows, (None if None in gaps else max(each for each in gaps if each is not None))


def _model(old: bytes, new: bytes) -> Difference:
    """What differs in two xgboost models, by their own JSON form."""
    import xgboost

    def plain(content: bytes) -> Any:
        return _unquoted(json.loads(xgboost.Booster(model_file=bytearray(content)).save_raw("json")))

    return _summed(list(_leaves(plain(old), plain(new), "")))


def _unquoted(value: Any) -> Any:
    """A JSON value with the numbers that xgboost writes as texts ("5E-1", "[2.3E-1]") as numbers."""
    if isinstance(value, dict):
        return {key: _unquoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unquoted(item) for item in value]
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
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
    ".ubj": _model,
    ".png": _image,
}


def table(comparisons: list[Comparison]) -> str:
    """The verdicts as text, a line a subject, with what differs below it."""
    width = max((len(each.name) for each in comparisons), default=0)
    lines = [f"{'subject':<{width}}  verdict"]
    for each in comparisons:
        lines.append(f"{each.name:<{width}}  {each.verdict}")
        if each.detail:
            lines.append(f"  {each.detail}")
    return "\n".join(lines)


def overall(comparisons: list[Comparison]) -> Verdict:
    """The worst verdict of all."""
    found = {each.verdict for each in comparisons}
    worst = (Verdict.MISSING, Verdict.DIFFERENT, Verdict.EQUIVALENT)
    return next((verdict for verdict in worst if verdict in found), Verdict.IDENTICAL)
