"""A plain script of Dask, which the bench of scale has beside samebook: xgboost.dask learns from the same files.

    python tests/benchmarks/dask_script.py NOTEBOOKS DATA FIRST LAST TREES WORKERS

It has no check, no receipt and no monitoring reference: what it takes is what Dask and xgboost take.
"""

import datetime
import sys
import tempfile
from pathlib import Path

import dask
import dask.dataframe as dd
import pandas as pd
import xgboost.dask
from distributed import Client, LocalCluster

DAYS = 28
SETTINGS = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": 6,
    "learning_rate": 0.05,
    "min_child_weight": 20,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "seed": 2013,
}


def main(notebooks: str, data: str, first: str, last: str, trees: str, workers: str) -> None:
    """Learn from the days `first` to `last` of the datasets in `data`, with as many trees and workers."""
    sys.path.insert(0, notebooks)
    import flights

    days = flights.days(datetime.date.fromisoformat(first), datetime.date.fromisoformat(last))
    read_days = flights.days(days[0], days[min(DAYS, len(days)) - 1])
    categories = flights.observed_categories(known(data, read_days))

    def learnt(days: list[datetime.date]) -> pd.DataFrame:
        sys.path.insert(0, notebooks)
        rows = known(data, days)
        return flights.features(rows, categories).assign(late=rows["late"].astype("float32"))

    spans = [days[start : start + DAYS] for start in range(0, len(days), DAYS)]
    # Texts of Arrow would be no categories to xgboost.
    with (
        tempfile.TemporaryDirectory() as folder,
        dask.config.set({"dataframe.convert-string": False, "temporary-directory": folder}),
        LocalCluster(n_workers=int(workers), threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        frame = dd.from_map(learnt, spans, meta=learnt(read_days[:1]).head(0)).persist()
        matrix = xgboost.dask.DaskQuantileDMatrix(client, frame[list(flights.FEATURES)], frame["late"])
        done = xgboost.dask.train(client, SETTINGS, matrix, num_boost_round=int(trees))
        done["booster"].save_model(Path(folder) / "model.ubj")


def known(data: str, days: list[datetime.date]) -> pd.DataFrame:
    """The flights of some days that arrived, with `late`."""
    read = (
        [pd.read_parquet(Path(data, name, f"day={day}", "part-0.parquet"), partitioning=None) for day in days]
        for name in ("flights", "outcomes")
    )
    scheduled, ended = (pd.concat(frames, ignore_index=True) for frames in read)
    return scheduled.merge(ended[["id", "late"]], on="id").dropna(subset="late")


if __name__ == "__main__":
    main(*sys.argv[1:])
