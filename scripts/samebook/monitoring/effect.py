"""The effect of a drift: the change of a model's AUC and calibration that one drifted column can explain.

The holdout, whose labels are known, is scored again with that column distributed as it is now: rows are moved between
the bins of the reference, as few of them as possible, and take a value that other rows of the bin have. Nothing else
changes, and labels stay. So it is what a fault of the column costs; a season that is real, and that the model knows,
costs less.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from samebook.core.errors import UsageError
from samebook.monitoring.bins import Bins, bin_numbers
from samebook.monitoring.bootstrap import scores
from samebook.monitoring.finding import OK, Finding
from samebook.monitoring.report import Report

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("auc", "calibration_error")
DIGITS = 4
# A word that no reference has.
UNSEEN = "(unseen)"


@dataclass(frozen=True)
class Holdout:
    """Rows that a model has not learnt from: their features and labels, 0 or 1, and `score`, which is the model."""

    features: "pd.DataFrame"
    label: "pd.Series"
    score: Callable[["pd.DataFrame"], "np.ndarray"]

    def metrics(self, features: "pd.DataFrame") -> dict[str, float]:
        import pandas as pd

        found = scores(self.label, pd.Series(self.score(features), index=self.label.index))
        return {name: found[name] for name in METRICS}


def explained(report: Report, holdout: Holdout, *, seed: int = 0) -> Report:
    """The report with the effect of each drifted feature that is not acknowledged. The seed chooses the moved rows.

    Raises UsageError where the holdout lacks a feature, or has rows of one class alone.
    """
    if report.likeness is None or not len(holdout.label):
        return report
    if holdout.label.nunique() < 2:
        raise UsageError("the holdout has labels of one class; expected both", mend="label.nunique() == 2")
    before = holdout.metrics(holdout.features)
    effects = []
    for finding in (finding for finding, standing in report.pairs() if standing.told != OK):
        if finding.kind == "feature":
            after = holdout.metrics(_moved(report, finding, holdout, seed))
            change = {name: round(after[name] - before[name], DIGITS) for name in METRICS}
            effects.append((finding.key, change))
    return replace(report, effects=tuple(effects))


def _moved(report: Report, finding: Finding, holdout: Holdout, seed: int) -> "pd.DataFrame":
    """The holdout with one column distributed as the report has found it."""
    if finding.name not in holdout.features:
        raise UsageError(
            f"the holdout has no column {finding.name}, which the report is on",
            mend="samebook.explained(report, …), with the features that the model has learnt from",
        )
    assert report.likeness is not None
    bins, counts = report.likeness.column(finding)
    values = transported(holdout.features[finding.name], bins, counts, seed)
    return holdout.features.assign(**{finding.name: values})


def transported(values: "pd.Series", bins: Bins, counts: "np.ndarray", seed: int = 0) -> "pd.Series":
    """Values with the distribution over bins that `counts` has, and the fewest rows in another bin than before.

    Numbers keep their order as far as that goes: what was larger is not smaller afterwards.
    """
    generator = np.random.default_rng(seed)
    places = bin_numbers(values, bins)
    due = _rounded(counts, len(values))
    targets = _targets(places, due, generator, is_ordered="edges" in bins)
    result = values.astype(object).to_numpy(copy=True)
    for target in np.unique(targets[targets != places]):
        rows = np.flatnonzero((targets == target) & (places != target))
        known = values[places == target].to_numpy()
        result[rows] = generator.choice(known, len(rows)) if len(known) else _value(bins, int(target))
    import pandas as pd

    kind = values.dtype if "edges" in bins and values.dtype.kind == "f" else ("float64" if "edges" in bins else object)
    return pd.Series(result, index=values.index, dtype=kind)


def _rounded(counts: "np.ndarray", rows: int) -> "np.ndarray":
    """So many rows, in the proportion of the counts: the largest remainders are rounded up."""
    exact = counts / counts.sum() * rows
    whole = np.floor(exact).astype(int)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: rows - whole.sum()]] += 1
    return whole


def _targets(
    places: "np.ndarray", due: "np.ndarray", generator: np.random.Generator, *, is_ordered: bool
) -> "np.ndarray":
    """The bin of each row after the move."""
    now = np.bincount(places, minlength=len(due))
    targets, surplus = places.copy(), np.maximum(now - due, 0)
    if is_ordered:  # missing and unseen rows are dealt first, then the others in their order
        surplus[:-2] = 0
    moving = np.concatenate(
        [generator.permutation(np.flatnonzero(places == place))[:count] for place, count in enumerate(surplus) if count]
        or [np.zeros(0, dtype=int)]
    )
    lacking = np.repeat(np.arange(len(due)), np.maximum(due - now, 0))
    if not is_ordered:
        targets[moving] = generator.permutation(lacking)
        return targets
    present = generator.permutation(np.concatenate([np.flatnonzero(places < len(due) - 2), moving]))
    special = lacking[lacking >= len(due) - 2]
    targets[present[: len(special)]] = special
    rest = present[len(special) :]
    targets[rest[np.argsort(places[rest], kind="stable")]] = np.repeat(np.arange(len(due) - 2), due[:-2])
    return targets


def _value(bins: Bins, place: int) -> object:
    """A value of a bin in which no row of the holdout is."""
    width = len(bins["edges"]) + 1 if "edges" in bins else len(bins["values"])
    if place == width:
        return None
    if "edges" not in bins:
        return UNSEEN if place > width else list(bins["values"])[place]
    if place > width:
        return 2 * bins["range"][1] - bins["range"][0] if bins["range"] else 0.0
    return bins["edges"][place] if place < len(bins["edges"]) else (bins["range"] or [0.0])[-1]
