"""The cost of portable numerics against fast ones: the example's training, scikit-learn's classics, numpy.

Both take turns. Computations have one process for each round, and are timed once they have run.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from benchmarks import kinds
from benchmarks.figures import rotated
from benchmarks.places import Place, Survey
from benchmarks.trials import FailedTrial, Trial, last_words, measure
from tiny import CHECKOUT

from samebook.environment import numerics

NAMES: tuple[numerics.Name, ...] = ("portable", "fast")
TRAINING = "the example's training"
PROGRAM = "import json; from benchmarks import cost; print(json.dumps(cost.seconds()))"


def computations() -> dict[str, Callable[[], object]]:
    """What is computed, by name, on data that are made beforehand."""
    from sklearn import cluster, decomposition, ensemble, linear_model

    square, rows = kinds.values(1200, 1200), kinds.values(20_000, 20)
    label = (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0.75).astype(int)
    return {
        "matrix product": lambda: square @ square,
        "exp": lambda: np.exp(square),
        "svd": lambda: np.linalg.svd(square[:400, :400]),
        "LinearRegression": lambda: linear_model.LinearRegression().fit(rows, label),
        "LogisticRegression": lambda: linear_model.LogisticRegression().fit(rows, label),
        "PCA": lambda: decomposition.PCA(5).fit(rows),
        "KMeans": lambda: cluster.KMeans(8, n_init=1, random_state=1).fit(rows),
        "RandomForest": lambda: ensemble.RandomForestClassifier(20, random_state=1).fit(rows, label),
    }


def seconds() -> dict[str, float]:
    """The seconds of each computation; the first time it starts threads, and does not count."""
    return {name: [_timed(computation) for _ in range(2)][1] for name, computation in computations().items()}


def _timed(computation: Callable[[], object]) -> float:
    began = time.perf_counter()
    computation()
    return time.perf_counter() - began


def rows(place: Place) -> list[dict[str, object]]:
    """A row for each computation: the medians with both numerics, and their ratio."""
    trials = {name: _training(place, name) for name in NAMES}
    measure(trials["portable"], place.root / "train.txt")  # makes the days of the datasets
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
    for turn in range(place.plan.repeats):
        for name in rotated(NAMES, turn):
            training = measure(trials[name], place.root / "train.txt").seconds
            measured[name].append({TRAINING: training, **_computed(place, name)})
    return [_row(name, measured) for name in measured["portable"][0]]


def _row(computation: str, measured: dict[str, list[dict[str, float]]]) -> dict[str, object]:
    portable, fast = (median(one[computation] for one in measured[name]) for name in NAMES)
    return {"computation": computation, "portable s": portable, "fast s": fast, "portable ÷ fast": portable / fast}


def _training(place: Place, name: numerics.Name) -> Trial:
    """The training of the example in a clone, which has its own data."""
    clone = place.root / "clone"
    if not clone.is_dir():
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
    env = {**place.environ(), "SAMEBOOK_WORKSPACE": str(clone), "SAMEBOOK_NUMERICS": name}
    return Trial((sys.executable, "-m", "samebook", "run", "train"), clone, env)


def _computed(place: Place, name: numerics.Name) -> dict[str, float]:
    env = {**place.environ(), "PYTHONPATH": str(Path(__file__).parents[1]), **numerics.of(name).variables()}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedTrial(f"exit code {done.returncode}: {last_words(done.stderr)}")
    return json.loads(done.stdout)


COST = Survey("numerics", "portable numerics and fast ones: training, scikit-learn's classics, numpy", rows)
