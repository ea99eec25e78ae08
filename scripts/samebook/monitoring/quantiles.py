"""Quantiles of columns that are larger than memory: exact, by counting the digits of their values.

The 64 bits of a float, in the order of the numbers, are four digits of 16 bits. Each pass over the rows counts one
digit of the values that share the digits before it, for each rank that is looked for. Memory holds 5 MB a column.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BITS = 16
PASSES = 64 // BITS
_SIZE = 1 << BITS


class LowerQuantiles:
    """The values at some shares of a column, each the largest that occurs and is not above the quantile.

    Each of `PASSES` passes gives all values to `add`, and ends with `end_pass`. They are those of numpy's method
    "lower", but that -0 is 0.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        import numpy as np

        # As pandas hands them to numpy: in percent and back, which is not always the same float.
        self._shares = np.true_divide(np.asarray(shares) * 100.0, 100)
        self._ranks = np.zeros(0, dtype=np.int64)
        self._prefixes = np.zeros(len(shares), dtype=np.uint64)
        self._digit = 0
        self._start()

    def add(self, values: "np.ndarray") -> None:
        """Count numbers without nulls."""
        import numpy as np

        keys = _keys(values)
        shift = np.uint64(64 - BITS * (self._digit + 1))
        digits = ((keys >> shift) & np.uint64(_SIZE - 1)).astype(np.int64)
        if self._digit:
            prefixes = keys >> (shift + np.uint64(BITS))
            places = np.searchsorted(self._open, prefixes).clip(max=len(self._open) - 1)
            is_open = self._open[places] == prefixes
            digits = digits[is_open] + _SIZE * places[is_open]
        self._counts += np.bincount(digits, minlength=self._counts.size).reshape(self._counts.shape)

    def end_pass(self) -> None:
        """Fix the next digit of each quantile."""
        import numpy as np

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
