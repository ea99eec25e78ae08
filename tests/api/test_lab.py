"""The magic `%samebook run`, in a real kernel that runs a notebook as Lab does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from tiny import PATIENCE, Tiny

LOAD = "%load_ext samebook"
RUN = "%samebook run"
WORK = {"parameters": "rows: int = 3", "same": "print('rows', rows)\nrows", "work": "rows * 2"}


class Kernel:
    """A kernel whose notebook is `path`, and the notebook as a browser shows it."""

    def __init__(self, tiny: Tiny, path: Path) -> None:
        self.path, self.notebook = path, nbformat.read(path, 4)
        self.client = NotebookClient(self.notebook, timeout=PATIENCE, allow_errors=True)
        self.env = tiny.environ(JPY_SESSION_NAME=str(path))
        self.cwd = str(path.parent)

    def run_all(self) -> None:
        """Run all cells but that of the magic."""
        for index, cell in enumerate(self.notebook.cells):
            if cell.source != RUN:
                self.client.execute_cell(cell, index)

    def save(self) -> None:
        nbformat.write(self.notebook, self.path)

    def magic(self) -> str:
        """What `%samebook run` shows."""
        cell: Any = self.client.execute_cell(self.notebook.cells[-1], len(self.notebook.cells) - 1)
        return "".join(output.get("text") or output["evalue"] for output in cell.outputs)


@pytest.fixture
def lab(tiny: Tiny, request: pytest.FixtureRequest) -> Iterator[Kernel]:
    cells = {**WORK, **getattr(request, "param", {})}
    kernel = Kernel(tiny, tiny.notebook("work", load=LOAD, **cells, magic=RUN))
    with kernel.client.setup_kernel(env=kernel.env, cwd=kernel.cwd):
        yield kernel


def test_same_as_headless(lab: Kernel) -> None:
    """The cells of a saved notebook are those of its headless run; an unsaved change is told, and so is a run."""
    lab.run_all()
    assert "the notebook was run since it was saved: save it (Ctrl-S)" in lab.magic()
    lab.save()
    assert "IDENTICAL: 4 of 4 cells" in lab.magic()
    lab.notebook.cells[-1].source = "%samebook  run"
    assert "changed since it was saved" in lab.magic()


def test_stale_state_marked(lab: Kernel) -> None:
    """A cell that shows what only the state of this kernel gives is marked, with both outputs."""
    lab.run_all()
    lab.notebook.cells.append(nbformat.v4.new_code_cell("rows = 5"))
    lab.client.execute_cell(lab.notebook.cells[-1], 5)
    lab.client.execute_cell(lab.notebook.cells[3], 3)
    del lab.notebook.cells[-1]
    lab.save()
    shown = lab.magic()
    assert "DIFFERENT: 1 of 4 cells" in shown
    assert "cell 4 `work`\n    here      10\n    headless  6\n" in shown


@pytest.mark.parametrize("lab", [{"work": "import os\n1 / (0 if 'SAMEBOOK_RUN' in os.environ else 1)"}], indirect=True)
def test_failure_told(lab: Kernel) -> None:
    """A notebook that works in Lab and fails headless is told with the cell and the error."""
    lab.run_all()
    lab.save()
    assert "cell `work` (4 of 5) raised ZeroDivisionError" in lab.magic()


def test_mend_shown(tiny: Tiny, tmp_path: Path) -> None:
    """An error of samebook itself is shown with what mends it."""
    kernel = Kernel(tiny, tiny.notebook("work", load=LOAD, magic=RUN))
    kernel.env["SAMEBOOK_WORKSPACE"] = str(tmp_path / "nowhere")
    with kernel.client.setup_kernel(env=kernel.env, cwd=kernel.cwd):
        kernel.run_all()
        shown = kernel.magic()
    assert "no samebook workspace" in shown
    assert "\n  -> export SAMEBOOK_WORKSPACE=" in shown


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notebooks/Untitled.ipynb", "has no name yet"),
        ("", "has no name yet"),
        ("notebooks/gone.ipynb", "gone.ipynb is not there"),
        ("a.ipynb", "not in notebooks/"),
    ],
)
def test_notebook_without_a_place(tiny: Tiny, name: str, message: str) -> None:
    """A notebook without a name, a file, or outside of notebooks/ is told what to do."""
    (tiny.root / "a.ipynb").write_text("{}")
    kernel = Kernel(tiny, tiny.notebook("work", load=LOAD, magic=RUN))
    kernel.env["JPY_SESSION_NAME"] = str(tiny.root / name) if name else ""
    with kernel.client.setup_kernel(env=kernel.env, cwd=kernel.cwd):
        kernel.run_all()
        assert message in kernel.magic()
