"""samebook: the same notebook, on every machine.

In a notebook, `import samebook` gives the functions below; nothing is loaded before it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samebook.artifacts import find_artifact, find_bundle, load_bundle, load_model
    from samebook.assignment import ab_test, assign
    from samebook.digest import sha256
    from samebook.errors import DataRejected, UsageError
    from samebook.monitoring import Finding, drift_of
    from samebook.notebook import (
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
        validate,
        validate_batches,
        write_partition,
    )
    from samebook.parameters import Model
    from samebook.secret import Secret

__all__ = [
    "DataRejected",
    "Finding",
    "Model",
    "Secret",
    "UsageError",
    "ab_test",
    "assign",
    "drift_of",
    "find_artifact",
    "find_bundle",
    "load_bundle",
    "load_model",
    "log_artifact",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_reference",
    "open_partition",
    "output_path",
    "query",
    "read_batches",
    "read_dataset",
    "sha256",
    "validate",
    "validate_batches",
    "write_partition",
]

_HOMES = {
    "DataRejected": "errors",
    "UsageError": "errors",
    "Secret": "secret",
    "Model": "parameters",
    "sha256": "digest",
    **dict.fromkeys(("find_artifact", "find_bundle", "load_bundle", "load_model"), "artifacts"),
    **dict.fromkeys(("ab_test", "assign"), "assignment"),
    **dict.fromkeys(("Finding", "drift_of"), "monitoring"),
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `samebook --help` does not pay for what only notebooks need.
    if name in __all__:
        return getattr(importlib.import_module(f"samebook.{_HOMES.get(name, 'notebook')}"), name)
    raise AttributeError(f"module 'samebook' has no attribute {name!r}")
