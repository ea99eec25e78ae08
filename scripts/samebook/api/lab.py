"""The magic of notebooks in Lab: `%load_ext samebook`, then `%samebook run`.

The saved notebook is run headless, and each of its cells is marked whose shown output is not that of the run.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from samebook.api import context
from samebook.core import subcommand
from samebook.core.errors import SamebookError
from samebook.core.workspace import Workspace
from samebook.execution.notebook_file import INJECTED
from samebook.records import canonical, run_folder
from samebook.records.differences import first_cell

MAGIC = re.compile(r"^\s*%\s*samebook\b", re.MULTILINE)
SAVE = "save it (Ctrl-S), and run this cell again"

type Cell = Mapping[str, Any]


class _Refused(Exception):
    """The notebook can't be run headless as it is."""


def load(shell: Any) -> None:
    """Give the shell of a kernel the magic `%samebook`."""
    shell.register_magic_function(partial(_magic, shell), "line", "samebook")


def _magic(shell: Any, line: str) -> None:
    from IPython.core.error import UsageError as OneLine  # shown as one line, without a traceback

    if "SAMEBOOK_RUN" in os.environ:
        return  # this is the headless run
    try:
        if line.strip() != "run":
            raise _Refused(f"found `%samebook {line}`; expected %samebook run")
        sys.stdout.writelines(f"{text}\n" for text in _compared(shell))
    except (_Refused, SamebookError) as error:
        raise OneLine("\n  ".join((str(error), *getattr(error, "__notes__", ())))) from None


def _compared(shell: Any) -> Iterator[str]:
    """Run the notebook of this kernel headless; yields the run, the verdict, and each cell that differs."""
    workspace = context.current_workspace()
    path = _open_notebook(workspace)
    notebook = json.loads(path.read_bytes())
    _check_saved(notebook["cells"], shell.history_manager.input_hist_raw)
    ended = subcommand.run_facts(subcommand.call(workspace, "run", str(path.resolve()), "--json"))
    yield f"headless: runs/{ended['id']}"
    headless = json.loads((workspace.runs / ended["id"] / run_folder.CANONICAL).read_bytes())
    # A cell that was not run here shows nothing yet, which says nothing.
    is_shown = [cell.get("execution_count") for cell in notebook["cells"] if cell["cell_type"] == "code"]
    triples = zip(is_shown, _code(canonical.cells(notebook, str(workspace.root))), _code(headless), strict=False)
    cells = [(number, here, there) for number, (count, here, there) in enumerate(triples, start=1) if count]
    cells = [triple for triple in cells if not MAGIC.search(triple[1]["source"])]
    differing = [triple for triple in cells if triple[1] != triple[2]]
    if not differing:
        yield f"IDENTICAL: {len(cells)} of {len(cells)} cells show what they show headless"
        return
    yield f"DIFFERENT: {len(differing)} of {len(cells)} cells show something else headless"
    for number, here, there in differing:
        yield f"  cell {number} `{canonical.name(here['tags'], number)}`"
        if difference := first_cell(json.dumps([here]).encode(), json.dumps([there]).encode()):
            yield f"    here      {difference.before}\n    headless  {difference.after}"


def _code(cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell["type"] == "code" and INJECTED not in cell["tags"]]


def _open_notebook(workspace: Workspace) -> Path:
    """The file of this kernel's notebook, as Jupyter or VS Code names it. Raises _Refused where it has none."""
    named = os.environ.get("JPY_SESSION_NAME", "")
    path = Path(named)
    if path.suffix != ".ipynb" or path.stem.startswith("Untitled"):
        raise _Refused("this notebook has no name yet: rename it, save it, and restart its kernel")
    if not path.is_file():
        raise _Refused(f"{path.name} is not there: save it; if you have renamed it, restart its kernel")
    if not path.resolve().is_relative_to(workspace.notebooks.resolve()):
        raise _Refused(f"{path.name} is not in notebooks/, from where notebooks are run: move it there")
    return path


def _check_saved(cells: Sequence[Cell], history: Sequence[str]) -> None:
    """Raise _Refused where the file has not the cells, or the outputs, that this kernel had last."""
    code = [("".join(cell["source"]).strip(), cell.get("execution_count")) for cell in cells if "outputs" in cell]
    last = {source.strip(): count for count, source in enumerate(history)}
    current = history[-1].strip()
    if current not in (source for source, _ in code):
        raise _Refused(f"the notebook has changed since it was saved: {SAVE}")
    for source in {source for source, _ in code} & last.keys() - {current, ""}:
        if not MAGIC.search(source) and last[source] not in (count for text, count in code if text == source):
            raise _Refused(f"the notebook was run since it was saved: {SAVE}")
