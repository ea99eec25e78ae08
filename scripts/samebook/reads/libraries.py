"""The numeric libraries of this process: what numpy and BLAS have taken of the processor, and in how many threads.

A kernel imports this module: it must import nothing that is not cheap.
"""

import os
import sys
from contextlib import suppress
from typing import Any

CORES = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")


def loaded() -> dict[str, Any]:
    """What the loaded libraries have taken, as JSON; {} before numpy is imported.

    `numpy` has the groups of instructions that it takes beside its baseline, `unknown` those that it was told to leave
    out and doesn't know; `blas` the core types of each BLAS, `blas_threads` the largest of their numbers of threads.
    """
    numpy = next((sys.modules[name] for name in CORES if name in sys.modules), None)
    if numpy is None:
        return {}
    features, dispatched = numpy.__cpu_features__, numpy.__cpu_dispatch__
    disabled = os.environ.get("NPY_DISABLE_CPU_FEATURES", "").split()
    return {
        "numpy": [name for name in dispatched if features.get(name)],
        "unknown": [name for name in disabled if name not in dispatched],
        **_blas(),
    }


def _blas() -> dict[str, Any]:
    """The facts of each BLAS; none where threadpoolctl, which scikit-learn brings along, is not installed."""
    with suppress(Exception):  # a library that it cannot read is no error of the notebook
        import threadpoolctl

        pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
        cores = sorted({f"{pool['internal_api']} {pool.get('architecture') or ''}".strip() for pool in pools})
        return {"blas": cores, "blas_threads": max((pool["num_threads"] for pool in pools), default=0)}
    return {}
