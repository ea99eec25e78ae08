"""A model that learns from one part after the other: the same bytes each time, and about as good as one from all."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.metrics import roc_auc_score

import flights
import samebook
import training

FIXED = {
    "objective": "binary:logistic", "tree_method": "hist", "subsample": 0.8, "colsample_bytree": 0.6, "seed": 1,
    "min_child_weight": 20,
}  # fmt: skip
ROWS, TREES = 6_000, 12
OUTPUT: dict[str, Any] = {"capture_output": True, "text": True, "check": True}
# Rows are made as they are read, so that what a process holds is what the training holds.
PEAK = """
import sys
sys.path[:0] = sys.argv[2:]
import training
from test_in_parts import CATEGORIES, FIXED, made_up, peak
def read(index, count):
    return (made_up(10_000, seed) for seed in range(4 * index, 4 * index + 4))
parts = int(sys.argv[1])
training.in_parts({**FIXED, 'nthread': 1}, parts, read, CATEGORIES, parts=parts)
print(peak())
"""
CATEGORIES = {name: ["a", "b", "c"] for name in flights.CATEGORICAL}


def made_up(rows: int, seed: int = 17) -> pd.DataFrame:
    """Made-up flights with their `late`, which follows from some of their features, and with missing values."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({name: random.normal(size=rows).round(3) for name in flights.NUMERIC})
    frame = frame.mask(random.random(frame.shape) < 0.05)
    for name in flights.CATEGORICAL:
        frame[name] = random.choice(["a", "b", "c", None], rows)
    late = frame["seats"].fillna(0) + (frame["origin"] == "a") > random.normal(size=rows)
    return frame.assign(late=late.astype(int))


def peak() -> int:
    """The most MiB that this process has had in memory."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024


LEARNT = made_up(ROWS)


def read(index: int, count: int) -> Iterator[pd.DataFrame]:
    """Every `count`-th of the rows, in batches."""
    rows = LEARNT.iloc[index::count]
    return (rows.iloc[start : start + 700] for start in range(0, len(rows), 700))


def learn(parts: int, threads: int = 1) -> bytes:
    model = training.in_parts({**FIXED, "nthread": threads}, TREES, read, CATEGORIES, parts=parts)
    return bytes(model.save_raw("ubj"))


def test_same_parts_same_bytes() -> None:
    """The same number of parts gives the same bytes, with one thread and with two; another number another model."""
    assert learn(4) == learn(4, threads=2)
    assert learn(4) != learn(5)


@pytest.mark.parametrize("parts", [3, TREES])
def test_each_part_teaches(parts: int) -> None:
    """The model has all its trees, no two alike, and ranks flights that it has not seen about as one from all does."""
    models = [xgboost.Booster(model_file=bytearray(learn(n))) for n in (1, parts)]
    assert len(set(models[1].get_dump())) == TREES
    unseen = made_up(10_000, seed=18)
    whole, part = (roc_auc_score(unseen["late"], flights.score(model, unseen)) for model in models)
    assert part == pytest.approx(whole, abs=0.02)


def test_columns_are_drawn_anew() -> None:
    """Trees of different parts draw different columns."""
    dump = xgboost.Booster(model_file=bytearray(learn(TREES))).trees_to_dataframe()
    columns = dump[dump["Feature"] != "Leaf"].groupby("Tree")["Feature"].agg(frozenset)
    assert len(set(columns)) > TREES // 2


def test_memory_is_that_of_parts() -> None:
    """Memory does not grow with the rows, where parts are as large: of three times as many it is the same."""
    folders = [str(Path(__file__).parent), str(Path(training.__file__).parent)]
    few, many = (
        int(subprocess.run([sys.executable, "-c", PEAK, parts, *folders], **OUTPUT).stdout) for parts in ("4", "12")
    )
    assert many < few + 40  # of all rows at once: 240 MiB more


def test_more_parts_than_trees() -> None:
    """More parts than trees are refused before anything is read."""
    with pytest.raises(samebook.UsageError, match="parts: found 13 for 12 trees"):
        learn(TREES + 1)
