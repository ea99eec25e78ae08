"""Scoring many rows: seconds and memory of the ways to do it, side by side.

    python tests/benchmarks/scoring.py --rows 5000000 --json scoring.json

One Parquet file of 20 numbers a row goes in, a file of ids and probabilities comes out, whose values must be equal.
`bare` only predicts, from a matrix that is in memory, and writes nothing: no other can be faster. Each way runs in a
process of its own, all ways in turn, `--times` times; told are medians. `cpu`, of all threads,
says more on a busy machine. Memory is the peak of what the process held.

Other predictors were tried, on a million rows and 200 trees: treelite 4.8 takes 4.6 times as long as xgboost 3.4, what
tl2cgen 1.0 compiles 1.7 times, and neither says the same (up to 4e-7 off). Several processes gain nothing: xgboost has
all cores busy.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

COLUMNS = [f"x{number}" for number in range(20)]
BATCH = 65_536


def make(folder: Path, rows: int, trees: int) -> None:
    """The data, with one value in twenty missing, and a model of it."""
    import numpy as np
    import pandas as pd
    import xgboost

    from samebook.data import batches

    generator = np.random.default_rng(2013)
    with batches.writing(folder / "rows.parquet") as partition:
        for start in range(0, rows, BATCH):
            count = min(BATCH, rows - start)
            values = generator.random((count, len(COLUMNS)), dtype=np.float32)
            values[generator.random(values.shape) < 0.05] = np.nan
            ids = pd.Series([f"2013-07-01-UA-{start + n}" for n in range(count)], dtype="str")
            partition.write(pd.DataFrame(values, columns=COLUMNS).assign(id=ids))
            if not start:
                label = np.nan_to_num(values[:, 0] * values[:, 1] + values[:, 2]) > 0.7
                matrix = xgboost.DMatrix(pd.DataFrame(values, columns=COLUMNS), label=label)
                model = xgboost.train({"objective": "binary:logistic", "max_depth": 6}, matrix, trees)
    model.save_model(folder / "model.ubj")


def bare(folder: Path) -> Iterator[float]:
    """The predictor alone."""
    from pyarrow import parquet

    model = _model(folder)
    # Not what is measured: how the matrix came into memory.
    matrix = parquet.read_table(folder / "rows.parquet", columns=COLUMNS).to_pandas().to_numpy()
    yield time.perf_counter()
    model.inplace_predict(matrix)


def sklearn(folder: Path) -> Iterator[float]:
    """pandas, and predict_proba of a classifier."""
    import pandas as pd
    import xgboost

    model = xgboost.XGBClassifier()
    model.load_model(folder / "model.ubj")
    yield time.perf_counter()
    rows = pd.read_parquet(folder / "rows.parquet")
    _write(folder, rows["id"], model.predict_proba(rows[COLUMNS])[:, 1])


def dmatrix(folder: Path) -> Iterator[float]:
    """pandas, and a DMatrix."""
    import pandas as pd
    import xgboost

    model = _model(folder)
    yield time.perf_counter()
    rows = pd.read_parquet(folder / "rows.parquet")
    _write(folder, rows["id"], model.predict(xgboost.DMatrix(rows[COLUMNS])))


def whole(folder: Path) -> Iterator[float]:
    """pandas, and inplace_predict of all rows at once."""
    import pandas as pd

    model = _model(folder)
    yield time.perf_counter()
    rows = pd.read_parquet(folder / "rows.parquet")
    _write(folder, rows["id"], model.inplace_predict(rows[COLUMNS]))


def batched(folder: Path) -> Iterator[float]:
    """As predict.ipynb: samebook's batches, inplace_predict, written while predicting."""
    import pandas as pd

    from samebook.data import batches

    model = _model(folder)
    yield time.perf_counter()
    with batches.writing(folder / "scores.parquet") as partition:
        for rows in batches.Batches((("rows", folder / "rows.parquet"),), rows=BATCH):
            scores = model.inplace_predict(rows[COLUMNS])
            partition.write(pd.DataFrame({"id": rows["id"], "probability": scores.astype("float64")}))


WAYS: dict[str, Callable[[Path], Iterator[float]]] = {
    each.__name__: each for each in (bare, sklearn, dmatrix, whole, batched)
}


def _model(folder: Path):
    import xgboost

    return xgboost.Booster(model_file=folder / "model.ubj")


def _write(folder: Path, ids, scores) -> None:
    import pandas as pd

    from samebook.data import dataset

    dataset.write(pd.DataFrame({"id": ids, "probability": scores.astype("float64")}), folder / "scores.parquet")


def measure(folder: Path, way: str) -> dict[str, float | str]:
    """One way, in a process of its own: seconds, MiB at most, and the sha256 of what it wrote."""
    (folder / "scores.parquet").unlink(missing_ok=True)
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    written = folder / "scores.parquet"
    return told | {"sha256": hashlib.sha256(written.read_bytes()).hexdigest() if written.exists() else ""}


def run(folder: Path, way: str) -> dict[str, float]:
    """One way, here."""
    steps = WAYS[way](folder)
    start = next(steps)
    used = time.process_time()
    for _ in steps:
        pass
    seconds = time.perf_counter() - start
    cpu = time.process_time() - used
    # Not ru_maxrss: it counts what the parent held when it started this process.
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    return {"seconds": seconds, "cpu": cpu, "peak_mib": int(peak) / 1024}


def compare(folder: Path, times: int) -> dict[str, dict[str, float]]:
    """By way, the medians. Raises AssertionError where two ways say different things."""
    found: dict[str, list[dict]] = {way: [] for way in WAYS}
    for _ in range(times):
        for way in WAYS:
            found[way].append(measure(folder, way))
    written = {each["sha256"] for runs in found.values() for each in runs if each["sha256"]}
    assert len(written) == 1, f"the ways don't agree: {written}"
    return {
        way: {
            "seconds": median(each["seconds"] for each in runs),
            "cpu": median(each["cpu"] for each in runs),
            "fastest": min(each["seconds"] for each in runs),
            "slowest": max(each["seconds"] for each in runs),
            "peak_mib": median(each["peak_mib"] for each in runs),
        }
        for way, runs in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        sys.stdout.write(json.dumps(run(given.folder, given.way)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), given.rows, given.trees)
        found = compare(Path(folder), given.times)
    sys.stdout.write(f"{'way':10} {'seconds':>8} {'CPU':>8} {'speed of bare':>14} {'peak MiB':>9}\n")
    for way, told in found.items():
        speed = found["bare"]["seconds"] / told["seconds"]
        sys.stdout.write(f"{way:10} {told['seconds']:8.2f} {told['cpu']:8.2f} {speed:14.2f} {told['peak_mib']:9.0f}\n")
    if given.json:
        told = {"rows": given.rows, "trees": given.trees, "times": given.times, "batch": BATCH, "ways": found}
        given.json.write_text(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
