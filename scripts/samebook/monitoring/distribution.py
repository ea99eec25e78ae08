"""The distributions of features that are larger than memory, from one pass over their batches.

They are those of all rows at once, to the last digit. Memory holds a batch, 6 MB a column, the words of text columns,
and one column's counts of each day; the disk, how many rows of each day have which value.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from samebook.core.errors import UsageError
from samebook.monitoring.bins import SHARES, Bins, is_number, number_bins, range_of, seen_words, split_words
from samebook.monitoring.quantiles import LowerQuantiles
from samebook.monitoring.spill import Spill

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

type Frames = Iterable[pd.DataFrame] | Callable[[], Iterable[pd.DataFrame]]


def read(frames: Frames) -> Iterator["pd.DataFrame"]:
    """The batches from the first on."""
    return iter(frames() if callable(frames) else frames)


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


class Distributions:
    """The distributions of all features, whose spills are in `folder`. `day` is the name of the column of days."""

    def __init__(self, folder: Path, day: str | None) -> None:
        self._folder, self._day = folder, day
        self._names: list[object] = []
        self._days: dict[str, int] = {}
        self._columns: list[Distribution] = []
        self.rows = 0

    def add(self, frame: "pd.DataFrame") -> None:
        """Count a batch. Raises UsageError where it has other columns than the first one."""
        features, days = split_days(frame, self._day)
        if not self._columns:
            self._names = list(frame)
            spills = (Spill(self._folder / f"{place}.arrow") for place, _ in enumerate(features))
            self._columns = [Distribution(str(name), spill) for name, spill in zip(features, spills, strict=True)]
        if list(frame) != self._names:
            raise UsageError(
                f"batches of features differ: found the columns {', '.join(map(str, frame))}; "
                f"expected {', '.join(map(str, self._names))}",
                mend="give each batch the columns of the first one",
            )
        codes = self._codes(len(frame), days)
        for column, name in zip(self._columns, features, strict=True):
            column.add(features[name], codes)
        self.rows += len(frame)

    def results(self) -> Iterator[tuple[str, Bins, "np.ndarray"]]:
        """The name and bins of each feature, and its counts: one row a day, in their order, one column a bin."""
        order = [code for _, code in sorted(self._days.items())]
        for column in self._columns:
            bins, table = column.result(len(order))
            yield column.name, bins, table[order]

    @property
    def days(self) -> list[str]:
        """The days that rows have, in their order."""
        return sorted(self._days)

    def _codes(self, rows: int, days: "pd.Series | None") -> "np.ndarray":
        """The code of each row's day, -1 where it has none."""
        import numpy as np
        import pandas as pd

        if days is None:
            return np.full(rows, -1)
        codes, names = pd.factorize(days)
        return np.array([*(self._days.setdefault(str(name), len(self._days)) for name in names), -1])[codes]


class Distribution:
    """The distribution of one feature: `add` all batches, then take the `result`."""

    def __init__(self, name: str, spill: Spill) -> None:
        self.name, self._spill = name, spill
        self._words: dict[str, int] = {}
        self._kinds: set[bool] = set()
        self._kind_without_values = False
        self._quantiles = LowerQuantiles(SHARES)
        self._low, self._high, self._top = math.inf, -math.inf, -math.inf

    def add(self, values: "pd.Series", days: "np.ndarray") -> None:
        """Count values by day. Raises UsageError where batches mix numbers with text."""
        import numpy as np

        numeric = is_number(values)
        if values.isna().all():
            self._kind_without_values = self._kind_without_values or numeric
            numbers = np.full(len(values), math.nan)
        else:
            self._kinds.add(numeric)
            numbers = values.to_numpy(dtype=float, na_value=math.nan) + 0.0 if numeric else self._codes(values)
        if len(self._kinds) > 1:
            raise UsageError(
                f"feature {self.name}: numbers in one batch, text in another; expected one kind",
                mend="frame = frame.astype(…), to the types of the first batch",
            )
        counted = _counted(days, numbers)
        self._spill.add(*counted)
        if numeric:
            self._look(*counted[1:])

    def result(self, days: int) -> tuple[Bins, "np.ndarray"]:
        """The bins, and the counts with one row a day and one column a bin."""
        self._spill.end()
        is_numeric = True in self._kinds if self._kinds else self._kind_without_values
        return self._numeric(days) if is_numeric else self._worded(days)

    def _numeric(self, days: int) -> tuple[Bins, "np.ndarray"]:
        import numpy as np

        self._quantiles.end_pass()
        while not self._quantiles.is_done:
            for _, values, times in self._spill:
                is_present = ~np.isnan(values)
                self._quantiles.add(values[is_present], times[is_present])
            self._quantiles.end_pass()
        edges = sorted({value for value in self._quantiles.values() if value < self._top})
        bounds = range_of(self._low, self._high) if self._low <= self._high else []
        bins: Bins = {"edges": edges, "counts": [0] * (len(edges) + 1), "missing": 0, "range": bounds}
        table = np.zeros((days, len(edges) + 3))
        for codes, values, times in self._spill:
            places, counts = number_bins(values, bins, times)
            bins["counts"] = [before + now for before, now in zip(bins["counts"], counts, strict=True)]
            bins["missing"] += int(times[np.isnan(values)].sum())
            _fill(table, codes, places, times)
        return bins, table

    def _worded(self, days: int) -> tuple[Bins, "np.ndarray"]:
        import numpy as np

        totals = np.zeros(len(self._words) + 1, dtype=np.int64)  # the last one is that of missing values
        for _, values, times in self._spill:
            totals += np.bincount(_places(values, len(self._words)), times, len(totals)).astype(np.int64)
        counts = {word: int(totals[code]) for word, code in sorted(self._words.items())}
        bins: Bins = {"values": counts, "missing": int(totals[-1])}
        places = np.array([*seen_words(self._words, bins), len(counts)])
        table = np.zeros((days, len(counts) + 2))
        for codes, values, times in self._spill:
            _fill(table, codes, places[_places(values, len(self._words))], times)
        return bins, table

    def _codes(self, values: "pd.Series") -> "np.ndarray":
        """The numbers that stand for words."""
        import numpy as np

        codes, words = split_words(values)
        numbers = [self._words.setdefault(word, len(self._words)) for word in words]
        return np.array([*numbers, math.nan], dtype=float)[codes]

    def _look(self, values: "np.ndarray", times: "np.ndarray") -> None:
        import numpy as np

        is_present = ~np.isnan(values)
        present = values[is_present]
        self._quantiles.add(present, times[is_present])
        finite = present[np.isfinite(present)]
        self._low, self._high = float(finite.min(initial=self._low)), float(finite.max(initial=self._high))
        self._top = float(present.max(initial=self._top))


def _counted(days: "np.ndarray", numbers: "np.ndarray") -> tuple["np.ndarray", "np.ndarray", "np.ndarray"]:
    """The days and numbers that occur together, and how often."""
    import numpy as np
    import pandas as pd

    codes, values = pd.factorize(numbers, use_na_sentinel=False)
    first, width = int(days.min(initial=0)), max(len(values), 1)
    pairs = (days - first) * width + codes
    if int(pairs.max(initial=0)) < 8 * len(pairs):
        times = np.bincount(pairs)
        pairs = np.flatnonzero(times)
        times = times[pairs]
    else:
        pairs, times = np.unique(pairs, return_counts=True)
    return pairs // width + first, values[pairs % width], times


def _places(values: "np.ndarray", missing: int) -> "np.ndarray":
    """Codes of words as whole numbers, with `missing` for a missing one."""
    import numpy as np

    return np.where(np.isnan(values), missing, values).astype(np.int64)


def _fill(table: "np.ndarray", days: "np.ndarray", places: "np.ndarray", times: "np.ndarray") -> None:
    """Add counts to a table with one row a day and one column a bin."""
    import numpy as np

    is_dated = days >= 0
    days, places, times = days[is_dated], places[is_dated], times[is_dated]
    if len(days):
        first, last, width = int(days.min()), int(days.max()) + 1, table.shape[1]
        cells = np.bincount((days - first) * width + places, times, (last - first) * width)
        table[first:last] += cells.reshape(last - first, width)
