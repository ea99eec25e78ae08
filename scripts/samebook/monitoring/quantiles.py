"""Quantiles of columns that are larger than memory: exact, by counting values, or the digits of values.

A column with few different values is counted in one pass. Of another the 64 bits of its floats, in the order of the
numbers, are four digits of 16 bits. Each pass counts one digit of the values that share the digits before it, for each
rank that is looked for. Memory holds 5 MB a column.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BITS = 16
PASSES = 64 // BITS
_SIZE = 1 << BITS
# A column with no more different values than these is counted by value.
FEW = 1 << 16


class LowerQuantiles:
    """The values at some shares of a column, each the largest that occurs and is not above the quantile.

    Each pass gives all values to `add`, and ends with `end_pass`, until `is_done`: after one pass of a column with FEW
    values, after `PASSES` of another. They are those of numpy's method "lower", but that -0 is 0.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        import numpy as np

        # As pandas hands them to numpy: in percent and back, which is not always the same float.
        self._shares = np.true_divide(np.asarray(shares) * 100.0, 100)
        self._ranks = np.zeros(0, dtype=np.int64)
        self._prefixes = np.zeros(len(shares), dtype=np.uint64)
        self._digit = 0
        self._start()
        self._few: np.ndarray | None = np.zeros(0)  # in their order
        self._times = np.zeros(0, dtype=np.int64)

    @property
    def is_done(self) -> bool:
        """Whether no further pass is needed."""
        return self._digit == PASSES

    def add(self, values: "np.ndarray", times: "np.ndarray") -> None:
        """Count numbers without nulls, each of them so many times."""
        import numpy as np

        if self._few is None:
            return self._add_digits(values, times)
        different, inverse = np.unique(np.asarray(values, dtype=np.float64) + 0.0, return_inverse=True)
        times = np.bincount(inverse, times, len(different)).astype(np.int64)
        places = np.searchsorted(self._few, different)
        is_new = self._few[places.clip(max=len(self._few) - 1)] != different if len(self._few) else places == 0
        self._times[places[~is_new]] += times[~is_new]
        self._few = np.insert(self._few, places[is_new], different[is_new])
        self._times = np.insert(self._times, places[is_new], times[is_new])
        if len(self._few) > FEW:
            self._add_digits(self._few, self._times)
            self._few = None
        return None

    def _add_digits(self, values: "np.ndarray", times: "np.ndarray") -> None:
        """Count the next digit of values, each of them so many times."""
        import numpy as np

        keys = _keys(values)
        shift = np.uint64(64 - BITS * (self._digit + 1))
        digits = ((keys >> shift) & np.uint64(_SIZE - 1)).astype(np.int64)
        if self._digit:
            prefixes = keys >> (shift + np.uint64(BITS))
            places = np.searchsorted(self._open, prefixes).clip(max=len(self._open) - 1)
            is_open = self._open[places] == prefixes
            digits, times = digits[is_open] + _SIZE * places[is_open], times[is_open]
        counts = np.bincount(digits, weights=times, minlength=self._counts.size)
        self._counts += counts.astype(np.int64).reshape(self._counts.shape)

    def end_pass(self) -> None:
        """Fix the next digit of each quantile, or all of them."""
        import numpy as np

        if self._few is not None:
            self._end_few(self._few)
            return
        if not self._digit:
            self._ranks = np.floor((self._counts.sum() - 1) * self._shares).astype(np.int64)
        if self._counts.any():
            for place, rows in enumerate(np.searchsorted(self._open, self._prefixes)):
                below = np.cumsum(self._counts[rows])
                digit = int(np.searchsorted(below, self._ranks[place], side="right"))
                self._ranks[place] -= below[digit - 1] if digit else 0
                self._prefixes[place] = (self._prefixes[place] << np.uint64(BITS)) | np.uint64(digit)
        self._digit += 1
        self._start()

    def _end_few(self, few: "np.ndarray") -> None:
        import numpy as np

        self._digit = PASSES
        if len(few):
            self._ranks = np.floor((self._times.sum() - 1) * self._shares).astype(np.int64)
            self._prefixes = _keys(few[np.searchsorted(np.cumsum(self._times), self._ranks, side="right")])

    def values(self) -> list[float]:
        """The quantiles, once all passes are done; none of a column without values."""
        return _numbers(self._prefixes).tolist() if len(self._ranks) and self._ranks.min() >= 0 else []

    def _start(self) -> None:
        import numpy as np

        self._open = np.unique(self._prefixes)
        self._counts = np.zeros((len(self._open), _SIZE), dtype=np.int64)


def _keys(values: "np.ndarray") -> "np.ndarray":
    """Whole numbers in the order of the floats: their bits, turned where the sign is negative."""
    import numpy as np

    bits = (np.ascontiguousarray(values, dtype=np.float64) + 0.0).view(np.uint64)
    top = np.uint64(1 << 63)
    return np.where(bits & top, ~bits, bits | top)


def _numbers(keys: "np.ndarray") -> "np.ndarray":
    import numpy as np

    top = np.uint64(1 << 63)
    return np.where(keys & top, keys ^ top, ~keys).view(np.float64)
