"""Send what models and runs need to the store's remote, for other machines."""

from samebook.core.workspace import Workspace
from samebook.models import exchange
from samebook.store.transfer import Say, TransferOptions


def push(here: Workspace, env: str, how: TransferOptions, say: Say) -> str:
    """Send what the remote lacks; the result in a line. Raises SamebookError for what is damaged here, or nowhere."""
    return exchange.exchange(here, env, exchange.PUSH, how, say)
