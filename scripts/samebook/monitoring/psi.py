"""The population stability index (PSI) of a sample against a reference, and the PSI that chance alone gives.

PSI of two shares p and q of the same bins is the sum of (p - q) ln(p / q). For samples of N and M independent rows of
one distribution it is about (1/N + 1/M) times chi-square with B - 1 degrees of freedom (Yurdakul and Naranjo, 2020), so
a fixed limit raises false alarms where rows are few. The rows of one day are not independent: N and M are divided by
their design effects (Rao and Scott, 1981), which follow from the reference's intraclass correlation.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebook.monitoring.bins import Bins, bin_numbers, expected_counts

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# Where a bin expects fewer rows, PSI is larger than chi-square says: tests/monitoring/test_psi.py measures it.
MIN_EXPECTED = 8
# The share of rows that is foreseen to be missing, and to be unseen.
FORESEEN = 0.001
DIGITS = 6


@dataclass(frozen=True)
class Divergence:
    """PSI of `rows` rows against a reference, over the `bins` bins that the reference fills.

    `noise` is the PSI that chance adds for each degree of freedom: 1/N + 1/M, with design effects.
    """

    rows: int
    bins: int
    psi: float
    noise: float

    def chance_limit(self, level: float) -> float:
        """The PSI that is not exceeded on a share `level` of days, if nothing has changed."""
        from scipy.stats import chi2

        freedom = self.bins - 1
        return round(float(chi2.ppf(level, freedom)) * self.noise, DIGITS) if freedom > 0 else 0.0


def compare(bins: Bins, reference_days: int, values: "pd.Series", days: int) -> Divergence:
    """Compare a sample with a reference of `reference_days` days (0: unknown).

    `values` has one row a sample, from `days` days. Bins that expect too few rows are merged. Raises ValueError for
    text where the reference has numbers.
    """
    import numpy as np

    counts = np.bincount(bin_numbers(values, bins), minlength=len(expected_counts(bins)))
    return compare_counts(bins, reference_days, counts, days)


def compare_counts(
    bins: Bins, reference_days: int, counts: "np.ndarray", days: int, before: "np.ndarray | None" = None
) -> Divergence:
    """`compare`, for the numbers of the sample's values in each bin of `expected_counts`, and of the reference's."""
    import numpy as np

    before = expected_counts(bins) if before is None else before
    groups = bin_groups(before, min(int(counts.sum()), int(before[:-1].sum())), is_ordered="edges" in bins)
    before = np.bincount(groups, weights=before)
    now = np.bincount(groups, weights=counts, minlength=len(before))
    rows, reference_rows = int(now.sum()), float(before.sum())
    effect = _design_effect(bins["intraclass"], rows, days)
    reference_effect = _design_effect(bins["intraclass"], reference_rows, reference_days)
    noise = float(effect / rows + reference_effect / reference_rows)
    return Divergence(rows, int((before > 0).sum()), round(float(psi(before, now, effect, FORESEEN)), DIGITS), noise)


def compare_days(bins: Bins, before: "np.ndarray", now: "np.ndarray") -> Divergence:
    """Compare a day with another day, by their numbers of values in each bin of a reference: it says what is rare."""
    import numpy as np

    expected, rows = expected_counts(bins), int(min(before.sum(), now.sum()))
    groups = bin_groups(expected, min(rows, int(expected[:-1].sum())), is_ordered="edges" in bins)
    before, now = (np.bincount(groups, weights=counts) for counts in (before, now))
    noise = sum(_design_effect(bins["intraclass"], rows, 1) / max(rows, 1) for rows in (before.sum(), now.sum()))
    return Divergence(
        int(now.sum()),
        int((before + now > 0).sum()),
        round(float(psi(before, now, foreseen=FORESEEN)), DIGITS),
        float(noise),
    )


def psi(before: "np.ndarray", now: "np.ndarray", effect: float = 1.0, foreseen: float = 0.0) -> "np.ndarray":
    """PSI of counts by bin: `before` of the reference, `now` of one sample or, one row each, of many.

    The index stays finite. A bin that the reference has not filled counts as half a row there. The sample gets half a
    row for each filled bin, times its design effect, distributed as the reference is. A bin that is empty in both adds
    nothing. With `foreseen`, the last two bins, missing and unseen values, are expected to hold this share of the rows
    at least: else two missing values in a hundred are as far as most faults, where a reference has none at all.
    """
    import numpy as np

    counts = np.concatenate([before[:-2], np.maximum(before[-2:], foreseen * before.sum())])
    shares = np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum()
    added = (before > 0).sum() / 2 * effect
    now_shares = (now + added * shares) / (now.sum(axis=-1, keepdims=True) + added)
    is_nothing = (before == 0) & (now == 0) | (counts > before) & (now_shares < shares)
    return np.where(is_nothing, 0.0, (now_shares - shares) * np.log(now_shares / shares)).sum(axis=-1)


def bin_groups(before: "np.ndarray", rows: int, *, is_ordered: bool) -> "np.ndarray":
    """The group of each bin of `expected_counts`. Of `rows` rows, at least eight are expected in a group.

    Only the reference decides, never the day. Ordered bins join their neighbours; of others, the rare ones form one
    group. Missing and unseen stay alone, whatever they hold.
    """
    import numpy as np

    counts, total = before[:-2], before.sum()
    enough = MIN_EXPECTED * total / rows if rows else total
    groups = _neighbour_groups(counts, enough) if is_ordered else _rare_group(counts, enough)
    last = int(groups.max(initial=-1))
    return np.array([*groups, last + 1, last + 2])


def _rare_group(counts: "np.ndarray", enough: float) -> "np.ndarray":
    """A group for each bin that holds enough, and one for all other bins."""
    import numpy as np

    is_frequent = counts >= enough
    return np.where(is_frequent, np.cumsum(is_frequent) - 1, is_frequent.sum())


def _neighbour_groups(counts: "np.ndarray", enough: float) -> "np.ndarray":
    """Groups of successive bins, each of which holds enough; the last bins join the last group."""
    import numpy as np

    groups, group, size = np.zeros(len(counts), dtype=int), 0, 0.0
    for place, count in enumerate(counts):
        groups[place] = group
        size += count
        if size >= enough:
            group, size = group + 1, 0.0
    return np.minimum(groups, max(group - 1, 0))


def _design_effect(intraclass: float, rows: float, days: int) -> float:
    """The factor by which rows that come by days are worth less than independent ones."""
    return 1.0 + max(rows / days - 1, 0.0) * intraclass if days else 1.0
