"""The script with which IPython starts in a kernel: what looks at a notebook's reads, threads and libraries begins
there.
"""

import os
import sys
from pathlib import Path
from typing import Any

from samebook.execution.warm import preload
from samebook.reads import libraries, undeclared
from samebook.records import run_folder

# All is imported before the first read is recorded.
SCRIPT = """\
import os
from samebook.execution import background, startup
from samebook.reads import undeclared
undeclared.start(os.environ["SAMEBOOK_RUN"], os.environ["SAMEBOOK_WORKSPACE"])
startup.record_imports()
background.start(os.environ["SAMEBOOK_RUN"])
startup.record_libraries(os.environ["SAMEBOOK_RUN"])
startup.limit_output({limit} * 10**6)
del os, background, startup, undeclared
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


class _Printed:
    """What a cell prints to a stream of the kernel, which sends no more of it than the runner keeps of any cell.

    A kernel that prints faster than its runner reads would fill the memory of both. `left_out` is in bytes.
    """

    def __init__(self, stream: Any, limit: int) -> None:
        self.write, self.room, self.left_out = stream.write, limit, 0
        stream.write = self.add

    def add(self, text: str) -> int:
        if len(text) <= self.room:
            self.room -= len(text)
            return self.write(text)
        # A character has a byte or more, and the one behind the limit tells the runner to cut.
        end = self.room + 1
        self.room = -1
        self.left_out += len(text[end:].encode(errors="surrogatepass"))
        if end:
            self.write(text[:end])
        return len(text)


def limit_output(limit: int) -> None:
    """Send no more than so many bytes of a cell's stdout and of its stderr, and then how much more there was."""
    from IPython.core.getipython import get_ipython  # a runner never imports it

    shell: Any = get_ipython()
    if shell is None:
        return
    streams = {name: _Printed(getattr(sys, name), limit) for name in ("stdout", "stderr")}
    clear_output, request = shell.display_pub.clear_output, ""

    def begin(_: object) -> None:
        nonlocal request
        current = shell.kernel.get_parent()["header"]["msg_id"]
        if request != current:  # a cell may run cells itself
            request = current
            forget()

    def forget() -> None:
        for stream in streams.values():
            stream.room, stream.left_out = limit, 0

    def clear(*arguments: Any, **options: Any) -> None:
        clear_output(*arguments, **options)
        forget()

    def end(_: object) -> None:
        kernel = shell.kernel
        for name, stream in streams.items():
            if stream.left_out:
                getattr(sys, name).flush()
                content = {"name": name, "text": "", "left_out": stream.left_out}
                kernel.session.send(kernel.iopub_socket, "stream", content, parent=kernel.get_parent())
                stream.left_out = 0

    shell.display_pub.clear_output = clear
    shell.events.register("pre_run_cell", begin)
    shell.events.register("post_run_cell", end)
