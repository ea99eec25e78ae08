"""Reads notebooks and executes them through papermill; errors come out as ours.

The engine itself is `papermill_engine.py`; no other module imports papermill.
"""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook, remove_error_markers

from samebook.core import errors
from samebook.core.workspace import write_whole
from samebook.execution.papermill_engine import Execution, cell_name

EXECUTED = "executed.ipynb"  # papermill would doubt other endings
INJECTED = "injected-parameters"


def read(path: Path) -> NotebookNode:
    """A notebook from its file. Raises UsageError where it is none."""
    try:
        notebook: Any = nbformat.from_dict(nbformat.read(path, as_version=4))
        nbformat.validate(notebook)
    except (nbformat.ValidationError, ValueError, AttributeError, TypeError) as error:
        first = str(error).splitlines()[0]
        raise errors.UsageError(
            f"{path.name} is not a notebook: {first[:200]}",
            mend=f"git checkout -- notebooks/{path.name}, or save it again in Lab",
        ) from error
    # Some tools leave out what papermill insists on.
    kernel = notebook.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3"})
    kernel.setdefault("language", "python")
    return notebook


def with_parameters(notebook: NotebookNode, source: str) -> NotebookNode:
    """A copy with the cell `injected-parameters` after the cell tagged `parameters`."""
    copy = deepcopy(notebook)
    copy.cells = [cell for cell in copy.cells if INJECTED not in cell.metadata.get("tags", [])]
    cell = nbformat.v4.new_code_cell(source, id=INJECTED, metadata={"tags": [INJECTED]})
    copy.cells.insert(parameters_index(copy) + 1, cell)
    return copy


def parameters_index(notebook: NotebookNode) -> int:
    """Where the cell tagged `parameters` is; -1 where there is none."""
    tagged = (n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    return next(tagged, -1)


def execute(execution: Execution) -> NotebookNode:
    """Run every cell; returns the executed notebook, which is saved in `execution.output`, also when this raises.

    Raises the error that a cell's own error means (errors.error_class), CellFailed for a cell over its time limit,
    KernelDied when the kernel's process ends.
    """
    try:
        return _executed(execution)
    except PapermillExecutionError as error:
        if found := _as_expected(execution.output):
            return found
        raise _cell_error(execution, error) from error
    except CellTimeoutError as error:
        raise errors.CellFailed(
            f"cell `{_running(execution)}` ran over its time limit of {execution.cell_timeout} s",
            mend="give it more: make run … TIMEOUT=seconds, or cell_timeout in environments/<env>.yml",
        ) from error
    except DeadKernelError as error:
        raise errors.KernelDied(
            f"the kernel died in cell `{_running(execution)}`: its process ended without a word",
            mend="out of memory is the usual cause: try a smaller slice, or give the machine more",
        ) from error
    except NoSuchKernel as error:
        raise errors.UsageError(
            f"the notebook wants the kernel {error.name!r}; the environment has `python3`",
            mend="in Lab: Kernel > Change Kernel… > Python 3",
        ) from error


def _executed(execution: Execution) -> NotebookNode:
    """What papermill made of it, saved whole: papermill itself writes bit by bit, into another file."""
    written = execution.output.with_name(f".{execution.output.name}.{EXECUTED}")
    try:
        found = execute_notebook(
            execution.notebook,
            str(written).replace("{", "{{").replace("}", "}}"),  # papermill formats paths
            engine_name="samebook",
            progress_bar=False,
            execution=execution,
        )
    except PapermillExecutionError:  # it has written, with its marks
        written.replace(execution.output)
        raise
    written.replace(execution.output)
    return found


def _as_expected(output: Path) -> NotebookNode | None:
    """The notebook, if only cells tagged `raises-exception` raised: papermill marks them, and ends in an error."""
    notebook: Any = nbformat.read(output, as_version=4)
    if notebook.metadata.papermill.exception:
        return None
    found = remove_error_markers(notebook)
    write_whole(output, nbformat.writes(found).encode())
    return found


def _running(execution: Execution) -> str:
    """The cell that was running when the kernel stopped answering: the last that was started, as saved."""
    notebook: Any = nbformat.read(execution.output, as_version=4)
    for index, cell in reversed(list(enumerate(notebook.cells))):
        if cell.metadata.get("papermill", {}).get("start_time"):
            return cell_name(cell, index)
    return "?"


def _cell_error(execution: Execution, error: PapermillExecutionError) -> errors.SamebookError:
    cell = execution.notebook.cells[error.cell_index]
    kind = errors.error_class(error.ename)
    code = [each.cell_type == "code" for each in execution.notebook.cells]
    where = f"cell `{cell_name(cell, error.cell_index)}` ({sum(code[: error.cell_index + 1])} of {sum(code)})"
    line = _failing_line(cell.source, error.traceback)
    message = f"{where} raised {error.ename}: {error.evalue}{line}"
    return kind(execution.redaction.text(message))


def _failing_line(source: str, traceback: list[str]) -> str:
    """The cell's own line that raised, as IPython's traceback marks it."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(traceback))
    marked = re.findall(r"^-+> (\d+) (.*)$", plain, re.MULTILINE)
    lines = source.splitlines()
    for number, text in marked:
        if int(number) <= len(lines) and lines[int(number) - 1].strip() == text.strip():
            return f"\n  line {number}: {text.strip()}"
    return ""
