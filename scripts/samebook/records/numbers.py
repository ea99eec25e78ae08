"""The size of the difference of two numbers, and the numbers in two texts that are the same but for them.

A size is relative to the larger number, and absolute below 1. It is also a count of units in the last place (ulp), for
two floats: in single precision where both have it.
"""

import math
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

# A decimal number, or a float in hexadecimal, that is no part of a word, a version or a hash.
NUMBER = re.compile(r"(?<![\w.])[-+]?(0x[01]\.[0-9a-f]+p[-+]\d+|(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?)(?!\w)", re.IGNORECASE)
SINGLE, DOUBLE = ("<f", "<i", 31), ("<d", "<q", 63)


def gap(old: Any, new: Any) -> float | None:
    """The difference of two numbers, relative to the larger one, absolute below 1; None where one is not a number, or
    larger than any float.
    """
    with suppress(OverflowError):
        if all(type(value) in (int, float) and math.isfinite(value) for value in (old, new)):
            return abs(old - new) / max(1, abs(old), abs(new))
    return None


def ulps(old: Any, new: Any) -> int:
    """The number of steps between two floats; 0 where one is not a finite float."""
    if not all(type(value) is float and math.isfinite(value) for value in (old, new)):
        return 0
    precision = SINGLE if _is_single(old) and _is_single(new) else DOUBLE
    return abs(_position(old, *precision) - _position(new, *precision))


def largest(pairs: Iterable[tuple[Any, Any]]) -> tuple[float, int]:
    """The largest size of the differences of these pairs, and the largest one in units in the last place."""
    sizes = [(gap(*pair) or 0.0, ulps(*pair)) for pair in pairs]
    return max((size for size, _ in sizes), default=0.0), max((count for _, count in sizes), default=0)


def _is_single(value: float) -> bool:
    with suppress(OverflowError):
        return struct.unpack("<f", struct.pack("<f", value)) == (value,)
    return False


def _position(value: float, kind: str, integer: str, bits: int) -> int:
    """The place of a float among all floats of its kind."""
    (number,) = struct.unpack(integer, struct.pack(kind, value))
    return number if number >= 0 else -(2**bits) - number


def pairs(old: Any, new: Any) -> Iterator[tuple[float, float]]:
    """The numbers of two texts, in pairs; none where anything else in them differs but white space."""
    if isinstance(old, str) and isinstance(new, str) and _frame(old) == _frame(new):
        texts = (NUMBER.finditer(text) for text in (old, new))
        yield from ((_float(first[0]), _float(second[0])) for first, second in zip(*texts, strict=True))


def _frame(text: str) -> tuple[str, int]:
    """The text without its numbers and without white space, and the count of its numbers."""
    frame, count = NUMBER.subn("#", text)
    return "".join(frame.split()), count


def _float(text: str) -> float:
    with suppress(OverflowError):
        return float.fromhex(text) if "x" in text.lower() else float(text)
    return math.inf
