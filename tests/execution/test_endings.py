"""The end of a cell decides about its run: only one tagged `raises-exception` may end with an error in a done run."""

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import override

import nbformat
import pytest

from samebook.core import errors
from samebook.execution import background, execute, startup
from samebook.execution.papermill_engine import Execution
from samebook.records import run_folder
from samebook.verbs.run import Reporter

pytestmark = pytest.mark.timeout(300)

RAISES = "raises-exception"
# A message that a library sends past the cell's own end.
SENT = """kernel = get_ipython().kernel
kernel.send_response(kernel.iopub_socket, "error", {"ename": "Odd", "evalue": "sent", "traceback": []})"""
SHOWN = """class Odd:
    def _repr_html_(self):
        raise ValueError("no form")
Odd()"""
CLEARED = """from IPython.display import clear_output
%run raises.py
clear_output()"""
MISSING = "Line magic function `%no_such` not found."


class Notes(Reporter):
    """The lines that a run notes, and the cells that it shows as failed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failed: list[str] = []

    @override
    def noted(self, line: str) -> None:
        self.lines.append(line)

    @override
    def cell_finished(self, index: int, total: int, name: str, seconds: float, failed: bool) -> None:
        self.failed += [name] * failed


def executed(
    folder: Path, *cells: tuple[str, Sequence[str]], notes: Notes | None = None, cell_timeout: int = 0
) -> nbformat.NotebookNode:
    """A notebook of these cells, sources and tags, executed in the folder; a last cell prints `went on`."""
    nodes = [nbformat.v4.new_code_cell(source, metadata={"tags": [*tags]}) for source, tags in cells]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nodes.append(nbformat.v4.new_code_cell("print('went on')"))
    notebook = nbformat.v4.new_notebook(cells=nodes, metadata=metadata)
    with tempfile.TemporaryDirectory() as scratch:
        result = execute.execute(
            Execution(
                notebook=notebook,
                path=folder / "odd.ipynb",
                output=folder / "notebook.ipynb",
                scratch=Path(scratch),
                env=dict(os.environ),
                observer=notes or Notes(),
                cell_timeout=cell_timeout,
            )
        )
    return result.notebook


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("%run raises.py", "RuntimeError: in script"),
        ("%run exits.py", "SystemExit: 4"),
        ("%%capture\nraise RuntimeError('lost')", "RuntimeError: lost"),
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("%no_such", f"UsageError: {MISSING}"),
        (SENT, "Odd: sent"),
        (SHOWN, "ValueError: no form"),
        (CLEARED, "RuntimeError: in script"),
        ("get_ipython().run_cell('1 / 0')\nraise ValueError('own')", "ValueError: own\n  line 2: raise ValueError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
        ("exit()", "asked its kernel to end"),
    ],
)
def test_failed_cell_ends_run(source: str, error: str, tmp_path: Path) -> None:
    """A cell that ends with an error, however it was told, is shown as failed, ends the run and is named with it."""
    (tmp_path / "raises.py").write_text("raise RuntimeError('in script')")
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(4)")
    notes = Notes()
    with pytest.raises(errors.CellFailed) as raised:
        executed(tmp_path, (source, ["odd"]), notes=notes)
    assert "cell `odd` (1 of 2)" in str(raised.value)
    assert error in str(raised.value)
    assert notes.failed == ["odd"]
    assert '"went on' not in (tmp_path / "notebook.ipynb").read_text()


def test_error_of_tagged_cell_counts_as_result(tmp_path: Path) -> None:
    """A tagged cell may raise, in a script or under %%capture too; one that raises nothing is told."""
    (tmp_path / "raises.py").write_text("raise RuntimeError('in script')")
    notes = Notes()
    sources = ("%run raises.py", "%%capture\n1 / 0", "import sys\nsys.exit(4)", "1 + 1")
    cells = [(source, [RAISES, f"c{number}"]) for number, source in enumerate(sources)]
    notebook = executed(tmp_path, *cells, notes=notes)
    assert notebook.cells[-1].outputs[0].text == "went on\n"
    assert notebook.metadata.papermill.input_path == str(tmp_path / "odd.ipynb")
    assert notes.failed == []
    assert notes.lines == ["cell `c3` (4 of 5) is tagged `raises-exception`, and raised nothing"]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\ninput", "KeyboardInterrupt"),
        ("import time\ntime.sleep(600)", "over its time limit of 2 s"),
        ("exit()", "asked its kernel to end"),
        ("for line in ('1 / 0', 'raise KeyboardInterrupt'):\n    get_ipython().run_cell(line)", "KeyboardInterrupt"),
    ],
)
def test_end_from_outside_is_never_expected(source: str, error: str, tmp_path: Path) -> None:
    """A tagged cell that is interrupted, runs over its time limit or ends the kernel has failed as any other."""
    with pytest.raises(errors.CellFailed, match=error):
        executed(tmp_path, (source, [RAISES]), cell_timeout=2)


def test_display_that_no_notebook_holds(tmp_path: Path) -> None:
    """A cell that displays a number as HTML is named as failed."""
    with pytest.raises(errors.CellFailed, match="cell `odd` displayed what a notebook cannot hold: 3 is not"):
        executed(tmp_path, ("display({'text/html': 3}, raw=True)", ["odd"]))


@pytest.mark.parametrize(
    ("source", "end", "mend"),
    [
        ("os.kill(os.getpid(), 9)", "signal 9 (SIGKILL)", "memory"),
        ("os.kill(os.getpid(), 11)", "signal 11 (SIGSEGV)", "library"),
        ("os._exit(3)", "exit code 3", "os._exit"),
    ],
)
def test_end_of_kernel_is_told(source: str, end: str, mend: str, tmp_path: Path) -> None:
    """A kernel that dies is told with the signal or the exit code of its process, and memory only where it may be."""
    with pytest.raises(errors.KernelDied) as raised:
        executed(tmp_path, (f"import os\n{source}", ["odd", RAISES]))
    assert f"the kernel died in cell `odd`: its process ended with {end}" in str(raised.value)
    assert mend in str(raised.value.mend)


def test_kernel_that_does_not_start(tmp_path: Path) -> None:
    """A kernel that ends before its first cell, as of a module that hides one of Python's, is told as that."""
    (tmp_path / "ipykernel_launcher.py").write_text("raise SystemExit(3)")
    with pytest.raises(errors.KernelDied, match="before its first cell: its process ended with exit code 3") as raised:
        executed(tmp_path, ("1", ["odd"]))
    assert "a module beside the notebook" in str(raised.value.mend)


THREAD = """import threading
thread = threading.Thread(target=lambda: 1 / 0, name='loader')
thread.start()
thread.join()"""


LOW_LEVEL = "import _thread, time\n_thread.start_new_thread(lambda: 1 / 0, ())\ntime.sleep(0.2)"
TASK = """import asyncio, gc
async def divide():
    1 / 0
task = asyncio.create_task(divide())
await asyncio.sleep(0.1)
del task
gc.collect()"""
CALL = "import asyncio\nasyncio.get_running_loop().call_soon(lambda: 1 / 0)\nawait asyncio.sleep(0.1)"


def watched(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have kernels record in this folder what fails beside their cells, as those of runs do."""
    monkeypatch.setenv("SAMEBOOK_RUN", str(run))
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(run))
    monkeypatch.setenv("IPYTHONDIR", str(run / "ipython"))
    startup.write_script(run / "ipython", 50)


@pytest.mark.parametrize(
    ("source", "end"),
    [
        (THREAD, "the thread loader ended with ZeroDivisionError"),
        (f"import threading\nthreading.excepthook = print\n{THREAD}", "the thread loader ended with ZeroDivisionError"),
        (LOW_LEVEL, "a thread without a name ended with ZeroDivisionError"),
        (TASK, "a task, or a call of the event loop, ended with ZeroDivisionError"),
        (CALL, "a task, or a call of the event loop, ended with ZeroDivisionError"),
        ("get_ipython().kernel.do_shutdown(True)", "the notebook asked its kernel to end"),
    ],
)
def test_failure_beside_cells_counts(source: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread, or a task, that ends with an error which nobody awaits, whatever hook the notebook has set, and a wish
    for the kernel's end that no reply shows, fail the run.
    """
    watched(tmp_path, monkeypatch)
    with suppress(errors.KernelDied):  # a kernel that ends soon may still execute the last cell
        executed(tmp_path, (source, ["odd"]))
    with pytest.raises(errors.CellFailed, match=end):
        background.check(tmp_path)


def test_thread_of_tagged_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that a tagged cell starts may end with an error in it, also after a cell that it runs itself; but not
    one of another cell, or later.
    """
    watched(tmp_path, monkeypatch)
    inner = THREAD.replace("1 / 0", "go.wait() / 0").replace(
        "thread.join()", "[get_ipython().run_cell(text) for text in ('1', '')]\ngo.set()\nthread.join()"
    )
    executed(tmp_path, (THREAD, [RAISES]), (f"import threading\ngo = threading.Event()\n{inner}", [RAISES]))
    background.check(tmp_path)
    later = THREAD.replace("1 / 0", "go.wait() / 0").replace("thread.join()", "").replace("loader", "{name}")
    begin, end = "import threading\ngo = threading.Event()\n", "go.set()\nthread.join()"
    executed(tmp_path, (begin + later.format(name="own"), []), (end, [RAISES]))
    executed(tmp_path, (begin + later.format(name="late"), [RAISES]), (end, []))
    failures = [event["text"] for event in run_folder.events(tmp_path, background.KIND)]
    assert failures == [f"the thread {name} ended with ZeroDivisionError" for name in ("own", "late")]


def test_awaited_error_is_the_cells_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a task that a cell awaits and catches, one of a destructor, and one in a tagged cell fail no run."""
    watched(tmp_path, monkeypatch)
    caught = TASK.replace("await asyncio.sleep(0.1)", "try:\n    await task\nexcept ZeroDivisionError:\n    pass")
    executed(tmp_path, (caught, []), ("class A:\n    def __del__(self): 1 / 0\nA()", []), (CALL, [RAISES]))
    background.check(tmp_path)


ENDED = "\nos.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)"


def test_background_processes(tmp_path: Path) -> None:
    """A process that failed, and that no cell has waited for, fails the run; one that still runs is told."""
    begin = "import os, subprocess, sys\nprocess = subprocess.Popen"
    with pytest.raises(errors.CellFailed, match="ended with exit code 3, and no cell has waited for it"):
        executed(tmp_path, (f"{begin}([sys.executable, '-c', 'raise SystemExit(3)']){ENDED}", []))
    notes = Notes()
    executed(tmp_path, (f"{begin}(['sleep', '60'])", []), notes=notes)
    assert "the process sleep still runs at the notebook's end: its results may be half written" in notes.lines


@pytest.mark.parametrize("message", ["target_name='jupyter.widget', data={'state': {}}", "target_name='other'"])
def test_widget_of_no_kind(message: str, tmp_path: Path) -> None:
    """A message that is not as Jupyter's widgets write it is no error of a run, which shows no widget."""
    executed(tmp_path, (f"from comm import create_comm\ncreate_comm({message}).send({{'method': 'update'}})", []))


def test_kernel_that_replaces_itself(tmp_path: Path) -> None:
    """A kernel that becomes another program is told within seconds, without a time limit."""
    source = "import os\nos.execv('/bin/sleep', ['python', '60'])"
    with pytest.raises(errors.KernelDied, match="in cell `odd`: its process has become another program"):
        executed(tmp_path, (source, ["odd"]))
