"""Work of a notebook on the workers of the checkout's cluster."""

import os
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from samebook.api import context
from samebook.core.errors import UsageError
from samebook.core.workspace import make_folder
from samebook.reads import undeclared
from samebook.reads.pins import Pins
from samebook.records import run_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from samebook.cluster.rank import Rank


@undeclared.declared_reads()
def run_ranks(function: "Callable[[Rank], Any]", *, workers: int = 2, minutes: float = 60) -> list[Any]:
    """The results of `function(rank)`, called in a process on each of `workers` workers at the same time.

    The function may be a cell's, and use what the notebook has read: it is sent as it is. Where a worker is lost, all
    ranks start again. Raises UsageError without a cluster that has so many workers, and SamebookError where ranks fail,
    or are not done within `minutes`; a wait for those of another notebook counts. The receipt has their number as
    `ranks`.

    A reproduction needs no cluster: its ranks are processes beside its kernel. It is not given a cluster's key, by
    which the code of any commit would reach the results that it is to be compared with.
    """
    # Takes as long as a small run to import.
    import cloudpickle

    from samebook.cluster import certificates, program, ranks

    if workers < 1 or minutes <= 0:
        raise UsageError(
            f"found {workers} workers and {minutes:g} minutes; expected more than 0 of both",
            mend="samebook.run_ranks(…, workers=2, minutes=60)",
        )
    workspace, run = context.current_workspace(), context.run()
    folder = make_folder(run / run_folder.WORK / f"ranks-{uuid.uuid4().hex}")
    variables = {**program.kernel_variables(os.environ), "SAMEBOOK_RUN": str(run)}
    call = cloudpickle.dumps((function, frozenset(undeclared.RECORDER.seen)))
    of_call = ranks.Ranks(workers, minutes, folder, call, variables)
    if Pins.current().inputs is not None:
        results = ranks.run_here(workspace, of_call)
    else:
        scheduler = urlsplit(certificates.access(workspace).scheduler)
        undeclared.declare_server(scheduler.hostname or "", scheduler.port or 0)
        results = ranks.run(workspace, of_call, context.note)
    run_folder.append_event(run, {"kind": "param", "name": "ranks", "value": workers})
    return results
