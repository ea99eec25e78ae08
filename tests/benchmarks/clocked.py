"""Programs that measure a part of themselves: clocked.py WAY, in a folder; clocked.py make ROWS writes their data.

The scoring of many rows: one Parquet file of 20 numbers a row goes in, a file of ids and probabilities comes out, whose
bytes must be equal. `bare` only predicts, from a matrix that is in memory, and writes nothing: no other can be faster.
`batched` is the way of predict.ipynb. Any other way is a computation, which is timed once it has run, as its first time
starts threads.
"""

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost

from samebook.data import batches, dataset

ROWS, MODEL, SCORES = Path("rows.parquet"), Path("model.ubj"), Path("scores.parquet")
COLUMNS = [f"x{number}" for number in range(20)]
BATCH, TREES = 65_536, 200


def make(rows: int) -> None:
    """Write data with one value in twenty missing, and a model of them."""
    random = np.random.default_rng(2013).random
    values = random((rows, len(COLUMNS)), dtype=np.float32)
    label = (values[:BATCH, 0] * values[:BATCH, 1] + values[:BATCH, 2]) > 0.7
    values[random(values.shape, dtype=np.float32) < 0.05] = np.nan
    frame = pd.DataFrame(values, columns=COLUMNS)
    frame.assign(id=[f"2013-07-01-UA-{n}" for n in range(rows)]).to_parquet(ROWS, row_group_size=BATCH)
    matrix = xgboost.DMatrix(frame[:BATCH], label=label)
    xgboost.train({"objective": "binary:logistic", "max_depth": 6}, matrix, TREES).save_model(MODEL)


def score(way: str) -> Iterator[None]:
    """Load the model, then score the rows."""
    model = xgboost.XGBClassifier() if way == "classifier" else xgboost.Booster()
    model.load_model(MODEL)
    matrix = pd.read_parquet(ROWS, columns=COLUMNS).to_numpy() if way == "bare" else None
    yield
    if way == "bare":
        model.inplace_predict(matrix)
    elif way == "batched":
        with batches.writing(SCORES) as partition:
            for rows in batches.Batches((("rows", ROWS),), rows=BATCH):
                partition.write(scored(rows["id"], model.inplace_predict(rows[COLUMNS])))
    else:
        rows = pd.read_parquet(ROWS)
        values = rows[COLUMNS]
        known = model.predict_proba(values)[:, 1] if way == "classifier" else model.predict(xgboost.DMatrix(values))
        dataset.write(scored(rows["id"], known), SCORES)


def scored(ids: pd.Series, scores: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "probability": scores.astype("float64")})


def compute(name: str) -> Iterator[None]:
    """Compute the product of two matrices, or fit a class of scikit-learn; then do it again."""
    from sklearn import cluster, decomposition, ensemble, linear_model

    values = np.random.default_rng(2013).random
    square, rows = values((1200, 1200)), values((20_000, 20))
    label = (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0.75).astype(int)
    computation = {
        "product": lambda: square @ square,
        "LinearRegression": lambda: linear_model.LinearRegression().fit(rows, label),
        "LogisticRegression": lambda: linear_model.LogisticRegression().fit(rows, label),
        "PCA": lambda: decomposition.PCA(5).fit(rows),
        "KMeans": lambda: cluster.KMeans(8, n_init=1, random_state=1).fit(rows),
        "RandomForest": lambda: ensemble.RandomForestClassifier(20, random_state=1).fit(rows, label),
    }[name]
    computation()
    yield
    computation()


def main(way: str) -> None:
    """Run a way; its last lines are the sha256 of its file, if it has one, and its seconds as JSON."""
    steps = score(way) if way in ("bare", "classifier", "dmatrix", "batched") else compute(way)
    next(steps)
    began, used = time.perf_counter(), time.process_time()
    next(steps, None)
    cost = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}
    digest = hashlib.sha256(SCORES.read_bytes()).hexdigest() if SCORES.is_file() else ""
    sys.stdout.write(f"{digest}\n{json.dumps(cost)}\n")


if __name__ == "__main__":
    make(int(sys.argv[2])) if sys.argv[1] == "make" else main(sys.argv[1])
