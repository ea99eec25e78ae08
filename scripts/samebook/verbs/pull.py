"""Bring what models and runs need from the store's remote."""

from samebook.core.workspace import Workspace
from samebook.models import exchange
from samebook.store.transfer import Say, TransferOptions


def pull(here: Workspace, env: str, how: TransferOptions, say: Say) -> str:
    """Bring what is missing or damaged here; the result in a line.

    Raises SamebookError for what the remote lacks, or has damaged.
    """
    return exchange.exchange(here, env, exchange.PULL, how, say)
