"""How far a day's values are from a reference, and how far chance alone would put them.

The population stability index (PSI) of two shares p and q of the same bins is the sum of (p - q) ln(p / q). For
samples of N and M independent rows of one distribution it is about (1/N + 1/M) times chi-square with B - 1 degrees of
freedom (Yurdakul and Naranjo, 2020), so a fixed limit raises false alarms where rows are few. Rows of one day aren't
independent: N and M are divided by their design effects (Rao and Scott, 1981), which the reference knows.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebook.monitoring.bins import Binned, expected, places

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# Where fewer rows than these are expected, PSI is larger than chi-square says: tests/test_divergence.py measures it.
LEAST = 8
DIGITS = 6


@dataclass(frozen=True)
class Divergence:
    """PSI of some rows against a reference, over `bins` bins that the reference fills.

    `noise` is what one degree of freedom of chance adds: 1/N + 1/M, with design effects.
    """

    rows: int
    bins: int
    psi: float
    noise: float

    def by_chance(self, level: float) -> float:
        """What PSI stays below in that share of days on which nothing has changed."""
        from scipy.stats import chi2

        freedom = self.bins - 1
        return round(float(chi2.ppf(level, freedom)) * self.noise, DIGITS) if freedom > 0 else 0.0


def compare(found: Binned, known_days: int, values: "pd.Series", days: int) -> Divergence:
    """Compare values (one row a sample, of so many days) with a reference's, which is of `known_days`; 0: not known.

    Bins of which too few rows are expected are merged. Raises ValueError for text where the reference has numbers.
    """
    import numpy as np

    before = expected(found)
    groups = merged(before, min(len(values), int(before[:-1].sum())), ordered="edges" in found)
    before = np.bincount(groups, weights=before)
    now = np.bincount(groups[places(values, found)], minlength=len(before))
    rows, known = int(now.sum()), before.sum()
    effects = [design_effect(found["intraclass"], size, of) for size, of in ((rows, days), (known, known_days))]
    told = round(float(psi(before, now, effects[0])), DIGITS)
    return Divergence(rows, int((before > 0).sum()), told, float(effects[0] / rows + effects[1] / known))


def psi(before: "np.ndarray", now: "np.ndarray", effect: float = 1.0) -> "np.ndarray":
    """The index of counts by bin, `now` with one row a sample or one vector alone, `before` of the reference.

    No bin is empty: one that the reference hasn't filled counts as half a row, and the sample has half a row more for
    each filled bin, times its design effect, distributed as the reference is. What neither has adds nothing.
    """
    import numpy as np

    shares = np.maximum(before, 0.5) / np.maximum(before, 0.5).sum()
    added = (before > 0).sum() / 2 * effect
    found = (now + added * shares) / (now.sum(axis=-1, keepdims=True) + added)
    return np.where((before == 0) & (now == 0), 0.0, (found - shares) * np.log(found / shares)).sum(axis=-1)


def merged(before: "np.ndarray", rows: int, *, ordered: bool) -> "np.ndarray":
    """The group of each bin of `expected`, so that of `rows` rows at least eight are expected in a group.

    Only the reference decides, never the day. Ordered bins join their neighbours, others are one group of what is
    rare; missing and unseen stay alone, whatever they hold.
    """
    import numpy as np

    own, total = before[:-2], before.sum()
    enough = LEAST * total / rows if rows else total
    groups = _neighbours(own, enough) if ordered else _rare(own, enough)
    last = int(groups.max(initial=-1))
    return np.array([*groups, last + 1, last + 2])


def _rare(own: "np.ndarray", enough: float) -> "np.ndarray":
    """A group for each bin that holds enough, and one for all the others."""
    import numpy as np

    often = own >= enough
    return np.where(often, np.cumsum(often) - 1, often.sum())


def _neighbours(own: "np.ndarray", enough: float) -> "np.ndarray":
    """Bins in order, joined until each group holds enough; what is left at the end belongs to the last group."""
    import numpy as np

    groups, group, held = np.zeros(len(own), dtype=int), 0, 0.0
    for place, count in enumerate(own):
        groups[place] = group
        held += count
        if held >= enough:
            group, held = group + 1, 0.0
    return np.minimum(groups, max(group - 1, 0))


def design_effect(intraclass: float, rows: float, days: int) -> float:
    """The design effect: by how much rows that come by days say less than as many independent ones."""
    return 1.0 + max(rows / days - 1, 0.0) * intraclass if days else 1.0
