"""The execution of a notebook through papermill. The errors of papermill become samebook's own.

`papermill_engine.py` is the engine that papermill calls; only these two modules import papermill.
"""

import logging
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
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
from samebook.core.text import COLOURS
from samebook.environment import packages, variables
from samebook.execution.cells import end as cell_end
from samebook.execution.cells.executed import Executed
from samebook.execution.cells.position import Position
from samebook.execution.notebook_file import INJECTED
from samebook.execution.papermill_engine import Execution


def with_parameters(notebook: NotebookNode, source: str) -> NotebookNode:
    """A copy with the cell `injected-parameters` after the cell tagged `parameters`."""
    copy = deepcopy(notebook)
    cell = nbformat.v4.new_code_cell(source, id=INJECTED, metadata={"tags": [INJECTED]})
    copy.cells.insert(parameters_index(copy) + 1, cell)
    return copy


def parameters_index(notebook: NotebookNode) -> int:
    """The index of the cell tagged `parameters`; -1 where there is none."""
    indices = (index for index, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    return next(indices, -1)


def execute(execution: Execution) -> Executed:
    """Run every cell, and return the executed notebook. It is saved in `execution.output` even where this raises.

    Raises the class that `errors.error_class` gives for a cell's error; CellFailed for a cell over its time limit;
    KernelDied where the kernel's process ends; UsageError for a kernel that is not installed.
    """
    try:
        executed = _execute(execution)
    except CellTimeoutError as error:
        # A cell that prints without end leaves a task of nbclient's amid a message, which asyncio would report.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise errors.CellFailed(
            f"cell `{_running_cell(execution)}` ran over its time limit of {execution.cell_timeout} s",
            mend=f"again, with TIMEOUT={2 * (execution.cell_timeout or 0)}",
        ) from error
    except DeadKernelError as error:
        raise _kernel_died(execution) from error
    except nbformat.ValidationError as error:
        first = execution.redaction.text(str(error).splitlines()[0])
        raise errors.CellFailed(
            f"cell `{_running_cell(execution)}` displayed what a notebook cannot hold: {first}",
            mend="display text for a type of text, such as text/html",
        ) from error
    except NoSuchKernel as error:
        raise errors.UsageError(
            f"the notebook wants the kernel {error.name!r}; the environment has `python3`",
            mend="make lab: Kernel > Change Kernel… > Python 3",
        ) from error
    if failed := _failed_cell(executed.notebook):
        raise _cell_error(execution, executed.notebook, failed)
    return executed


def _execute(execution: Execution) -> Executed:
    """Execute through papermill, and return the notebook, whose failed cell papermill has marked with its banners.

    papermill raises for each cell with an error, tagged `raises-exception` or not, but not for `sys.exit(0)`.
    """
    with suppress(PapermillExecutionError):
        # It would hold a whole notebook as one text, so it writes none.
        execute_notebook(execution.notebook, None, engine_name="samebook", progress_bar=False, execution=execution)
    (executed,) = execution.results
    if not _failed_cell(executed.notebook):
        remove_error_markers(executed.notebook)
    executed.write(execution.output)
    remove_error_markers(executed.notebook)
    return executed


def _failed_cell(notebook: NotebookNode) -> NotebookNode | None:
    """The cell that ended the run, None where there is none."""
    return next((cell for cell in notebook.cells if cell.metadata.get("papermill", {}).get("exception")), None)


def _saved(execution: Execution) -> NotebookNode:
    notebook: Any = nbformat.read(execution.output, as_version=4)
    return notebook


def _running_cell(execution: Execution) -> str:
    """The name of the cell that was running when the kernel stopped answering: the last one that started in the saved
    notebook, "" where none has.
    """
    notebook = _saved(execution)
    started = [cell for cell in notebook.cells if cell.metadata.get("papermill", {}).get("start_time")]
    positions = filter(None, (Position.of(cell, notebook) for cell in reversed(started)))
    return next((position.name for position in positions), "")


def _kernel_died(execution: Execution) -> errors.KernelDied:
    cell = _running_cell(execution)
    end, mend = _kernel_end(execution.source.exit_code)
    if execution.source.is_replaced:
        end, mend = "has become another program, as by os.execv", "subprocess.run([…], check=True) in the cell"
    if not cell:
        mend = "git mv a module beside the notebook that has a name of one of Python's or Jupyter's"
    place = f"in cell `{cell}`" if cell else "before its first cell"
    return errors.KernelDied(f"the kernel died {place}: its process {end}", mend=mend)


def _kernel_end(code: int | None) -> tuple[str, str]:
    """The end of a kernel's process in words, by its exit code as in `subprocess`, and what mends it."""
    if code is None:
        return "does not answer", "run it again"
    if code >= 0:
        return f"ended with exit code {code}", "leave out what ends the kernel's process, as os._exit does"
    end = f"ended with signal {-code} ({signal.Signals(-code).name})"
    if -code == signal.SIGKILL:
        return end, "out of memory is the usual cause: try a smaller slice, or give the machine more"
    return end, "a compiled library is the usual cause: run the cell in Lab with `import faulthandler`"


def _cell_error(execution: Execution, notebook: NotebookNode, cell: NotebookNode) -> errors.SamebookError:
    error = cell_end.error(cell)
    assert error is not None
    position = Position.of(cell, notebook)
    line = _failing_line(cell.source, error.traceback)
    message = f"{position} raised {error.ename}: {error.evalue}{line}"
    if name := missing_variable(error.evalue, error.traceback, execution.env):
        file = f"environments/{execution.env.get('SAMEBOOK_ENV', 'dev')}.yml"
        message += (
            f"\n  {name} is set in your shell, but a kernel gets only a short list of variables:"
            f" add it to variables: in {file}, or give -e {name}"
        )
    message += missing_file(error.evalue, execution.path.parent)
    # An error without a traceback is IPython's: its UsageError is not samebook's.
    kind = errors.error_class(error.ename) if error.traceback else errors.CellFailed
    if error.ename == "StdinNotImplementedError":
        mend = 'a parameter in place of input(): name: str = "…" in the cell tagged `parameters`'
    else:
        mend = packages.mend(error.evalue) if error.ename == "ModuleNotFoundError" else _mend(error)
    return kind(execution.redaction.text(message), mend=mend and execution.redaction.text(mend))


def _mend(error: NotebookNode) -> str | None:
    """The command that mends an error, as samebook's own errors note it at the end of their traceback."""
    _, _, end = COLOURS.sub("", "\n".join(error.traceback)).rpartition(f"{error.ename}: ")
    note = re.search(rf"^{errors.ARROW}(.+)$", end, re.MULTILINE)
    return note[1] if note else None


def missing_variable(text: str, traceback: list[str], env: Mapping[str, str]) -> str:
    """The variable for want of which a cell has failed; "" where the caller has none that a kernel could get."""
    of_environ = re.fullmatch(r"'(\w+)'", text) if "<frozen os>" in "\n".join(traceback) else None
    missing = of_environ or re.match(r"the secret (\w+) is not set", text)
    name = missing[1] if missing else ""
    return name if name in os.environ and name not in env and not variables.obstacle(name) else ""


def missing_file(text: str, folder: Path) -> str:
    """Where a file was looked for that a cell has not found, and the names that are near; "" for any other error."""
    missing = re.fullmatch(r"\[Errno 2\] No such file or directory: '([^']+)'", text)
    if not missing or Path(missing[1]).is_absolute():
        return ""
    path = folder / missing[1]
    names = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    # What else lies in a folder, which may be anywhere, is no affair of the run's record.
    near = errors.nearest(path.name, names) if errors.close(path.name, names) else ""
    return f"\n  looked for from {folder.name}/, the folder of the notebook{near}"


def _failing_line(source: str, traceback: list[str]) -> str:
    """The cell's own line that raised, as IPython's traceback marks it; "" where it marks none."""
    plain = COLOURS.sub("", "\n".join(traceback))
    lines = source.splitlines()
    for number, text in re.findall(r"^-+> (\d+) (.*)$", plain, re.MULTILINE):
        if int(number) <= len(lines) and lines[int(number) - 1].strip() == text.strip():
            return f"\n  line {number}: {text.strip()}"
    return ""
