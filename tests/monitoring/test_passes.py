"""References of features in batches: those of all rows at once."""

import numpy as np
import pandas as pd
import pytest

from samebook import UsageError
from samebook.core.digest import json_bytes
from samebook.monitoring import quantiles, reference

SHARES = [n / 10 for n in range(1, 10)]


@pytest.fixture(autouse=True)
def nothing_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "ROWS_AT_ONCE", 0)


def samples(rows: int = 3000) -> pd.DataFrame:
    """Features of each kind: of many values and of few, whole, with missing, infinite and no values, and words."""
    random = np.random.default_rng(17)
    normal = random.normal(size=rows)
    return pd.DataFrame(
        {
            "normal": normal,
            "single": normal.astype("float32"),
            "whole": random.integers(-3, 4, rows),
            "missing": np.where(normal > 0, np.nan, normal),
            "infinite": np.where(normal > 1, np.inf, np.where(normal < -2, -np.inf, normal)),
            "constant": 7.0,
            "none": np.nan,
            "word": random.choice(["a", "b", "ü", None], rows),
            "flag": normal > 0,
            "category": pd.Categorical(random.choice(["x", "y"], rows), categories=["x", "y", "unused"]),
            "day": [f"2013-01-{1 + n // 250:02}" for n in range(rows)],
        }
    )


def split(frame: pd.DataFrame, rows: int) -> list[pd.DataFrame]:
    return [frame.iloc[start : start + rows] for start in range(0, len(frame), rows)]


@pytest.mark.parametrize("few", [0, 50, quantiles.FEW])
@pytest.mark.parametrize("rows", [1, 7, 1000, 5000])
def test_quantiles_are_those_of_all(monkeypatch: pytest.MonkeyPatch, rows: int, few: int) -> None:
    """Quantiles by values, by digits, and by values until there are too many, are numpy's, however values are split: of
    many, few, equal, huge and infinite ones.
    """
    monkeypatch.setattr(quantiles, "FEW", few)
    random = np.random.default_rng(rows)
    extremes = random.choice([np.inf, -np.inf, 5e-324, -3e300], rows)
    for values in (random.normal(size=rows), random.integers(-5, 5, rows), extremes):
        lower, passes = quantiles.LowerQuantiles(SHARES), 0
        while not lower.is_done:
            for part in np.array_split(values, 3):
                lower.add(part)
            lower.end_pass()
            passes += 1
        assert passes == (1 if len(set(values)) <= few else quantiles.PASSES)
        assert lower.values() == np.percentile(values, [100 * share for share in SHARES], method="lower").tolist()


@pytest.mark.parametrize("few", [100, quantiles.FEW])
@pytest.mark.parametrize("rows", [400, 3000])
@pytest.mark.parametrize("day", ["day", None])
def test_batches_are_as_one_frame(monkeypatch: pytest.MonkeyPatch, rows: int, day: str | None, few: int) -> None:
    """A reference has the same bytes from batches and from one frame, with and without days."""
    monkeypatch.setattr(quantiles, "FEW", few)
    frame = samples() if day else samples().drop(columns="day")
    days = frame.pop("day") if day else None
    at_once = reference.reference(frame, frame["normal"], days)
    batches = split(frame if days is None else frame.assign(day=days), rows)
    assert json_bytes(reference.reference(batches, frame["normal"], day)) == json_bytes(at_once)


def test_few_rows_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that fit into memory together are read once."""
    monkeypatch.setattr(reference, "ROWS_AT_ONCE", 3000)
    batches = iter(split(samples(), 400))
    assert reference.reference(batches, pd.Series([0.5]), "day")["rows"] == 3000


def test_missing_batch_keeps_the_kind() -> None:
    """A batch without values, which Parquet reads as text, leaves numbers numbers."""
    batches = [pd.DataFrame({"x": pd.Series([None, None], dtype=object)}), pd.DataFrame({"x": [1.0, 2.0]})]
    assert reference.reference(batches, pd.Series([0.5]))["features"]["x"]["missing"] == 2


@pytest.mark.parametrize(
    ("batches", "day", "words"),
    [
        (iter(split(samples(), 400)), "day", "can be read only once"),
        ([samples(5), samples(5).drop(columns="word")], "day", "batches of features differ"),
        ([pd.DataFrame({"x": [1]}), pd.DataFrame({"x": ["a"]})], None, "numbers in one batch, text in another"),
        ([samples(5)], "date", "no column 'date'"),
        ([samples(5)], samples(5)["day"], "expected the name of their column"),
    ],
)
def test_bad_batches_are_refused(batches: object, day: str | None, words: str) -> None:
    """Batches that can be read only once, that differ from each other, or lack their days are refused."""
    with pytest.raises(UsageError, match=words):
        reference.reference(batches, pd.Series([0.5]), day)  # type: ignore[arg-type]
