"""The scoring of many rows: seconds and memory of several ways, side by side.

    python tests/benchmarks/scoring.py --rows 5000000 --json scoring.json

One Parquet file of 20 numbers a row goes in, a file of ids and probabilities comes out, whose values must be equal.
`bare` only predicts, from a matrix that is in memory, and writes nothing: no other can be faster. Each way runs in a
process of its own, all ways in turn, `--times` times; the results are medians. `cpu`, of all threads, says more on a
busy machine. Memory is the peak of the process.

Other predictors were tried, on a million rows and 200 trees: treelite 4.8 takes 4.6 times as long as xgboost 3.4, a
model compiled by tl2cgen 1.0 1.7 times, and both differ by up to 4e-7. Several processes gain nothing: xgboost has
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
    """Write data with one value in twenty missing, and a model of them."""
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
    # The time to read the matrix is not measured.
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
    """The way of predict.ipynb: samebook's batches, inplace_predict, written while predicting."""
    import pandas as pd

    from samebook.data import batches

    model = _model(folder)
    yield time.perf_counter()
    with batches.writing(folder / "scores.parquet") as partition:
        for rows in batches.Batches((("rows", folder / "rows.parquet"),), rows=BATCH):
            scores = model.inplace_predict(rows[COLUMNS])
            partition.write(pd.DataFrame({"id": rows["id"], "probability": scores.astype("float64")}))


WAYS: dict[str, Callable[[Path], Iterator[float]]] = {
    way.__name__: way for way in (bare, sklearn, dmatrix, whole, batched)
}


def _model(folder: Path):
    import xgboost

    return xgboost.Booster(model_file=folder / "model.ubj")


def _write(folder: Path, ids, scores) -> None:
    import pandas as pd

    from samebook.data import dataset

    dataset.write(pd.DataFrame({"id": ids, "probability": scores.astype("float64")}), folder / "scores.parquet")


def measure(folder: Path, way: str) -> dict[str, float | str]:
    """Measure a way in a process of its own: seconds, peak MiB, and the sha256 of its file."""
    (folder / "scores.parquet").unlink(missing_ok=True)
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    scores = folder / "scores.parquet"
    return result | {"sha256": hashlib.sha256(scores.read_bytes()).hexdigest() if scores.exists() else ""}


def run(folder: Path, way: str) -> dict[str, float]:
    """Run a way in this process, and measure it."""
    steps = WAYS[way](folder)
    start = next(steps)
    used = time.process_time()
    for _ in steps:
        pass
    seconds = time.perf_counter() - start
    cpu = time.process_time() - used
    # Not ru_maxrss: it counts the memory of the parent at the start of this process.
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    return {"seconds": seconds, "cpu": cpu, "peak_mib": int(peak) / 1024}


def compare(folder: Path, times: int) -> dict[str, dict[str, float]]:
    """The medians of each way. Raises AssertionError where the ways give different scores."""
    results: dict[str, list[dict]] = {way: [] for way in WAYS}
    for _ in range(times):
        for way in WAYS:
            results[way].append(measure(folder, way))
    digests = {run["sha256"] for runs in results.values() for run in runs if run["sha256"]}
    assert len(digests) == 1, f"the ways don't agree: {digests}"
    return {
        way: {
            "seconds": median(run["seconds"] for run in runs),
            "cpu": median(run["cpu"] for run in runs),
            "fastest": min(run["seconds"] for run in runs),
            "slowest": max(run["seconds"] for run in runs),
            "peak_mib": median(run["peak_mib"] for run in runs),
        }
        for way, runs in results.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        sys.stdout.write(json.dumps(run(options.folder, options.way)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), options.rows, options.trees)
        results = compare(Path(folder), options.times)
    sys.stdout.write(f"{'way':10} {'seconds':>8} {'CPU':>8} {'speed of bare':>14} {'peak MiB':>9}\n")
    for way, result in results.items():
        speed = results["bare"]["seconds"] / result["seconds"]
        sys.stdout.write(
            f"{way:10} {result['seconds']:8.2f} {result['cpu']:8.2f} {speed:14.2f} {result['peak_mib']:9.0f}\n"
        )
    if options.json:
        report = {"rows": options.rows, "trees": options.trees, "times": options.times, "batch": BATCH, "ways": results}
        options.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
