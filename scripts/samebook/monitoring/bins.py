"""Bins: how many values fall into each, by what a reference says of them; and a sample's place in them.

Numbers are cut at deciles; missing values, and values that were not there, have bins of their own: they are drift too.
"""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

BINS = 10

type Binned = dict[str, Any]


def binned(values: "pd.Series") -> Binned:
    """Numbers: `edges`, `counts` of the bins that they cut, and `range`, beyond which a number is another thing.

    Others: `values` and their counts. `missing` counts what is null.
    """
    import pandas as pd

    known = values.dropna()
    missing = int(values.isna().sum())
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        edges = _edges(known)
        return {"edges": edges, "counts": counted(known, edges), "missing": missing, "range": _range(known)}
    counts = known.astype(str).value_counts()
    return {"values": {value: int(count) for value, count in sorted(counts.items()) if count}, "missing": missing}


def counted(values: "pd.Series", edges: list[float]) -> list[int]:
    """How many values lie in each bin: up to the first edge, between two, above the last."""
    import numpy as np

    bins = np.searchsorted(np.asarray(edges, dtype=float), values.to_numpy(dtype=float), side="left")
    return [int(count) for count in np.bincount(bins, minlength=len(edges) + 1)]


def expected(found: Binned) -> "np.ndarray":
    """How many rows a sample as large as the reference has in each bin: its own in order, then missing, then unseen.

    Numbers beyond the range are unseen. A value that was seen once may as well not have been, and is unseen. The rows
    to expect there, and among values seen twice, are Good's and Turing's (Biometrika, 1953): as many as the values of
    the next count hold.
    """
    import numpy as np

    if "edges" in found:
        return np.array([*found["counts"], found["missing"], 0], dtype=float)
    own = np.array(list(found["values"].values()), dtype=float)
    unseen = own[own <= 2].sum()
    return np.array([*np.where(own <= 2, 0, own), found["missing"], unseen])


def places(values: "pd.Series", found: Binned) -> "np.ndarray":
    """The bin that each row falls into, by its number in `expected`. Raises ValueError for text among numbers."""
    import numpy as np

    null = values.isna().to_numpy()
    if "edges" in found:
        numbers = values.where(~null, math.nan).astype(float).to_numpy()
        bins = np.searchsorted(np.asarray(found["edges"], dtype=float), numbers, side="left")
        low, high = found["range"] or (math.inf, -math.inf)
        unseen = len(found["counts"]) + 1
        return np.where(null, unseen - 1, np.where((numbers < low) | (numbers > high), unseen, bins))
    unseen = len(found["values"]) + 1
    known = {value: place for place, (value, count) in enumerate(found["values"].items()) if count > 1}
    bins = values.astype(object).where(~null, "").astype(str).map(known).fillna(unseen)
    return np.where(null, unseen - 1, bins.to_numpy(dtype=int))


def _range(values: "pd.Series") -> list[float]:
    """From the smallest to the largest, and a tenth of the way further: a record is not yet another unit."""
    values = values[values.abs() < math.inf]
    if values.empty:
        return []
    low, high = float(values.min()), float(values.max())
    return [low - (high - low) / 10, high + (high - low) / 10]


def _edges(values: "pd.Series") -> list[float]:
    """The inner deciles, each once; values that occur, so that no bin is empty."""
    if values.empty:
        return []
    quantiles = values.astype(float).quantile([n / BINS for n in range(1, BINS)], interpolation="lower")
    return sorted({float(value) for value in quantiles if value < values.max()})
