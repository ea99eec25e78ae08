"""A model that several machines learn together: each from every n-th batch, in memory or on disk as matrices say."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import xgboost
from xgboost import collective
from xgboost.tracker import RabitTracker

import matrices
import samebook

if TYPE_CHECKING:
    from samebook import Rank

# Connections to rank 0 that may fail before it listens; between two of them xgboost waits 2 s longer each time.
RETRIES = 30

type Read = Callable[[int, int], Iterable[pd.DataFrame]]


def train(
    settings: Mapping[str, Any],
    rounds: int,
    read: Read,
    categories: Mapping[str, Iterable[str]],
    *,
    workers: int,
    minutes: float,
) -> xgboost.Booster:
    """The model that as many workers of the cluster learn from the flights that `read(index, count)` gives to each.

    Bins and their histograms are those of all flights; each worker draws its own subsample. The same number of workers
    and the same batches give the same bytes; another number gives another, equivalent model.
    """
    learn = partial(_learn, dict(settings), rounds, read, {name: list(values) for name, values in categories.items()})
    models = samebook.run_ranks(learn, workers=workers, minutes=minutes)
    assert len(set(models)) == 1, "ranks have learnt different models"
    return xgboost.Booster(model_file=bytearray(models[0]))


def _learn(
    settings: dict[str, Any], rounds: int, read: Read, categories: Mapping[str, Iterable[str]], rank: "Rank"
) -> bytes:
    """The model, as every rank has it in the end."""
    with _together(rank):
        matrix = matrices.matrix(lambda: read(rank.index, rank.count), categories)
        return bytes(xgboost.train(settings, matrix, num_boost_round=rounds).save_raw("ubj"))


@contextmanager
def _together(rank: "Rank") -> Iterator[None]:
    """The block in which xgboost adds up what the ranks have counted. Rank 0 has the tracker, by which they meet."""
    tracker = RabitTracker(rank.count, rank.host, rank.port, sortby="task") if rank.index == 0 else None
    if tracker:
        tracker.start()
    meeting = {"dmlc_tracker_uri": rank.host, "dmlc_tracker_port": rank.port, "dmlc_retry": RETRIES}
    # xgboost sorts the names of its tasks as text.
    with collective.CommunicatorContext(dmlc_communicator="rabit", dmlc_task_id=f"{rank.index:06}", **meeting):
        yield
    if tracker:
        tracker.wait_for()
