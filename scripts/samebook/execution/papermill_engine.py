"""The papermill engine `samebook`, found by its entry point.

The engine saves the running notebook every few seconds instead of twice a cell, gives the kernel its environment and
folder, reports progress to an observer, and redacts secrets before anything is written.

papermill imports this module while it is itself imported: import `execute` instead, which imports papermill first.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, override

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from nbformat import NotebookNode
from nbformat.v4 import output_from_msg
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager
from traitlets.config import Config

from samebook.core import workspace
from samebook.core.errors import CellFailed
from samebook.execution import background, cell_end, kernel_output, notebook_file, provisioner
from samebook.execution.provisioner import KernelSource
from samebook.records import canonical
from samebook.redaction import own_parts
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
    """The execution of a notebook: its input and output, its kernel's surroundings, and its limits in seconds.

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
    source: KernelSource = field(default_factory=KernelSource)


@dataclass(frozen=True)
class Position:
    """The place of a code cell: its number among the code cells, from 1, how many they are, and its name."""

    number: int
    total: int
    name: str

    @classmethod
    def of(cls, cell: NotebookNode, notebook: NotebookNode) -> "Position | None":
        """The position of a cell in a notebook; None for prose."""
        code = [id(other) for other in notebook.cells if other.cell_type == "code"]
        if id(cell) not in code:
            return None
        number = code.index(id(cell)) + 1
        return cls(number, len(code), canonical.name(cell.metadata.get("tags", []), number))

    def __str__(self) -> str:
        return f"cell `{self.name}` ({self.number} of {self.total})"


class _Manager(NotebookExecutionManager):
    """papermill's state of a run; it saves the notebook every few seconds and after an error, whole and redacted."""

    def __init__(self, nb: NotebookNode, execution: Execution) -> None:
        super().__init__(nb, str(execution.output), progress_bar=False, autosave_cell_every=execution.save_every)
        self.execution = execution
        self.cell_start_time = 0.0
        self.next_save = float("-inf")
        self.lines = kernel_output.Lines(execution.redaction, execution.observer.printed)

    @override
    def save(self, **_: Any) -> None:
        start = time.monotonic()
        if start < self.next_save:
            return
        # As one line of JSON, which is ten times as quick as a notebook's usual form.
        workspace.write_whole(self.execution.output, json.dumps(self.redacted()).encode())
        end = time.monotonic()
        self.next_save = end + max(self.execution.save_every, SHARE * (end - start))
        self.last_save_time = self.now()

    def redacted(self) -> NotebookNode:
        return self.execution.redaction.value(self.nb, own_parts.NOTEBOOK)

    @override
    def notebook_start(self, **kwargs: Any) -> None:
        self.nb.metadata.papermill["input_path"] = str(self.execution.path)
        self.nb.metadata.papermill["output_path"] = str(self.execution.output)
        super().notebook_start(**kwargs)

    @override
    def cell_start(self, cell: NotebookNode, cell_index: int = 0, **kwargs: Any) -> None:
        self.cell_start_time = time.monotonic()
        if position := Position.of(cell, self.nb):
            self.execution.observer.cell_started(position.number - 1, position.total, position.name)
        super().cell_start(cell, cell_index, **kwargs)

    @override
    def cell_complete(self, cell: NotebookNode, cell_index: int = 0, **kwargs: Any) -> None:
        super().cell_complete(cell, cell_index, **kwargs)
        self.lines.end()
        seconds = time.monotonic() - self.cell_start_time
        # papermill calls this on the way out of any error, and marks only those that a cell raised.
        has_failed = bool(cell.metadata.papermill["exception"]) or sys.exc_info()[0] is not None
        if position := Position.of(cell, self.nb):
            index = position.number - 1
            self.execution.observer.cell_finished(index, position.total, position.name, seconds, has_failed)

    @override
    def notebook_complete(self, **kwargs: Any) -> None:
        self.next_save = float("inf")
        super().notebook_complete(**kwargs)
        if sys.exc_info()[0] is not None:  # else papermill writes it
            workspace.write_whole(self.execution.output, nbformat.writes(self.redacted()).encode())


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
        cell_end.check(cell, reply, sent)
        position = Position.of(cell, self.nb)
        if cell_end.asks_for_the_end(reply):
            raise CellFailed(
                f"{position} asked its kernel to end", mend="leave out exit and quit: the run ends by itself"
            )
        if cell_end.may_raise(cell) and reply["status"] == "ok" and not sent:
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
        output = super().process_message(msg, *arguments, **kwargs)
        if msg["msg_type"] == "error":
            is_interrupted = self.sent_error and self.sent_error.ename == cell_end.INTERRUPT
            self.sent_error = self.sent_error if is_interrupted else output_from_msg(msg)
        if output and output.output_type == "stream":
            self.nb_man.lines.add("".join(output.text))
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
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name)
        finally:
            manager.notebook_complete()
        return manager.redacted()

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
