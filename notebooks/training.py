"""The ways to train the model of late flights: from all of them, in memory or beside it; from one part after the other;
and by several machines together, each from every n-th batch.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xgboost
from xgboost import collective
from xgboost.tracker import RabitTracker

import flights
import samebook

if TYPE_CHECKING:
    from samebook import Rank

# Connections to rank 0 that may fail before it listens; between two of them xgboost waits 2 s longer each time.
RETRIES = 30

type Read = Callable[[int, int], Iterable[pd.DataFrame]]
type Coded = tuple[pd.DataFrame, pd.Series]


class Batches(xgboost.DataIter):
    """Batches of features, coded by all categories, and labels, as xgboost asks for them: four times in all."""

    def __init__(self, read: Callable[[], Iterable[Coded]], cache: Path | None) -> None:
        self.read, self.left = read, iter(())
        super().__init__(cache_prefix=str(cache) if cache else None)

    def reset(self) -> None:
        self.left: Iterator[Coded] = iter(self.read())

    def next(self, input_data: Callable[..., Any]) -> bool:
        for features, late in self.left:
            input_data(data=features, label=late)
            return True
        return False


def matrix(
    read: Callable[[], Iterable[pd.DataFrame]],
    categories: Mapping[str, Iterable[str]],
    cache: Path | None = None,
    like: xgboost.DMatrix | None = None,
) -> xgboost.QuantileDMatrix | xgboost.ExtMemQuantileDMatrix:
    """The matrix of the flights that each call of `read` reads anew, in batches, with their `late`.

    With `cache`, the start of its files' names, memory holds a batch at a time, and the disk the rest. The models have
    the same bytes. `like` is a matrix whose bins are taken.
    """

    def coded() -> Iterator[Coded]:
        return ((flights.features(batch, categories), batch["late"]) for batch in read())

    if cache:
        return xgboost.ExtMemQuantileDMatrix(Batches(coded, cache))
    held = list(coded())  # coded, a flight takes some 120 bytes
    return xgboost.QuantileDMatrix(Batches(lambda: held, None), ref=like)


def in_parts(
    settings: Mapping[str, Any], rounds: int, read: Read, categories: Mapping[str, Iterable[str]], *, parts: int
) -> xgboost.Booster:
    """The model of `rounds` trees, each from the next of the `parts` that `read(index, count)` gives, round and round:
    memory holds a part, however many flights there are.

    Out of core, xgboost keeps bins on disk, but 44 bytes and more of each row in memory: its gradient, its place in the
    tree, and room to move it. Parts have no such limit. Their model is another, equivalent one: each tree has seen the
    rows of one part, as with a subsample, and bins are those of the first part.

    The same flights, settings and number of parts give the same bytes. Raises UsageError for more parts than trees, as
    some flights would teach nothing.
    """
    if parts > rounds:
        raise samebook.UsageError(
            f"parts: found {parts} for {rounds} trees; expected a tree from each part",
            mend=f"make run NOTEBOOK=train PARAMS='memory=parts parts={rounds} n_estimators={rounds}'",
        )
    model, part = None, None
    for tree in range(rounds):
        # Of the part before only the bins are taken, so that a split has the same meaning in each part.
        part = matrix(functools.partial(read, tree % parts, parts), categories, like=part)
        # xgboost begins anew with each part to draw rows and columns, and would draw the same columns.
        model = xgboost.train({**settings, "seed": settings["seed"] + tree}, part, num_boost_round=1, xgb_model=model)
    assert model is not None, "no tree is asked for"
    return model


def on_cluster(
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
    learn = functools.partial(
        _learn, dict(settings), rounds, read, {name: list(values) for name, values in categories.items()}
    )
    models = samebook.run_ranks(learn, workers=workers, minutes=minutes)
    assert len(set(models)) == 1, "ranks have learnt different models"
    return xgboost.Booster(model_file=bytearray(models[0]))


def _learn(
    settings: dict[str, Any], rounds: int, read: Read, categories: Mapping[str, Iterable[str]], rank: "Rank"
) -> bytes:
    """The model, as every rank has it in the end."""
    with _together(rank):
        batches = matrix(lambda: read(rank.index, rank.count), categories)
        return bytes(xgboost.train(settings, batches, num_boost_round=rounds).save_raw("ubj"))


@contextmanager
def _together(rank: "Rank") -> Iterator[None]:
    """The block in which xgboost adds up what the ranks have counted. Rank 0 has the tracker, by which they meet."""
    tracker = RabitTracker(rank.count, rank.host, rank.port, sortby="task") if rank.index == 0 else None
    if tracker:
        tracker.start()
    meeting = {"dmlc_tracker_uri": rank.host, "dmlc_tracker_port": rank.port, "dmlc_retry": RETRIES}
    # xgboost sorts the names of its tasks as text.
    try:
        with collective.CommunicatorContext(dmlc_communicator="rabit", dmlc_task_id=f"{rank.index:06}", **meeting):
            yield
    except xgboost.core.XGBoostError as error:
        if "/collective/" not in str(error):
            raise
        raise ConnectionError(f"the connection between {rank.count} ranks has broken") from error
    if tracker:
        tracker.wait_for()
