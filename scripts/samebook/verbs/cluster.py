"""Make the certificates of a new cluster, by which alone scheduler, workers and clients speak with each other."""

import re
from pathlib import Path

from samebook.cluster import certificates
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace

ADDRESS = re.compile(r"tls://([\w.-]+|\[[0-9a-fA-F:]+\]):([0-9]{1,5})")


def cluster(workspace: Workspace, scheduler: str) -> Path:
    """Make the certificates of a cluster whose scheduler will be at this address; returns their folder.

    Raises UsageError for an address that is not one of TLS.
    """
    if not ADDRESS.fullmatch(scheduler):
        raise UsageError(
            f"found the address {scheduler!r}; expected tls://host:port",
            mend="make cluster-certificates SCHEDULER=tls://127.0.0.1:8786",
        )
    return certificates.make(workspace, scheduler).folder
