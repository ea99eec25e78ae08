"""The matrices that xgboost learns from: flights in batches, in memory or beside it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import xgboost

import flights

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
