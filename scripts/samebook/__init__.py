"""samebook: the same notebook, on every machine.

In a notebook, `import samebook` gives the names below; a module is loaded when one of its names is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samebook.api.artifacts import find_artifact, find_bundle, find_model, load_bundle, load_model
    from samebook.api.assignment import ab_test, assign
    from samebook.api.cluster import run_ranks
    from samebook.api.drift import drift_of, explained, news_of
    from samebook.api.files import input_path, read_file
    from samebook.api.notebook import (
        log_artifact,
        log_metric,
        log_metrics,
        log_param,
        log_reference,
        open_partition,
        output_path,
        query,
        read_batches,
        read_dataset,
        scratch_path,
        write_partition,
    )
    from samebook.api.validation import validate, validate_batches
    from samebook.cluster.rank import Rank
    from samebook.core.digest import sha256
    from samebook.core.errors import DataRejected, UsageError
    from samebook.core.secret import Secret
    from samebook.execution.parameters import Model
    from samebook.monitoring.bootstrap import difference_intervals, paired_bootstrap, score_intervals, scores
    from samebook.monitoring.finding import Finding

__all__ = [
    "DataRejected",
    "Finding",
    "Model",
    "Rank",
    "Secret",
    "UsageError",
    "ab_test",
    "assign",
    "difference_intervals",
    "drift_of",
    "explained",
    "find_artifact",
    "find_bundle",
    "find_model",
    "input_path",
    "load_bundle",
    "load_model",
    "log_artifact",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_reference",
    "news_of",
    "open_partition",
    "output_path",
    "paired_bootstrap",
    "query",
    "read_batches",
    "read_dataset",
    "read_file",
    "run_ranks",
    "score_intervals",
    "scores",
    "scratch_path",
    "sha256",
    "validate",
    "validate_batches",
    "write_partition",
]

_MODULES = {
    "DataRejected": "core.errors",
    "UsageError": "core.errors",
    "Secret": "core.secret",
    "Model": "execution.parameters",
    "sha256": "core.digest",
    **dict.fromkeys(("find_artifact", "find_bundle", "find_model", "load_bundle", "load_model"), "api.artifacts"),
    **dict.fromkeys(("ab_test", "assign"), "api.assignment"),
    **dict.fromkeys(("input_path", "read_file"), "api.files"),
    **dict.fromkeys(("validate", "validate_batches"), "api.validation"),
    **dict.fromkeys(("drift_of", "explained", "news_of"), "api.drift"),
    **dict.fromkeys(("difference_intervals", "paired_bootstrap", "score_intervals", "scores"), "monitoring.bootstrap"),
    "Rank": "cluster.rank",
    "run_ranks": "api.cluster",
    "Finding": "monitoring.finding",
}


def load_ipython_extension(shell: Any) -> None:
    """Give a notebook in Lab the magic `%samebook run`: IPython calls it for `%load_ext samebook`."""
    importlib.import_module("samebook.api.lab").load(shell)


def __getattr__(name: str) -> Any:
    # Lazy, so that `samebook --help` does not import the modules that only notebooks need.
    if name in __all__:
        return getattr(importlib.import_module(f"samebook.{_MODULES.get(name, 'api.notebook')}"), name)
    raise AttributeError(f"module 'samebook' has no attribute {name!r}")
