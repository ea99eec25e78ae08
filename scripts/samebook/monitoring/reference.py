"""The monitoring reference of a model: the distribution of its features and its score, to compare later days with.

A reference holds, for each feature and for the score, the number of rows in each bin. Where the days of the rows are
given it also holds how alike the rows of one day are, because an event moves many rows of a day at once, and how far
its most unusual day is from all of them.
"""

import datetime
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samebook.core.errors import UsageError
from samebook.models import lookup
from samebook.monitoring.bins import Bins, bin_numbers, bin_values, expected_counts
from samebook.monitoring.distribution import Distributions, Frames, read, split_days
from samebook.monitoring.psi import DIGITS, FORESEEN, bin_groups, psi

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

VERSION = 2
# The lengths in days of the weeks whose distance from all days is kept: the way of the seasons in the history.
MOVING = (7, 28)
# A weekday has a reference of its own where each occurs so often, and where that brings the most unusual day so much
# nearer: what knows no weekdays differs between a few Mondays and all days by chance.
WEEKS, HALF = 4, 0.5
# Batches of features with no more rows than these are held at once, which is quicker.
ROWS_AT_ONCE = 2**18

type Reference = dict[str, Any]


def reference(
    features: "pd.DataFrame | Frames",
    score: "pd.Series",
    feature_days: "pd.Series | str | None" = None,
    score_days: "pd.Series | None" = None,
    scratch: Path | None = None,
) -> Reference:
    """The reference of features (one row a sample, one column a feature) and of a score, as plain JSON.

    `features` may come in batches, which are read once: up to ROWS_AT_ONCE rows are held, and more are counted by day
    and value in files of a temporary folder in `scratch`. `feature_days` holds the day of each sample, or names the
    column of `features` that does, `score_days` that of each score; without them samples count as independent.
    """
    described = _of_features(features, feature_days, scratch)
    return {
        "version": VERSION,
        **described,
        "score": {"rows": len(score), "days": _count_days(score_days), **distribution(score, score_days)},
    }


def _of_features(features: "pd.DataFrame | Frames", days: "pd.Series | str | None", scratch: Path | None) -> Reference:
    import pandas as pd

    if not isinstance(features, pd.DataFrame):
        if not isinstance(days, str | None):
            raise UsageError(
                "feature_days: found a series beside batches of features; expected the name of their column",
                mend="log_reference(…, feature_days='day')",
            )
        batches, held, rows = read(features), list[pd.DataFrame](), 0
        for frame in batches:
            held.append(frame)
            if (rows := rows + len(frame)) > ROWS_AT_ONCE:
                return _of_batches(_handed_on(held, batches), days, scratch)
        features = pd.concat(held, ignore_index=True) if held else pd.DataFrame()
    if isinstance(days, str):
        features, days = split_days(features, days)
    distributions = {str(name): distribution(features[name], days) for name in features}
    return {"rows": len(features), "days": _count_days(days), "features": distributions}


def _of_batches(batches: Iterator["pd.DataFrame"], day: str | None, scratch: Path | None) -> Reference:
    with tempfile.TemporaryDirectory(prefix="reference-", dir=scratch) as folder:
        distributions = Distributions(Path(folder), day)
        for frame in batches:
            distributions.add(frame)
        features = {
            name: _with_days(bins, table if len(table) else None, distributions.rows, distributions.days)
            for name, bins, table in distributions.results()
        }
    return {"rows": distributions.rows, "days": len(distributions.days), "features": features}


def _handed_on(held: list["pd.DataFrame"], others: Iterator["pd.DataFrame"]) -> Iterator["pd.DataFrame"]:
    """The batches that are held, each of which is let go, and then the others."""
    while held:
        yield held.pop(0)
    yield from others


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
    if values.empty or days is None:
        return _with_days(bins, None, len(values))
    width = len(expected_counts(bins))
    table = pd.crosstab(days.to_numpy(), bin_numbers(values, bins)).reindex(columns=range(width), fill_value=0)
    return _with_days(bins, table.to_numpy(dtype=float), len(values), list(map(str, table.index)))


def _with_days(bins: Bins, by_day: "np.ndarray | None", rows: int, days: Sequence[str] = ()) -> Bins:
    """The bins of `rows` values, and how their days differ, from their counts with one row for each of `days`."""
    if by_day is None:
        absent = round(bins["missing"] / rows, DIGITS) if rows else 0.0
        return bins | {"intraclass": 0.0, "farthest": 0.0, "absent": absent}
    before = expected_counts(bins)
    bins |= {"intraclass": _intraclass(by_day @ _merging(before, bins, rows // len(by_day)))}
    absent = round(float((by_day[:, -2] / by_day.sum(axis=1)).max()), DIGITS)
    described = {"farthest": _farthest(by_day, before, bins), "absent": absent, "moving": _moving(by_day, before, bins)}
    return bins | described | _weekdays(by_day, bins, described["farthest"], days)


def _weekdays(by_day: "np.ndarray", bins: Bins, farthest: float, days: Sequence[str]) -> Bins:
    """Where it is on the days of a week that a column differs: the counts by weekday, Monday first, and the largest PSI
    of a day against the days of its weekday. Nothing for a history without dates, or of fewer than WEEKS weeks.
    """
    import numpy as np

    try:
        codes = np.array([datetime.date.fromisoformat(day).weekday() for day in days])
    except ValueError:
        return {}
    if np.bincount(codes, minlength=7).min() < WEEKS:
        return {}
    counts = np.stack([by_day[codes == code].sum(axis=0) for code in range(7)])
    within = max(_farthest(by_day[codes == code], counts[code], bins) for code in range(7))
    if within > HALF * farthest:
        return {}
    return {"weekdays": {"counts": counts.astype(int).tolist(), "farthest": within}}


def _moving(by_day: "np.ndarray", before: "np.ndarray", bins: Bins) -> dict[str, float]:
    """By length, the largest PSI of so many successive days against all days; where the history is twice as long."""
    import numpy as np

    sums = np.vstack([np.zeros(by_day.shape[1]), np.cumsum(by_day, axis=0)])
    weeks = {length: sums[length:] - sums[:-length] for length in MOVING if len(by_day) >= 2 * length}
    merges = {length: _merging(before, bins, int(counts.sum(axis=1).min())) for length, counts in weeks.items()}
    return {
        str(length): round(
            float(psi(before @ merges[length], counts @ merges[length], foreseen=FORESEEN).max()), DIGITS
        )
        for length, counts in weeks.items()
    }


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
    import numpy as np

    largest, sizes = 0.0, by_day.sum(axis=1)
    for size in np.unique(sizes):  # days of a size have the same groups of bins
        merge = _merging(before, bins, int(size))
        largest = max(largest, float(psi(before @ merge, by_day[sizes == size] @ merge, foreseen=FORESEEN).max()))
    return round(largest, DIGITS)


def _merging(before: "np.ndarray", bins: Bins, size: int) -> "np.ndarray":
    """The matrix from counts by bin to counts by group of bins; the groups are those of `size` rows."""
    import numpy as np

    groups = bin_groups(before, min(size, int(before.sum())), is_ordered="edges" in bins)
    return np.eye(int(groups.max()) + 1)[groups]
