"""Comparison of models that each decide for a part of the flights: an A/B test's."""

import numpy as np
import pandas as pd
from scipy.stats import chisquare

from samebook.monitoring.bootstrap import Interval, Side, gains_of


def group_bootstrap(
    label: pd.Series, probability: pd.Series, is_challenger: pd.Series, *, entities: pd.Series, draws: int, seed: int
) -> dict[str, Interval]:
    """The gain of the challenger's rows over the champion's, by metric, in the form of `paired_bootstrap`.

    Each row has the score of one model only. Entities, the units of assignment, are drawn with replacement on each
    side: one row a sample, four columns of equal length, and rows on both sides.
    """
    generator = np.random.default_rng(seed)
    first, second = (
        Side.of(label[rows], probability[rows], entities[rows]) for rows in (is_challenger, ~is_challenger)
    )

    def weights(count: int) -> tuple[np.ndarray, np.ndarray]:
        return first.weights(generator, count), second.weights(generator, count)

    return gains_of((first, second), weights, draws)


def sample_ratio(is_challenger: pd.Series, share: float) -> float:
    """The p-value of the challenger's number of entities (one row each), of which a share `share` is expected.

    Chi-square: Fabijan et al., KDD 2019. With a share of 0 or 1, one entity on the other side is impossible.
    """
    if share in (0, 1):
        return float((is_challenger == bool(share)).all())
    counts, size = [is_challenger.sum(), (~is_challenger).sum()], len(is_challenger)
    expected = [share * size, (1 - share) * size]
    return float(f"{chisquare(counts, expected).pvalue:.6g}")
