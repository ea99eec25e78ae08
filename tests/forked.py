"""`samebook ARGUMENTS` for the Makefiles of tiny repositories: `python forked.py SOCKET ARGUMENTS`.

The process is forked from the zygote of runners that listens there, by `shared_imports`; a run's kernel starts cold.
Where that zygote has ended, or Python would start otherwise with the caller's variables, this process becomes
`python -m samebook ARGUMENTS`.
"""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from samebook.core import processes
from samebook.execution.warm import client, runner
from samebook.execution.warm.kernels import Request
from samebook.execution.warm.messages import FILES

# The variables that are read while Python starts. Those of the language are not: any makes a text UTF-8 here.
START = ("PYTHON", "LD_", "TZ", "JUPYTER", "IPYTHON", "COVERAGE", "FAKETIME")


def read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    """Those of these variables that are read while Python starts."""
    return {name: text for name, text in env.items() if name.startswith(START)}


def variables(socket: Path) -> Path:
    """The file beside a zygote's socket with the variables that were read while it started."""
    return socket.with_suffix(".json")


def main(socket: Path, arguments: list[str]) -> None:
    """Run the command to its end in a forked process, or as any other."""
    kind: Any = SimpleNamespace(name=socket.name)
    process = None
    with suppress(OSError):
        if json.loads(variables(socket).read_text()) == read_at_start(os.environ):
            request = Request(arguments, os.environ, str(Path.cwd()))
            process = client.fork(socket.parent, kind, request, FILES)
    if process:
        processes.exit_at_once(runner.wait(process))
    os.execv(sys.executable, [sys.executable, "-m", "samebook", *arguments])  # noqa: S606 - there is nothing to quote


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
