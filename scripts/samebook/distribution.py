"""What a model's world looked like when it was made, to be told later from what it looks like then.

A reference holds, for each feature and for the score, how many rows fell into each bin. Bins of numbers are cut at
deciles; missing values, and values that were not there, have bins of their own: they are drift too.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

BINS = 10

type Reference = dict[str, Any]


def reference(features: "pd.DataFrame", score: "pd.Series") -> Reference:
    """The distribution of each feature (one row a sample, a column each) and of the score, as plain JSON."""
    return {
        "rows": len(features),
        "features": {str(name): binned(features[name]) for name in features},
        "score": {"rows": len(score), **binned(score)},
    }


def binned(values: "pd.Series") -> Reference:
    """Numbers: `edges`, and `counts` of the bins that they cut, the outer ones open. Others: `values` and their counts.

    `missing` counts what is null.
    """
    import pandas as pd

    known = values.dropna()
    missing = int(values.isna().sum())
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        edges = _edges(known)
        return {"edges": edges, "counts": counted(known, edges), "missing": missing}
    counts = known.astype(str).value_counts()
    return {"values": {value: int(count) for value, count in sorted(counts.items()) if count}, "missing": missing}


def counted(values: "pd.Series", edges: list[float]) -> list[int]:
    """How many values lie in each bin: up to the first edge, between two, above the last."""
    import numpy as np

    bins = np.searchsorted(np.asarray(edges, dtype=float), values.to_numpy(dtype=float), side="left")
    return [int(count) for count in np.bincount(bins, minlength=len(edges) + 1)]


def _edges(values: "pd.Series") -> list[float]:
    """The inner deciles, each once; values that occur, so that no bin is empty."""
    if values.empty:
        return []
    quantiles = values.astype(float).quantile([n / BINS for n in range(1, BINS)], interpolation="lower")
    return sorted({float(value) for value in quantiles if value < values.max()})
