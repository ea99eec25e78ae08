"""References of features in batches: those of all rows at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from samebook import UsageError
from samebook.core.digest import json_bytes
from samebook.monitoring import bins, quantiles, reference, spill

OUTPUT: dict[str, Any] = {"capture_output": True, "text": True, "check": True}
PEAK = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
from samebook.monitoring import reference
def batch(number):
    values = np.random.default_rng(number).normal(size=(100_000, 18))
    return pd.DataFrame(values, columns=list('abcdefghijklmnopqr')).assign(day=f'{number:04}')
reference.reference((batch(number) for number in range(int(sys.argv[1]))), pd.Series([0.5]), 'day')
print(int(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0]) // 1024)
"""
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
                lower.add(part, np.ones(len(part), dtype=int))
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


def test_batches_are_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Batches may come from an iterator, whatever features have of values; the folder is empty afterwards."""
    monkeypatch.setattr(quantiles, "FEW", 100)
    monkeypatch.setattr(spill, "HELD", 1000)
    frame = samples()
    at_once = reference.reference(frame.drop(columns="day"), frame["normal"], frame["day"])
    once = reference.reference(iter(split(frame, 400)), frame["normal"], "day", scratch=tmp_path)
    assert json_bytes(once) == json_bytes(at_once)
    assert not list(tmp_path.iterdir())


def test_memory_is_that_of_batches() -> None:
    """Memory does not grow with the rows, where each value is another one: of three times as many it is the same."""
    few, many = (int(subprocess.run([sys.executable, "-c", PEAK, batches], **OUTPUT).stdout) for batches in ("6", "18"))
    assert many < few + 40  # of all rows at once: 180 MB more


def test_days_come_in_any_order() -> None:
    """A day may come in several batches, in any order, and be missing: the bytes are those of its rows together."""
    frame = samples().sample(frac=1, random_state=3).reset_index(drop=True)
    frame.loc[frame.index % 50 == 0, "day"] = None
    at_once = reference.reference(frame.drop(columns="day"), frame["normal"], frame["day"])
    assert json_bytes(reference.reference(split(frame, 170), frame["normal"], "day")) == json_bytes(at_once)


def test_dates_are_words() -> None:
    """Dates and times among the features are the same words in a reference, at once or in batches, and in a new day."""
    frame = pd.DataFrame({"at": pd.to_datetime(["2013-01-01", "2013-01-02", "2013-01-01", None] * 10)})
    at_once = reference.reference(frame, pd.Series([0.5]))
    assert reference.reference(split(frame, 7), pd.Series([0.5])) == at_once
    assert bins.bin_numbers(frame["at"][:4], at_once["features"]["at"]).tolist() == [0, 1, 0, 2]


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
        ([samples(5), samples(5).drop(columns="word")], "day", "batches of features differ"),
        ([pd.DataFrame({"x": [1]}), pd.DataFrame({"x": ["a"]})], None, "numbers in one batch, text in another"),
        ([samples(5)], "date", "no column 'date'"),
        ([samples(5)], samples(5)["day"], "expected the name of their column"),
    ],
)
def test_bad_batches_are_refused(batches: object, day: str | None, words: str) -> None:
    """Batches that differ from each other, or lack their days, are refused."""
    with pytest.raises(UsageError, match=words):
        reference.reference(batches, pd.Series([0.5]), day)  # type: ignore[arg-type]
