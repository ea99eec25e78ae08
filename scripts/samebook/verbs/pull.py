"""Bring the objects that models and runs need from the remote store."""

from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.models import exchange
from samebook.store.transfer import TransferOptions


def pull(workspace: Workspace, env: str, options: TransferOptions, say: Say) -> str:
    """Bring the objects that are missing or damaged here; the result in a line.

    Raises SamebookError for an object that is missing or damaged in the remote store.
    """
    return exchange.exchange(workspace, env, exchange.PULL, options, say)
