"""A model that learns from one part of the flights after the other: memory holds a part, however many there are.

Out of core, xgboost keeps bins on disk, but 44 bytes and more of each row in memory: its gradient, its place in the
tree, and room to move it. Parts have no such limit. Their model is another, equivalent one: each tree has seen the rows
of one part, as with a subsample, and bins are those of the first part.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
import xgboost

import matrices
import samebook

type Read = Callable[[int, int], Iterable[pd.DataFrame]]


def train(
    settings: Mapping[str, Any], rounds: int, read: Read, categories: Mapping[str, Iterable[str]], *, parts: int
) -> xgboost.Booster:
    """The model of `rounds` trees, each from the next of the `parts` that `read(index, count)` gives, round and round.

    The same flights, settings and number of parts give the same bytes. Raises UsageError for more parts than trees, as
    some flights would teach nothing.
    """
    if parts > rounds:
        raise samebook.UsageError(
            f"parts: found {parts} for {rounds} trees; expected a tree from each part",
            mend=f"make run NOTEBOOK=train PARAMS='memory=parts parts={rounds} n_estimators={rounds}'",
        )
    model, matrix = None, None
    for tree in range(rounds):
        # Of the part before only the bins are taken, so that a split has the same meaning in each part.
        matrix = matrices.matrix(functools.partial(read, tree % parts, parts), categories, like=matrix)
        # xgboost begins anew with each part to draw rows and columns, and would draw the same columns.
        model = xgboost.train({**settings, "seed": settings["seed"] + tree}, matrix, num_boost_round=1, xgb_model=model)
    assert model is not None, "no tree is asked for"
    return model
