"""The end of a cell. Only a cell tagged `raises-exception` may end with an error in a run that counts as done.

The kernel's reply says `ok` for some cells that show an error (`%run` of a script that raises, an error that a library
sends by itself), and for others it holds an error that the cell does not show (under `%%capture`, a magic that does
not exist): so both count, the outputs and the reply.
"""

from collections.abc import Mapping
from typing import Any

from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_output

from samebook.records import canonical

INTERRUPT = "KeyboardInterrupt"


def error(cell: NotebookNode) -> NotebookNode | None:
    """The error among a cell's outputs that has ended it: an interrupt, or else the last one, after those of cells
    that it ran itself; None where there is none.
    """
    errors = [output for output in reversed(cell.outputs) if output.output_type == "error"]
    return next((output for output in errors if output.ename == INTERRUPT), errors[0] if errors else None)


def may_raise(cell: NotebookNode) -> bool:
    """Whether a cell may end with an error."""
    return canonical.RAISES in cell.metadata.get("tags", [])


def check(cell: NotebookNode, reply: Mapping[str, Any], sent: NotebookNode | None) -> None:
    """Raise CellExecutionError for an executed cell that has failed; `reply` is the content of the kernel's reply.

    `sent` is the error that the cell sent at its end, which may have been cleared since. A failed cell shows its error
    afterwards. An interrupt is never the error that a tagged cell is there to show.
    """
    end = sent or _error_of_reply(reply)
    if end and (INTERRUPT in (end.ename, reply.get("ename")) or not may_raise(cell)):
        if error(cell) is None:
            cell.outputs.append(end)
        raise CellExecutionError("\n".join(end.traceback), end.ename, end.evalue)


def asks_for_the_end(reply: Mapping[str, Any]) -> bool:
    """Whether a cell called `exit` or `quit`: the kernel ends soon after, in the midst of a cell that follows."""
    payload = reply.get("payload", ())
    return any(item.get("source") == "ask_exit" and not item.get("keepkernel") for item in payload)


def _error_of_reply(reply: Mapping[str, Any]) -> NotebookNode | None:
    """The error that a reply holds; its traceback may be left over from an earlier cell, and is left out then."""
    if reply["status"] == "ok":
        return None
    name = reply.get("ename", reply["status"])
    traceback = reply.get("traceback", [])
    is_its_own = any(name in line for line in traceback)
    return new_output("error", ename=name, evalue=reply.get("evalue", ""), traceback=traceback if is_its_own else [])
