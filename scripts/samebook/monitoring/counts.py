"""Counts of a dataset by day: of its rows, and of each column's values in the bins of a reference.

They are all that monitoring needs of the rows, so that memory holds a batch of these, however long the window is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from samebook.core.errors import UsageError
from samebook.monitoring.bins import Bins, bin_numbers, expected_counts

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Counts:
    """The rows of each day; for each column, and each day, the rows in each bin of `expected_counts`."""

    rows: dict[str, int] = field(default_factory=dict)
    bins: dict[str, dict[str, "np.ndarray"]] = field(default_factory=dict)

    def add(self, frame: "pd.DataFrame", columns: Mapping[str, Bins]) -> None:
        """Add rows, with their day in the column `day`, and the values of these columns, which the frame has.

        Raises UsageError for text where a reference has numbers.
        """
        for day, part in frame.groupby("day"):
            self.rows[str(day)] = self.rows.get(str(day), 0) + len(part)
            for name, bins in columns.items():
                by_day = self.bins.setdefault(name, {})
                by_day[str(day)] = by_day.get(str(day), 0) + _counted(name, part[name], bins)

    def of(self, name: str, day: str | None = None) -> "np.ndarray":
        """The rows in each bin of a column, on a day or on all days; there is one at least."""
        import numpy as np

        by_day = self.bins[name]
        return by_day[day] if day else np.sum(list(by_day.values()), axis=0)


def _counted(name: str, values: "pd.Series", bins: Bins) -> "np.ndarray":
    import numpy as np

    try:
        return np.bincount(bin_numbers(values, bins), minlength=len(expected_counts(bins)))
    except ValueError as error:
        raise UsageError(
            f"feature {name}: expected numbers, as the reference has; {error}",
            mend="make promote RUN=… MODEL=…, of a run with this kind of column",
        ) from None
