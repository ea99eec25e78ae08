"""Send the objects that models and runs need to the remote store, for other machines."""

from samebook.core.text import Say
from samebook.core.workspace import Workspace
from samebook.models import exchange
from samebook.store.transfer import TransferOptions


def push(workspace: Workspace, env: str, options: TransferOptions, say: Say) -> str:
    """Send the objects that the remote store lacks; the result in a line.

    Raises SamebookError for an object that is damaged here, or is in neither store.
    """
    return exchange.exchange(workspace, env, exchange.PUSH, options, say)
