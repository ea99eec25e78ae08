"""Rows with scores that models have given them, by a seed."""

import numpy as np
import pandas as pd


def sample(rows: int, seed: int) -> pd.DataFrame:
    """Labels, a good and a poor score of them, and the day of each row."""
    draw = np.random.default_rng(seed)
    label = draw.integers(2, size=rows)
    good, poor = (np.clip(0.5 + (label - 0.5) * by + draw.normal(0, 0.15, rows), 0.01, 0.99) for by in (0.3, 0.1))
    return pd.DataFrame({"label": label, "good": good, "poor": poor, "day": draw.integers(14, size=rows)})
