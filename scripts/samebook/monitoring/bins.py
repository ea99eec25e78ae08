"""Bins of values: how many rows a reference has in each, and the bin that a new value falls into.

Numbers are cut at deciles. Missing values have a bin of their own, and so have values that the reference has not seen,
because both are drift too.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

QUANTILES = 10
SHARES = [n / QUANTILES for n in range(1, QUANTILES)]

type Bins = dict[str, Any]


def bin_values(values: "pd.Series") -> Bins:
    """The bins of a reference's values, as plain JSON.

    Numbers have `edges`, the `counts` of the bins between them, and the `range` outside of which a number is unseen.
    Other values have `values`, with the count of each. `missing` is the number of nulls.
    """
    import numpy as np

    present = values.dropna()
    missing = int(values.isna().sum())
    if is_number(values):
        edges = _edges(present)
        return {"edges": edges, "counts": count_bins(present, edges), "missing": missing, "range": _range(present)}
    codes, words = split_words(present)
    counts: Counter[str] = Counter()
    for word, count in zip(words, np.bincount(codes, minlength=len(words)), strict=True):
        counts[word] += int(count)
    return {"values": dict(sorted(counts.items())), "missing": missing}


def is_number(values: "pd.Series") -> bool:
    """Whether values are cut at deciles: true and false are words."""
    import pandas as pd

    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def expected_counts(bins: Bins) -> "np.ndarray":
    """The rows that a sample as large as the reference has in each bin: the bins in order, then missing, then unseen.

    Numbers outside of the range are unseen, and so are values that the reference has once: another sample may well not
    have them. The counts to expect of unseen values, and of values that occur twice, are those of Good and Turing
    (Biometrika, 1953): as many rows as the values of the next count have.
    """
    import numpy as np

    if "edges" in bins:
        return np.array([*bins["counts"], bins["missing"], 0], dtype=float)
    counts = np.array(list(bins["values"].values()), dtype=float)
    unseen = counts[counts <= 2].sum()
    return np.array([*np.where(counts <= 2, 0, counts), bins["missing"], unseen])


def names(bins: Bins) -> list[str]:
    """The name of each bin of `expected_counts`, for people."""
    if "values" in bins:
        return [*bins["values"], "missing", "unseen"]
    edges = [f"{edge:g}" for edge in bins["edges"]]
    ends = [*(f"up to {edge}" for edge in edges), f"above {edges[-1]}" if edges else "present"]
    return [*ends, "missing", "unseen"]


def bin_numbers(values: "pd.Series", bins: Bins) -> "np.ndarray":
    """The bin of each value, as its place in `expected_counts`. Raises ValueError for text among numbers."""
    import numpy as np

    if "edges" in bins:
        return number_bins(values.to_numpy(dtype=float, na_value=math.nan), bins)[0]
    codes, words = split_words(values)
    return np.array([*seen_words(words, bins), len(bins["values"])])[codes]


def split_words(values: "pd.Series") -> tuple["np.ndarray", list[str]]:
    """The code of each value, -1 of a null, and the word that each code stands for."""
    import pandas as pd

    codes, words = pd.factorize(values)
    return codes, [str(word) for word in words]


def seen_words(words: Iterable[str], bins: Bins) -> list[int]:
    """The bin of each word; that of unseen values where the reference has it once or never."""
    place_of = {value: place for place, (value, count) in enumerate(bins["values"].items()) if count > 1}
    return [place_of.get(word, len(bins["values"]) + 1) for word in words]


def number_bins(numbers: "np.ndarray", bins: Bins, times: "np.ndarray | None" = None) -> tuple["np.ndarray", list[int]]:
    """The bin of each number, and how many there are between the edges, where a number out of the range counts too.

    Each number is there `times` times; without it, once.
    """
    import numpy as np

    is_null = np.isnan(numbers)
    places = np.searchsorted(np.asarray(bins["edges"], dtype=float), numbers, side="left")
    width = len(bins["edges"]) + 1
    counts = np.bincount(places[~is_null], None if times is None else times[~is_null], width)
    low, high = bins["range"] or (math.inf, -math.inf)
    places[(numbers < low) | (numbers > high)] = width + 1
    places[is_null] = width
    return places, [int(count) for count in counts]


def count_bins(values: "pd.Series", edges: list[float]) -> list[int]:
    """The number of values in each bin: up to the first edge, between two edges, above the last."""
    import numpy as np

    places = np.searchsorted(np.asarray(edges, dtype=float), values.to_numpy(dtype=float), side="left")
    return [int(count) for count in np.bincount(places, minlength=len(edges) + 1)]


def _range(values: "pd.Series") -> list[float]:
    values = values[values.abs() < math.inf]
    return [] if values.empty else range_of(float(values.min()), float(values.max()))


def range_of(low: float, high: float) -> list[float]:
    """The range from the smallest to the largest value, and a tenth of it on each side.

    A value that is a little beyond all others is a record; one that is far beyond them comes in another unit.
    """
    return [low - (high - low) / 10, high + (high - low) / 10]


def _edges(values: "pd.Series") -> list[float]:
    """The inner deciles without repetition. They are values that occur, so that no bin is empty."""
    if values.empty:
        return []
    quantiles = values.astype(float).quantile(SHARES, interpolation="lower")
    return sorted({float(value) for value in quantiles if value < values.max()})
