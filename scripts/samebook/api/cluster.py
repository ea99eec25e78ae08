"""Work of a notebook on the workers of the checkout's cluster."""

import os
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from samebook.api import context
from samebook.core.errors import UsageError
from samebook.core.workspace import make_folder
from samebook.reads import undeclared
from samebook.records import run_folder

if TYPE_CHECKING:
    from samebook.cluster.rank import Rank


@undeclared.declared_reads()
def run_ranks(function: "Callable[[Rank], Any]", *, workers: int = 2, minutes: float = 60) -> list[Any]:
    """The results of `function(rank)`, called in a process on each of `workers` workers at the same time.

    The function may be a cell's, and use what the notebook has read: it is sent as it is. Where a worker is lost, all
    ranks start again. Raises UsageError without a cluster that has so many workers, and SamebookError where ranks fail,
    or are not done within `minutes`.
    """
    # Takes as long as a small run to import.
    import cloudpickle

    from samebook.cluster import program, ranks

    if workers < 1 or minutes <= 0:
        raise UsageError(
            f"found {workers} workers and {minutes:g} minutes; expected more than 0 of both",
            mend="samebook.run_ranks(…, workers=2, minutes=60)",
        )
    folder = make_folder(context.run() / run_folder.WORK / f"ranks-{uuid.uuid4().hex}")
    variables = program.kernel_variables(os.environ)
    job = ranks.Ranks(workers, minutes, folder, cloudpickle.dumps(function), variables)
    return ranks.run(context.current_workspace(), job, context.note)
