"""What a model's world looked like when it was made, to be told later from what it looks like then.

A reference holds, for each feature and for the score, how many rows fell into each bin. Where the rows' days are given
it also holds how alike the rows of one day are (what moves one order of a day moves others too), and how far the most
unusual of its own days is from all of them.
"""

from typing import TYPE_CHECKING, Any

from samebook.monitoring.bins import binned, expected, places
from samebook.monitoring.psi import DIGITS, merged, psi

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
    """The distribution of each feature (one row a sample, a column each) and of the score, as plain JSON.

    `feature_days` and `score_days` say which day each sample is of; without them samples count as independent.
    """
    return {
        "version": VERSION,
        "rows": len(features),
        "days": _days(feature_days),
        "features": {str(name): described(features[name], feature_days) for name in features},
        "score": {"rows": len(score), "days": _days(score_days), **described(score, score_days)},
    }


def described(values: "pd.Series", days: "pd.Series | None" = None) -> Reference:
    """The bins of some values, and what their days are like.

    `intraclass`: from 0, rows of a day are independent, to 1, they are all alike. `farthest`: the largest PSI of a
    day against all. `absent`: the largest share of a day that is missing. Without days the first two are 0.
    """
    import pandas as pd

    found = binned(values)
    if values.empty:
        return found | {"intraclass": 0.0, "farthest": 0.0, "absent": 0.0}
    if days is None:
        return found | {"intraclass": 0.0, "farthest": 0.0, "absent": round(float(values.isna().mean()), DIGITS)}
    before = expected(found)
    table = pd.crosstab(days.to_numpy(), places(values, found)).reindex(columns=range(len(before)), fill_value=0)
    by_day = table.to_numpy(dtype=float)
    found |= {"intraclass": _intraclass(_joined(by_day, before, found, len(values) // len(by_day)))}
    absent = round(float((by_day[:, -2] / by_day.sum(axis=1)).max()), DIGITS)
    return found | {"farthest": _farthest(by_day, before, found), "absent": absent}


def _days(days: "pd.Series | None") -> int:
    return 0 if days is None else int(days.nunique())


def _intraclass(table: "np.ndarray") -> float:
    """The intraclass correlation of the bins' shares, of counts with one row a day and one column a bin.

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


def _farthest(table: "np.ndarray", before: "np.ndarray", told: Reference) -> float:
    """The largest PSI of a day, its rare bins merged as they will be."""
    found = 0.0
    for now in table:
        size = int(now.sum())
        known, here = _joined(before, before, told, size), _joined(now, before, told, size)
        found = max(found, float(psi(known, here)))
    return round(found, DIGITS)


def _joined(counts: "np.ndarray", before: "np.ndarray", told: Reference, size: int) -> "np.ndarray":
    """Counts by bin, the last axis, as counts by group of bins: those that so many rows have."""
    import numpy as np

    groups = merged(before, min(size, int(before.sum())), ordered="edges" in told)
    return counts @ np.eye(int(groups.max()) + 1)[groups]
