"""What a drift can explain: values with another distribution, and the change of AUC and calibration."""

import numpy as np
import pandas as pd
import pytest

from samebook.core.errors import UsageError
from samebook.monitoring.bins import Bins, bin_numbers, bin_values, expected_counts
from samebook.monitoring.effect import Holdout, explained, transported
from samebook.monitoring.finding import Finding
from samebook.monitoring.report import Report

pytestmark = pytest.mark.fast

VALUES = pd.Series([*range(100), None], dtype=float)
WORDS = pd.Series(["a"] * 60 + ["b"] * 40)


class Counted:
    """A likeness that knows the counts of one column."""

    def __init__(self, values: pd.Series, counts: list[float]) -> None:
        self.found = bin_values(values), np.array(counts, dtype=float)

    def column(self, _: Finding) -> tuple[Bins, np.ndarray]:
        return self.found


def report(values: pd.Series, counts: list[float], name: str = "x") -> Report:
    finding = Finding("feature", name, "day", 2.0, 0.1, 0.25)
    return Report("churn", "2013-07-01", 1, (finding,), likeness=Counted(values, counts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        (VALUES, [0, 0, 0, 0, 0, 0, 0, 0, 0, 101, 0, 0]),
        (VALUES, [10, 10, 10, 0, 0, 0, 0, 0, 0, 0, 40, 31]),
        (VALUES, [0] * 10 + [0, 101]),
        (WORDS, [0, 40, 0, 60]),
        (WORDS, [10, 40, 50, 0]),
    ],
)
def test_values_get_the_distribution(values: pd.Series, counts: list[float]) -> None:
    """Afterwards the bins hold what they are to hold, missing and unseen ones too; the seed decides who moves."""
    bins = bin_values(values)
    moved = transported(values, bins, np.array(counts, dtype=float), seed=3)
    assert np.bincount(bin_numbers(moved, bins), minlength=len(expected_counts(bins))).tolist() == counts
    assert transported(values, bins, np.array(counts, dtype=float), seed=3).equals(moved)


def test_the_same_distribution_moves_nothing() -> None:
    """Values that are distributed as before stay, each of them."""
    for values in (VALUES, WORDS):
        bins = bin_values(values)
        counts = np.bincount(bin_numbers(values, bins), minlength=len(expected_counts(bins)))
        assert transported(values, bins, counts).dropna().tolist() == values.dropna().tolist()


def test_a_broken_feature_explains_the_loss() -> None:
    """A feature that decides all, and is missing, explains that AUC falls to a half; one that is not used, nothing."""
    features = pd.DataFrame({"x": np.arange(100.0), "other": np.arange(100.0)})
    holdout = Holdout(features, pd.Series([0] * 50 + [1] * 50), lambda rows: rows["x"].fillna(50).to_numpy() / 100)
    counts = [0.0] * 10 + [100, 0]
    ((key, effect),) = explained(report(features["x"], counts), holdout).effects
    assert (key, effect["auc"]) == (("feature", "x", "day"), -0.5)
    ((_, none),) = explained(report(features["other"], counts, "other"), holdout).effects
    assert none == {"auc": 0.0, "calibration_error": 0.0}


def test_bad_holdouts_are_refused() -> None:
    """A holdout of one class, or without the feature, is an error; one without rows explains nothing."""
    features, counts = pd.DataFrame({"x": np.arange(100.0)}), [0.0] * 10 + [100, 0]
    one = Holdout(features, pd.Series([0] * 100), lambda rows: np.zeros(len(rows)))
    with pytest.raises(UsageError, match="one class"):
        explained(report(features["x"], counts), one)
    both = Holdout(features, pd.Series([0, 1] * 50), lambda rows: np.full(len(rows), 0.5))
    with pytest.raises(UsageError, match="no column y"):
        explained(report(features["x"], counts, "y"), both)
    empty = Holdout(features.head(0), pd.Series([], dtype=int), lambda rows: np.zeros(len(rows)))
    assert explained(report(features["x"], counts), empty).effects == ()
