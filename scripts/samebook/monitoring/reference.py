"""The monitoring reference of a model: the distribution of its features and its score, to compare later days with.

A reference holds, for each feature and for the score, the number of rows in each bin. Where the days of the rows are
given it also holds how alike the rows of one day are, because an event moves many rows of a day at once, and how far
its most unusual day is from all of them.
"""

from typing import TYPE_CHECKING, Any

from samebook.core.errors import UsageError
from samebook.models import lookup
from samebook.monitoring.bins import Bins, bin_numbers, bin_values, expected_counts
from samebook.monitoring.psi import DIGITS, bin_groups, psi

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

VERSION = 2

type Reference = dict[str, Any]


def reference(
    features: "pd.DataFrame",
    score: "pd.Series",
    feature_days: "pd.Series | None" = None,
    score_days: "pd.Series | None" = None,
) -> Reference:
    """The reference of features (one row a sample, one column a feature) and of a score, as plain JSON.

    `feature_days` and `score_days` hold the day of each sample; without them samples count as independent.
    """
    return {
        "version": VERSION,
        "rows": len(features),
        "days": _count_days(feature_days),
        "features": {str(name): distribution(features[name], feature_days) for name in features},
        "score": {"rows": len(score), "days": _count_days(score_days), **distribution(score, score_days)},
    }


def usable_reference(reference: Reference | None, model: str) -> Reference:
    """The reference of a model. Raises UsageError where it is missing, empty or of another version."""
    name = lookup.NAME.match(model)
    mend = f"make run NOTEBOOK=train && make promote RUN=train MODEL={name[0] if name else model}"
    if reference is None:
        raise UsageError(f"model {model} has no reference; its notebook calls samebook.log_reference", mend=mend)
    if not reference.get("rows"):
        raise UsageError(
            f"the monitoring reference of model {model}: found no rows, expected those of its training", mend=mend
        )
    version = reference.get("version", 1)
    if version != VERSION:
        message = f"the monitoring reference of model {model}: found version {version}, expected {VERSION}"
        raise UsageError(message, mend=mend)
    return reference


def distribution(values: "pd.Series", days: "pd.Series | None" = None) -> Bins:
    """The bins of some values, and how their days differ.

    `intraclass`: from 0, the rows of a day are independent, to 1, they are all alike. `farthest`: the largest PSI of a
    day against all days. `absent`: the largest share of a day that is missing. Without days the first two are 0.
    """
    import pandas as pd

    bins = bin_values(values)
    if values.empty:
        return bins | {"intraclass": 0.0, "farthest": 0.0, "absent": 0.0}
    if days is None:
        return bins | {"intraclass": 0.0, "farthest": 0.0, "absent": round(float(values.isna().mean()), DIGITS)}
    before = expected_counts(bins)
    table = pd.crosstab(days.to_numpy(), bin_numbers(values, bins)).reindex(columns=range(len(before)), fill_value=0)
    by_day = table.to_numpy(dtype=float)
    bins |= {"intraclass": _intraclass(_merge_bins(by_day, before, bins, len(values) // len(by_day)))}
    absent = round(float((by_day[:, -2] / by_day.sum(axis=1)).max()), DIGITS)
    return bins | {"farthest": _farthest(by_day, before, bins), "absent": absent}


def _count_days(days: "pd.Series | None") -> int:
    return 0 if days is None else int(days.nunique())


def _intraclass(table: "np.ndarray") -> float:
    """The intraclass correlation of the bins' shares, from counts with one row a day and one column a bin.

    Chi-square of the table, over its degrees of freedom, is the mean design effect (Rao and Scott, 1981): 1 for
    independent rows, the number of a day's rows where they are all alike.
    """
    table = table[:, table.any(axis=0)]
    sizes, total = table.sum(axis=1), table.sum()
    if min(table.shape) < 2 or not sizes.all():
        return 0.0
    usual = sizes[:, None] * table.sum(axis=0) / total
    effect = ((table - usual) ** 2 / usual).sum() / ((len(table) - 1) * (table.shape[1] - 1))
    size = (total - (sizes**2).sum() / total) / (len(table) - 1)
    return round(float(min(max((effect - 1) / (size - 1), 0.0), 1.0)), DIGITS) if size > 1 else 0.0


def _farthest(by_day: "np.ndarray", before: "np.ndarray", bins: Bins) -> float:
    """The largest PSI of a day against all days. Rare bins are merged as they are for a new day."""
    largest = 0.0
    for now in by_day:
        size = int(now.sum())
        pair = _merge_bins(before, before, bins, size), _merge_bins(now, before, bins, size)
        largest = max(largest, float(psi(*pair)))
    return round(largest, DIGITS)


def _merge_bins(counts: "np.ndarray", before: "np.ndarray", bins: Bins, size: int) -> "np.ndarray":
    """The counts by group of bins, from the counts by bin on the last axis; the groups are those of `size` rows."""
    import numpy as np

    groups = bin_groups(before, min(size, int(before.sum())), is_ordered="edges" in bins)
    return counts @ np.eye(int(groups.max()) + 1)[groups]
