"""The distributions of features that are larger than memory, read in several passes over their batches.

They are those of all rows at once, to the last digit. Memory holds a batch, 5 MB a column for its quantiles, the words
of text columns, and the counts of each day.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from samebook.core.errors import UsageError
from samebook.monitoring.bins import SHARES, Bins, bin_numbers, expected_counts, is_number, number_bins, range_of
from samebook.monitoring.quantiles import LowerQuantiles

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

AGAIN = "hand what can be read again: samebook.read_batches(…), a list, or a function that returns the batches"

type Frames = Iterable[pd.DataFrame] | Callable[[], Iterable[pd.DataFrame]]


def read(frames: Frames) -> Iterable["pd.DataFrame"]:
    """The batches from the first on."""
    return frames() if callable(frames) else frames


class Samples:
    """Batches of features, which can be iterated again, with the name of the column that holds each row's day."""

    def __init__(self, frames: Frames, day: str | None) -> None:
        self._frames, self._day = frames, day
        self._columns: list[object] = []
        self.rows = -1

    def __iter__(self) -> Iterator[tuple["pd.DataFrame", "pd.Series | None"]]:
        """The features of each batch, and their days. Raises UsageError where a pass has other rows or columns."""
        rows = 0
        for frame in read(self._frames):
            rows += len(frame)
            self._columns = self._columns or list(frame)
            if list(frame) != self._columns:
                raise UsageError(
                    f"batches of features differ: found the columns {', '.join(map(str, frame))}; "
                    f"expected {', '.join(map(str, self._columns))}",
                    mend="give each batch the columns of the first one",
                )
            yield split_days(frame, self._day)
        if self.rows not in (-1, rows):
            raise UsageError(f"batches of features: {self.rows} rows at first, {rows} when read again", mend=AGAIN)
        self.rows = rows


def split_days(frame: "pd.DataFrame", day: str | None) -> tuple["pd.DataFrame", "pd.Series | None"]:
    """A frame without its column of days, and that column. Raises UsageError where there is none."""
    if day is None:
        return frame, None
    if day not in frame:
        raise UsageError(
            f"features have no column {day!r} for the days; found {', '.join(map(str, frame))}",
            mend="log_reference(…, feature_days=…), with the name of the column that holds each row's day",
        )
    return frame.drop(columns=day), frame[day]


class Distribution:
    """The bins of one feature, and their counts by day, as passes over its batches go on."""

    def __init__(self, name: str) -> None:
        self._name, self._words = name, Counter[str]()
        self._kinds: set[bool] = set()
        self._kind_without_values = False
        self._quantiles = LowerQuantiles(SHARES)
        self._missing, self._low, self._high, self._top = 0, math.inf, -math.inf, -math.inf
        self._by_day: dict[str, np.ndarray] = {}
        self.bins: Bins = {}

    def look(self, values: "pd.Series", digit: int) -> None:
        """Count values, in a pass until `is_looked_at`. Raises UsageError where batches mix numbers with text."""
        if digit and self.is_looked_at:
            return
        present = values.dropna()
        if not digit:
            self._count(values, present)
        if len(self._kinds) > 1:
            raise UsageError(
                f"feature {self._name}: numbers in one batch, text in another; expected one kind",
                mend="frame = frame.astype(…), to the types of the first batch",
            )
        if self._is_numeric() and not self._quantiles.is_done:
            self._quantiles.add(present.to_numpy(dtype=float))

    def end_look(self) -> None:
        if not self._quantiles.is_done:
            self._quantiles.end_pass()

    @property
    def is_looked_at(self) -> bool:
        """Whether its quantiles need no further pass."""
        return self._quantiles.is_done

    def set_bins(self) -> None:
        """Fix the bins, once all passes are done."""
        if self._is_numeric():
            edges = sorted({value for value in self._quantiles.values() if value < self._top})
            counts = [0] * (len(edges) + 1)
            self.bins = {"edges": edges, "counts": counts, "missing": self._missing}
            self.bins["range"] = range_of(self._low, self._high) if self._low <= self._high else []
        else:
            self.bins = {"values": dict(sorted(self._words.items())), "missing": self._missing}

    def fill(self, values: "pd.Series", days: "tuple[np.ndarray, pd.Index] | None") -> None:
        """Count a batch's values by bin and by day; days are codes and what each code stands for."""
        import numpy as np

        if "edges" in self.bins:
            places, more = number_bins(values, self.bins)
            self.bins["counts"] = [count + n for count, n in zip(self.bins["counts"], more, strict=True)]
        else:
            places = bin_numbers(values, self.bins)
        if days is None:
            return
        (codes, names), width = days, len(expected_counts(self.bins))
        dated = codes >= 0
        cells = codes[dated] * width + places[dated]
        table = np.bincount(cells, minlength=len(names) * width).reshape(len(names), width)
        for name, row in zip(names, table, strict=True):
            self._by_day[str(name)] = self._by_day[str(name)] + row if str(name) in self._by_day else row

    def by_day(self) -> "np.ndarray":
        """The counts, one row a day in their order, one column a bin."""
        import numpy as np

        return np.array([self._by_day[day] for day in sorted(self._by_day)], dtype=float)

    def _is_numeric(self) -> bool:
        return True in self._kinds if self._kinds else self._kind_without_values

    def _count(self, values: "pd.Series", present: "pd.Series") -> None:
        self._missing += len(values) - len(present)
        if present.empty:
            self._kind_without_values = self._kind_without_values or is_number(values)
            return
        self._kinds.add(is_number(values))
        if not is_number(values):
            counts = present.astype(str).value_counts()
            self._words.update({str(word): int(count) for word, count in counts.items() if count})
            return
        finite = present[present.abs() < math.inf]
        if len(finite):
            self._low, self._high = min(self._low, float(finite.min())), max(self._high, float(finite.max()))
        self._top = max(self._top, float(present.max()))
