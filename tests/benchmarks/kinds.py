"""Kinds of computation whose bytes `make portability` compares; a name begins with the library that computes.

Each is small: what differs by the order of additions differs already in some thousand numbers.
"""

import hashlib
import io
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import numpy as np

type Computation = Callable[[], Any]


def values(*shape: int) -> Any:
    """Numbers from 0 to 1 that are made without floating-point functions: the same on each machine."""
    return np.random.default_rng(2013).random(shape)


def symmetric() -> Any:
    half = values(200, 200)
    return half + half.T + 200 * np.eye(200)


@cache
def table() -> tuple[Any, Any]:
    """Rows to learn from, and 0 or 1 for each."""
    rows = values(3000, 12)
    return rows, (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0.75).astype(int)


def fitted(model: str, **settings: Any) -> Any:
    """The answers of a model of scikit-learn, by its path, on the rows that it has learnt."""
    import importlib

    module, _, name = model.rpartition(".")
    rows, label = table()
    estimator = getattr(importlib.import_module(f"sklearn.{module}"), name)(**settings).fit(rows, label)
    ways = ("decision_function", "predict_proba", "transform", "predict")
    return getattr(estimator, next(way for way in ways if hasattr(estimator, way)))(rows)


def boosted(**settings: Any) -> bytes:
    import xgboost

    rows, label = table()
    return bytes(xgboost.train({"seed": 1, **settings}, xgboost.DMatrix(rows, label), 20).save_raw())


def frame() -> Any:
    import pandas as pd

    return pd.DataFrame(values(20_000, 3), columns=list("abc")).assign(key=np.arange(20_000) % 97)


def queried(query: str) -> Any:
    import duckdb

    rows = frame()  # noqa: F841 - the query reads it
    return duckdb.sql(query).df().to_numpy()


def drawn() -> bytes:
    from matplotlib.figure import Figure

    figure, file = Figure(), io.BytesIO()
    figure.subplots().plot(values(100))
    figure.savefig(file, format="png")
    return file.getvalue()


def minimized() -> Any:
    from scipy.optimize import minimize, rosen

    return minimize(rosen, values(8)).x


def of_scipy(path: str, *arguments: Any) -> Any:
    import importlib

    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"scipy.{module}"), name)(*arguments)


def of_arrow() -> Any:
    import pyarrow as pa
    from pyarrow import compute

    rows = pa.array(values(50_001))
    return [compute.sum(rows).as_py(), compute.stddev(rows).as_py(), compute.exp(rows).to_numpy()]


KINDS: dict[str, Computation] = {
    "numpy exp": lambda: np.exp(values(10_001)),
    "numpy log": lambda: np.log(values(10_001) + 0.1),
    "numpy power": lambda: values(10_001) ** 1.7,
    "numpy sin": lambda: np.sin(values(10_001)),
    "numpy tanh": lambda: np.tanh(values(10_001)),
    "numpy sqrt": lambda: np.sqrt(values(10_001)),
    "numpy float32 exp": lambda: np.exp(values(10_001).astype("float32")),
    "numpy sum": lambda: values(100_001).sum(),
    "numpy mean, std": lambda: [values(301, 301).mean(axis=0), values(301, 301).std(axis=1)],
    "numpy cumsum": lambda: values(100_001).cumsum(),
    "numpy sort": lambda: np.sort(values(100_001)),
    "numpy argsort": lambda: np.argsort(values(100_001)),
    "numpy quantile": lambda: np.quantile(values(100_001), [0.1, 0.5, 0.9]),
    "numpy fft": lambda: np.fft.fft(values(10_007)),
    "numpy einsum": lambda: np.einsum("ij,ik->jk", values(300, 40), values(300, 40)),
    "numpy normal": lambda: np.random.default_rng(1).normal(size=10_001),
    "numpy dot of vectors": lambda: values(1_000_001) @ values(1_000_001),
    "numpy matrix product": lambda: values(400, 300) @ values(300, 500),
    "numpy float32 product": lambda: values(400, 300).astype("float32") @ values(300, 500).astype("float32"),
    "numpy covariance": lambda: np.cov(values(300, 400)),
    "numpy solve": lambda: np.linalg.solve(symmetric(), values(200)),
    "numpy inverse": lambda: np.linalg.inv(symmetric()),
    "numpy cholesky": lambda: np.linalg.cholesky(symmetric()),
    "numpy qr": lambda: np.linalg.qr(values(400, 300))[1],
    "numpy eigh": lambda: np.linalg.eigh(symmetric())[0],
    "numpy svd": lambda: np.linalg.svd(values(500, 500))[1],
    "numpy lstsq": lambda: np.linalg.lstsq(values(500, 40), values(500), rcond=None)[0],
    "scipy minimize": minimized,
    "scipy cdist": lambda: of_scipy("spatial.distance.cdist", values(300, 9), values(200, 9)),
    "scipy expit": lambda: of_scipy("special.expit", values(10_001)),
    "scipy gaussian filter": lambda: of_scipy("ndimage.gaussian_filter", values(200, 200), 2.0),
    "scipy svd": lambda: of_scipy("linalg.svd", values(300, 300))[1],
    "scipy sparse product": lambda: (m := of_scipy("sparse.csr_array", values(300, 300) // 0.9)) @ m.T @ values(300),
    "sklearn scaling": partial(fitted, "preprocessing.StandardScaler"),
    "sklearn LinearRegression": partial(fitted, "linear_model.LinearRegression"),
    "sklearn Ridge": partial(fitted, "linear_model.Ridge"),
    "sklearn Lasso": partial(fitted, "linear_model.Lasso", alpha=0.001),
    "sklearn LogisticRegression": partial(fitted, "linear_model.LogisticRegression"),
    "sklearn PCA": partial(fitted, "decomposition.PCA", n_components=5),
    "sklearn TruncatedSVD": partial(fitted, "decomposition.TruncatedSVD", n_components=5, random_state=1),
    "sklearn SVC": partial(fitted, "svm.SVC"),
    "sklearn MLP": partial(fitted, "neural_network.MLPClassifier", max_iter=15, tol=9.0, random_state=1),
    "sklearn KMeans": partial(fitted, "cluster.KMeans", n_clusters=7, n_init=2, random_state=1),
    "sklearn MiniBatchKMeans": partial(fitted, "cluster.MiniBatchKMeans", n_clusters=7, n_init=2, random_state=1),
    "sklearn GaussianMixture": partial(fitted, "mixture.GaussianMixture", n_components=3, random_state=1),
    "sklearn KNN": partial(fitted, "neighbors.KNeighborsClassifier"),
    "sklearn RandomForest": partial(fitted, "ensemble.RandomForestClassifier", n_estimators=20, random_state=1),
    "sklearn GradientBoosting": partial(fitted, "ensemble.GradientBoostingClassifier", n_estimators=20, random_state=1),
    "sklearn HistGradientBoosting": partial(fitted, "ensemble.HistGradientBoostingClassifier", max_iter=20),
    "xgboost hist": partial(boosted, tree_method="hist", subsample=0.8),
    "xgboost exact": partial(boosted, tree_method="exact"),
    "xgboost gblinear": partial(boosted, booster="gblinear", updater="coord_descent"),
    "pandas groupby": lambda: frame().groupby("key").agg(["sum", "mean", "std"]).to_numpy(),
    "pandas rolling": lambda: frame().rolling(28).mean().to_numpy(),
    "pandas corr": lambda: frame().corr().to_numpy(),
    "pandas ewm": lambda: frame().ewm(alpha=0.1).mean().to_numpy(),
    "duckdb aggregates": partial(queried, "SELECT key, sum(a), avg(b), stddev(c) FROM rows GROUP BY key ORDER BY key"),
    "duckdb exp, ln": partial(queried, "SELECT exp(a), ln(b + 0.1), c ^ 1.7 FROM rows"),
    "pyarrow aggregates": of_arrow,
    "matplotlib PNG": drawn,
}


def arrays(result: Any) -> list[Any]:
    """The result as arrays; bytes are an array of theirs."""
    parts = result if isinstance(result, list | tuple) else [result]
    return [np.frombuffer(part, "uint8") if isinstance(part, bytes) else np.ascontiguousarray(part) for part in parts]


def digest(result: Any) -> str:
    """The sha256 of a result: of its bytes, or of those of its numbers."""
    return hashlib.sha256(b"".join(part.tobytes() for part in arrays(result))).hexdigest()


def digests(names: Iterable[str]) -> dict[str, str]:
    """The sha256 of the result of each kind."""
    return {name: digest(KINDS[name]()) for name in names}


def save(path: str, place: str, names: Iterable[str]) -> None:
    """Write the results of these kinds, and the place where they were computed, to a file."""
    content = {f"{name}/{index}": part for name in names for index, part in enumerate(arrays(KINDS[name]()))}
    np.savez_compressed(path, place=np.array(place), **content)
