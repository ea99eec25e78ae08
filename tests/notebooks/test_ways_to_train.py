"""The ways to train, pair by pair: models of the same bytes, or as good as each other within what the page says."""

import functools
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
import xgboost
from sklearn.metrics import roc_auc_score
from test_in_parts import CATEGORIES, FIXED, TREES, learn, made_up, read
from tiny import CHECKOUT

import flights
import samebook
import training
from samebook.cluster import ranks
from samebook.core.workspace import Workspace

SETTINGS = {**FIXED, "nthread": 1}
PAGE = (CHECKOUT / "docs" / "how-to" / "cluster.md").read_text()
# `all` and `parts` | equivalent: AUC within 0.02 |
PAIR = re.compile(r"^\| `(\w+)` and `(\w+)` \| (same bytes|equivalent: AUC within ([\d.]+))", re.MULTILINE)
PAIRS = {frozenset(pair[:2]): float(pair[3] or 0) for pair in PAIR.findall(PAGE)}
WAYS = ("all", "external", "parts", "cluster")


def beside(folder: Path, function: Callable[..., Any], *, workers: int, minutes: float) -> list[Any]:
    """`samebook.run_ranks` as a reproduction has it: ranks are processes of this machine."""
    variables = {
        "SAMEBOOK_RUN": str(folder),
        "SAMEBOOK_WORKSPACE": str(CHECKOUT),
        "PYTHONPATH": str(Path(__file__).parent),
    }
    call = cloudpickle.dumps((function, frozenset()))
    return ranks.run_here(Workspace(CHECKOUT), ranks.Ranks(workers, minutes, folder / "ranks", call, variables))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """The bytes of two models that each way has learnt from the same flights."""
    folder = tmp_path_factory.mktemp("ways")
    every = functools.partial(read, 0, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samebook, "run_ranks", functools.partial(beside, folder), raising=False)
        return {
            "all": [trained(training.matrix(every, CATEGORIES)) for _ in range(2)],
            "external": [trained(training.matrix(every, CATEGORIES, folder / f"bins-{n}")) for n in range(2)],
            "parts": [learn(4) for _ in range(2)],
            "cluster": [together(2) for _ in range(2)],
        }


def trained(matrix: xgboost.DMatrix) -> bytes:
    return bytes(xgboost.train(SETTINGS, matrix, num_boost_round=TREES).save_raw("ubj"))


def together(workers: int) -> bytes:
    model = training.on_cluster(SETTINGS, TREES, read, CATEGORIES, workers=workers, minutes=5)
    return bytes(model.save_raw("ubj"))


@pytest.fixture(scope="module")
def unseen() -> pd.DataFrame:
    return made_up(10_000, seed=18)


@pytest.mark.parametrize("way", WAYS)
def test_same_bytes_twice(way: str, models: dict[str, list[bytes]]) -> None:
    """The same way gives the same bytes twice, with as many parts or workers."""
    assert models[way][0] == models[way][1]


@pytest.mark.parametrize("pair", list(itertools.combinations(WAYS, 2)), ids="-".join)
def test_pair_is_as_the_page_says(pair: tuple[str, str], models: dict[str, list[bytes]], unseen: pd.DataFrame) -> None:
    """Two ways have models of the same bytes, or other ones that rank flights as well within what the page says."""
    one, other = (models[way][0] for way in pair)
    within = PAIRS[frozenset(pair)]
    assert (one == other) == (within == 0)
    scores = [flights.score(xgboost.Booster(model_file=bytearray(model)), unseen) for model in (one, other)]
    first, second = (roc_auc_score(unseen["late"], score) for score in scores)
    assert first == pytest.approx(second, abs=within)
