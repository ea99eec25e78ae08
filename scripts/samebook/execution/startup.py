"""The script with which IPython starts in a kernel: what looks at a notebook's reads, threads and libraries begins
there.
"""

import os
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from samebook.execution.warm import preload
from samebook.reads import libraries, undeclared
from samebook.records import run_folder

# All is imported before the first read is recorded.
SCRIPT = """\
import os
from samebook.execution import background, startup
from samebook.execution.cells import kernel_limit
from samebook.reads import undeclared
undeclared.start(os.environ["SAMEBOOK_RUN"], os.environ["SAMEBOOK_WORKSPACE"])
startup.record_imports()
background.start(os.environ["SAMEBOOK_RUN"])
startup.record_libraries(os.environ["SAMEBOOK_RUN"])
startup.compile_anew(os.environ["SAMEBOOK_WORKSPACE"])
kernel_limit.start({limit} * 10**6)
del os, background, kernel_limit, startup, undeclared
"""


def write_script(folder: Path, limit: int) -> None:
    """Write the script for a kernel with `folder` as its IPYTHONDIR; `limit` is in MB."""
    scripts = folder / "profile_default" / "startup"
    scripts.mkdir(parents=True)
    (scripts / "00-samebook.py").write_text(SCRIPT.format(limit=limit))


def record_imports() -> None:
    """Record what a notebook's imports have read in this process before its kernel began."""
    for path in preload.READS:
        undeclared.RECORDER.open(path, os.O_RDONLY)
    for event, arguments in preload.EVENTS:
        undeclared.RECORDER.record(event, arguments)


def compile_anew(workspace: str) -> None:
    """Compile the workspace's own modules from their source from now on, whatever bytecode is kept beside them.

    Python takes it for that of a source of the same size that was written in the same second: a branch that is switched
    in a script would run the other's code, under a receipt that names its own.
    """
    path_stats, roots = SourceFileLoader.path_stats, tuple({f"{workspace}/", f"{Path(workspace).resolve()}/"})

    def stats(loader: SourceFileLoader, path: str) -> Mapping[str, Any]:
        if path.startswith(roots) and "/site-packages/" not in path:
            raise OSError("no bytecode counts")
        return path_stats(loader, path)

    SourceFileLoader.path_stats = stats  # type: ignore[assignment,method-assign]


def record_libraries(run: str) -> None:
    """Record from now on, in the run's folder, what the numeric libraries that a cell has imported have taken."""
    from IPython.core.getipython import get_ipython  # a runner never imports it

    modules, facts = 0, dict[str, Any]()

    def record(_: object) -> None:
        nonlocal modules, facts
        with undeclared.declared_reads():
            current = libraries.loaded() if modules != len(sys.modules) else facts
        if current != facts:
            facts = current
            run_folder.append_event(Path(run), {"kind": run_folder.LIBRARIES, "name": "libraries", "value": facts})
        modules = len(sys.modules)

    if shell := get_ipython():
        shell.events.register("post_run_cell", record)
