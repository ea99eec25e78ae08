"""samebook: the same notebook, on every machine.

In a notebook, `import samebook` gives the functions below; nothing is loaded before it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samebook.digest import sha256
    from samebook.errors import DataRejected, UsageError
    from samebook.notebook import (
        find_artifact,
        log_artifact,
        log_metric,
        log_metrics,
        log_param,
        output_path,
        query,
        read_dataset,
        validate,
        write_partition,
    )
    from samebook.secret import Secret

__all__ = [
    "DataRejected",
    "Secret",
    "UsageError",
    "find_artifact",
    "log_artifact",
    "log_metric",
    "log_metrics",
    "log_param",
    "output_path",
    "query",
    "read_dataset",
    "sha256",
    "validate",
    "write_partition",
]

_HOMES = {"DataRejected": "errors", "Secret": "secret", "UsageError": "errors", "sha256": "digest"}


def __getattr__(name: str) -> Any:
    # Lazy, so that `samebook --help` does not pay for what only notebooks need.
    if name in __all__:
        return getattr(importlib.import_module(f"samebook.{_HOMES.get(name, 'notebook')}"), name)
    raise AttributeError(f"module 'samebook' has no attribute {name!r}")
