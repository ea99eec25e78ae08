"""The child of a zygote: the kernel or the runner that a process becomes once its imports are done.

A zygote imports this module: it must import nothing that a kernel would not import.
"""

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from samebook.execution.warm import messages, preload
from samebook.execution.warm.preload import Effects

KERNEL = "ipykernel_launcher"
# The modules that a kernel imports until its first cell.
KERNEL_MODULES = (
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.extensions.storemagic",
)


def run_kernel(request: Mapping[str, Any], effects: Effects) -> None:
    """Run this process as the requested kernel, as `python -m ipykernel_launcher` would have made it."""
    _take_on(request, effects)
    parent = os.environ["JPY_PARENT_PID"] = str(request["parent"])
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # else all kernels of one zygote would draw the same
    launcher = importlib.util.find_spec(KERNEL)
    sys.argv = [str(launcher.origin) if launcher else KERNEL, *request["arguments"]]
    from ipykernel.kernelapp import IPKernelApp

    kernel = IPKernelApp.instance()
    filters = preload.warning_filters()
    del filters[: len(effects.filters)]
    # ipykernel has read JPY_PARENT_PID when it was imported: too early.
    kernel.initialize([*request["arguments"], f"--IPKernelApp.parent_handle={parent}"])
    preload.warning_filters()[:0] = effects.filters  # before those of the kernel, as when a cell imports
    # ipykernel ends with its parent, but takes one that has ended before for no parent at all.
    if os.getppid() != request["parent"]:
        return
    kernel.start()


def run_command(request: Mapping[str, Any], effects: Effects) -> None:
    """Run this process as the requested `samebook` command."""
    _take_on(request, effects)
    ready: Any = sys.modules[messages.RUNNER]
    ready.main(request["arguments"], request["parent"])


def _take_on(request: Mapping[str, Any], effects: Effects) -> None:
    """Take on the request's environment and folder; keep the changes that the imports made to the environment."""
    env = {name: text for name, text in request["env"].items() if name not in effects.removed}
    os.environ.clear()
    os.environ.update(env | effects.set)
    time.tzset()
    os.chdir(request["cwd"])
    tempfile.tempdir = None
