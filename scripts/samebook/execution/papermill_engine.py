"""The papermill engine `samebook`, found by its entry point.

The engine saves the running notebook every few seconds instead of twice a cell, gives the kernel its environment and
folder, reports progress to an observer, and redacts secrets before anything is written.

papermill imports this module while it is itself imported: import `execute` instead, which imports papermill first.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, override

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from nbformat import NotebookNode
from nbformat.v4 import output_from_msg
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager
from traitlets.config import Config

from samebook.core.errors import CellFailed
from samebook.execution import background, kernel_output, notebook_file, provisioner
from samebook.execution.cells import end, executed, limit
from samebook.execution.cells.executed import Executed
from samebook.execution.cells.position import Position
from samebook.execution.provisioner import KernelSource
from samebook.records import canonical
from samebook.redaction.redactor import Redaction

# The time between two saves of a notebook is so many times that of a save: saving takes at most 5 % of a run.
SHARE = 20


class Observer(Protocol):
    """A listener to the progress of a notebook; `index` counts its code cells from 0, `total` is their number."""

    def cell_started(self, index: int, total: int, name: str) -> None: ...

    def cell_finished(self, index: int, total: int, name: str, seconds: float, failed: bool) -> None: ...

    def printed(self, lines: Sequence[str]) -> None: ...

    def noted(self, line: str) -> None: ...


@dataclass(frozen=True)
class Execution:
    """The execution of a notebook: its input and output, its kernel's surroundings, its limits in seconds and MB.

    `path` is the notebook's file, beside which its kernel starts; `notebook` is its content, with parameters.
    `env` holds all environment variables of the kernel; `scratch` is an empty folder for its sockets and profile,
    with a short path: that of a socket has 107 bytes at most.
    """

    notebook: NotebookNode
    path: Path
    output: Path
    scratch: Path
    env: Mapping[str, str]
    observer: Observer
    redaction: Redaction = field(default_factory=lambda: Redaction({}))
    cell_timeout: int = 0
    save_every: float = 5.0
    output_limit: int = 50
    source: KernelSource = field(default_factory=KernelSource)
    results: list[Executed] = field(default_factory=list)


class _Manager(NotebookExecutionManager):
    """papermill's state of a run; it saves the notebook every few seconds and after an error, whole and redacted."""

    def __init__(self, nb: NotebookNode, execution: Execution) -> None:
        super().__init__(nb, str(execution.output), progress_bar=False, autosave_cell_every=execution.save_every)
        self.execution = execution
        self.executed = Executed(nb, execution.output.parent, execution.redaction)
        self.positions = Position.all(nb)
        self.limit = limit.Limit(execution.output_limit * limit.MB)
        self.cell_start_time = 0.0
        self.next_save = float("-inf")
        self.lines = kernel_output.Lines(execution.redaction, execution.observer.printed)

    @override
    def save(self, **_: Any) -> None:
        start = time.monotonic()
        if start < self.next_save:
            return
        self.executed.write(self.execution.output, executed.FAST)
        seconds = time.monotonic() - start
        self.next_save = time.monotonic() + max(self.execution.save_every, SHARE * seconds)
        self.last_save_time = self.now()

    @override
    def autosave_cell(self) -> None:
        self.save()

    @override
    def notebook_start(self, **kwargs: Any) -> None:
        self.nb.metadata.papermill["input_path"] = str(self.execution.path)
        self.nb.metadata.papermill["output_path"] = str(self.execution.output)
        super().notebook_start(**kwargs)

    @override
    def cell_start(self, cell: NotebookNode, cell_index: int = 0, **kwargs: Any) -> None:
        self.cell_start_time = time.monotonic()
        self.limit.begin()
        if position := self.positions.get(id(cell)):
            self.execution.observer.cell_started(position.number - 1, position.total, position.name)
        super().cell_start(cell, cell_index, **kwargs)

    @override
    def cell_complete(self, cell: NotebookNode, cell_index: int = 0, **kwargs: Any) -> None:
        position = self.positions.get(id(cell))
        if position and self.limit.left_out:
            self._note_left_out(cell, position)
        self.executed.keep(cell)
        super().cell_complete(cell, cell_index, **kwargs)
        self.lines.end()
        seconds = time.monotonic() - self.cell_start_time
        # papermill calls this on the way out of any error, and marks only those that a cell raised.
        has_failed = bool(cell.metadata.papermill["exception"]) or sys.exc_info()[0] is not None
        if position:
            index = position.number - 1
            self.execution.observer.cell_finished(index, position.total, position.name, seconds, has_failed)

    @override
    def notebook_complete(self, **kwargs: Any) -> None:
        self.next_save = float("inf")
        super().notebook_complete(**kwargs)
        if sys.exc_info()[0] is not None:  # else `execute` writes it, when papermill has marked a failed cell
            self.executed.write(self.execution.output)

    def _note_left_out(self, cell: NotebookNode, position: Position) -> None:
        settings = f"environments/{self.execution.env.get('SAMEBOOK_ENV', 'dev')}.yml"
        for notice in self.limit.notices(settings, is_whole=sys.exc_info()[0] is None):
            cell.outputs.append(notice)
            text = notice.text if notice.output_type == "stream" else notice.data["text/plain"]
            self.execution.observer.noted(f"{position}: {text.rstrip()}")
        self.executed.left_out[f"{position.number} {position.name}"] = dict(sorted(self.limit.left_out.items()))


class _Client(PapermillNotebookClient):
    """papermill's client, which also hands what the notebook prints to the observer, and checks how each cell ends."""

    nb_man: _Manager
    # An interrupt or the last error that the running cell has sent: it may clear it, or a widget may take it.
    sent_error: NotebookNode | None = None

    @override
    def create_kernel_manager(self) -> KernelManager:
        """A manager that finds the kernels of this environment, and no others."""
        manager = super().create_kernel_manager()
        manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[str(notebook_file.KERNELS)])
        return manager

    def cell_ended(self, *, cell: NotebookNode, execute_reply: Mapping[str, Any], **_: Any) -> None:
        """Raise CellExecutionError for a cell that has failed, CellFailed for one that asks for its kernel's end."""
        reply, sent, self.sent_error = execute_reply["content"], self.sent_error, None
        end.check(cell, reply, sent)
        position = self.nb_man.positions.get(id(cell))
        if end.asks_for_the_end(reply):
            raise CellFailed(
                f"{position} asked its kernel to end", mend="leave out exit and quit: the run ends by itself"
            )
        if end.may_raise(cell) and reply["status"] == "ok" and not sent:
            self.nb_man.execution.observer.noted(f"{position} is tagged `{canonical.RAISES}`, and raised nothing")

    @override
    def papermill_execute_cells(self) -> None:
        """Execute all cells; processes of the notebook that have failed since, or still run, are told."""
        super().papermill_execute_cells()
        pid = getattr(self.km.provisioner, "pid", None) if self.km else None
        for line in background.check_children(pid) if pid else ():
            self.nb_man.execution.observer.noted(line)

    @override
    def process_message(self, msg: dict[str, Any], *arguments: Any, **kwargs: Any) -> Any:
        is_kept = self.nb_man.limit.admits(msg)
        output = super().process_message(msg, *arguments, **kwargs) if is_kept else self.nb_man.autosave_cell()
        if msg["msg_type"] == "error":
            is_interrupted = self.sent_error and self.sent_error.ename == end.INTERRUPT
            self.sent_error = self.sent_error if is_interrupted else output_from_msg(msg)
        if output and output.output_type == "stream":
            self.nb_man.lines.add(output.text)
        return output

    @override
    def output(self, outs: list[NotebookNode], *arguments: Any) -> NotebookNode | None:
        """The output of a message; a printed text becomes a part of the one before it."""
        output = super().output(outs, *arguments)
        executed.merge(outs)
        return output

    @override
    def handle_comm_msg(self, *arguments: Any) -> None:
        """Handle a widget's message; one that is not as widgets write it is left out, and no error of the run."""
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            super().handle_comm_msg(*arguments)


class SamebookEngine(Engine):
    """The papermill engine `samebook`."""

    @classmethod
    @override
    def execute_notebook(cls, nb: NotebookNode, kernel_name: str, *, execution: Execution, **_: Any) -> NotebookNode:
        manager = _Manager(nb, execution)
        execution.results.append(manager.executed)
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name)
        finally:
            manager.notebook_complete()
        return nb

    @classmethod
    @override
    def execute_managed_notebook(cls, nb_man: _Manager, kernel_name: str, **_: Any) -> None:
        execution = nb_man.execution
        # Sockets in a private folder: processes don't compete for ports, and nothing crosses the network.
        transport = {"transport": "ipc", "connection_file": str(execution.scratch / "kernel.json")}
        client = _Client(
            nb_man,
            config=Config({"KernelManager": transport | {"client_class": "samebook.execution.provisioner.Client"}}),
            kernel_name=kernel_name,
            timeout=execution.cell_timeout or None,
            startup_timeout=60,
            # Seconds to wait for the output of a cell that prints faster than it is read.
            iopub_timeout=3600,
            # A shutdown by request costs polls of 0.1 s, and now and then a stall of seconds.
            shutdown_kernel="immediate",
        )
        client.on_cell_executed = client.cell_ended
        with (
            provisioner.starting_from(execution.source),
            kernel_output.forwarded(execution.redaction, execution.observer.noted) as execution.source.output,
        ):
            client.execute(env=dict(execution.env), cwd=str(execution.path.parent))
