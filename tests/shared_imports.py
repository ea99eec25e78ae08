"""Commands and kernels forked from processes that have imported what each needs, by the zygotes of `samebook warm`.

Each `samebook run` finds them as it would find those of its workspace. A command has the environment, folder and output
of its own, and so has its kernel; only the imports are shared. Pandas is kept for all tests; other packages for the
second run that asks for them in a module of tests.
"""

import atexit
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from unittest.mock import patch

import forked

from samebook.core.errors import SamebookError
from samebook.core.workspace import Workspace
from samebook.environment import identity, variables
from samebook.execution.warm import client, imports, kernels, runner
from samebook.execution.warm.imports import API
from samebook.execution.warm.messages import RUNNER

CHECKOUT = Path(__file__).parents[1]
# Seconds to wait for the end of a command.
PATIENCE = 300
# What many others import.
PANDAS = ("pandas",)
# The environment of the tests, before one of them changes it; and the variables that are read while Python starts.
ENVIRON = dict(os.environ)
# What lives as long as this process. A child that is forked drops what is kept for the end, and must not end this.
KEPT = ExitStack()
# Zygotes that have imported packages, as long as a module of tests; how often each was asked for, and those that fork.
OF_MODULE = ExitStack()
USES = Counter[str]()
READY = set[str]()
# The digests of environments.
DIGESTS = dict[tuple[bytes | str | None, ...], str]()
START = ("PYTHON", "LD_", "LANG", "LC_", "TZ", "JUPYTER", "IPYTHON", client.FOLDER, "COVERAGE", "FAKETIME")


def hand_over(env: Mapping[str, str], folder: Path, arguments: Sequence[str] = ()) -> dict[str, str]:
    """The variables with which each `samebook run` below a command in this workspace is handed over to the zygotes.

    They are `env` where Python would start otherwise with them, or the workspace has zygotes of its own.
    """
    workspace = Workspace(folder)
    if _read_at_start(env) != _read_at_start(ENVIRON) or client.folder(workspace):
        return dict(env)
    plain = _kernels(())
    with patch.dict(os.environ, env, clear=True):
        _stand_in(runner.kind(workspace), _runners())
        with suppress(SamebookError, OSError, ValueError):  # the run itself will raise it
            packages, of_any = _packages(workspace), variables.of_any_kernel(workspace)
            if _read_at_start(kernels.import_variables(of_any)) == _read_at_start(plain.env):
                for modules in _modules(workspace):
                    shared = _kernels(PANDAS if PANDAS[0] in modules else ())
                    _stand_in(kernels.kind(packages, modules, of_any), shared)
            notebook = workspace.notebook(arguments[1] if len(arguments) > 1 else "")
            if arguments[:1] == ("run",) and not _is_common(modules := imports.of_notebook(notebook)):
                _share(kernels.kind(packages, modules, of_any))
    return {**env, client.FOLDER: str(_sockets())}


def call(arguments: Sequence[str], env: Mapping[str, str], folder: Path) -> tuple[int, str, str] | None:
    """The exit code and output of `samebook ARGUMENTS` in a process forked from the zygote of runners.

    None where these variables were not handed over, or the zygote does not answer, as on a busy machine: there Python
    has to be started, as a run starts cold.
    """
    if client.FOLDER not in env or env[client.FOLDER] != str(_sockets()):
        return None
    request = kernels.Request(arguments, env, str(folder))
    with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr, open(os.devnull) as stdin:  # noqa: PTH123
        files = [file.fileno() for file in (stdout, stderr, stdin)]
        process = client.fork(_sockets(), _runners(), request, files)
        if process is None:
            return None
        code = process.wait(PATIENCE)
        for file in (stdout, stderr):
            file.seek(0)
        return code, stdout.read(), stderr.read()


def program() -> str:
    """The program `samebook` in the Makefile of a tiny repository: make's processes are forked from these zygotes, too.

    A reproduction runs the one of its commit by make, without the variable that hands runs over.
    """
    socket = _sockets() / _runners().name
    forked.variables(socket).write_text(json.dumps(forked.read_at_start(ENVIRON)))
    return f"{sys.executable} -P {forked.__file__} {socket}"


def _share(kind: kernels.Kind) -> None:
    """Let a zygote that has imported packages fork kernels of this kind, from the second that is asked for."""
    shared = kernels.Kind("tests", kind.modules, kind.env)
    USES[shared.name] += 1
    if USES[shared.name] == 2:
        zygote = OF_MODULE.enter_context(client.zygote(shared, CHECKOUT / "notebooks", _sockets()))
        READY.update([] if zygote.refusal else [shared.name])
    if shared.name in READY:
        _stand_in(kind, shared)


def end_of_module() -> None:
    """End the zygotes that a module of tests has asked for."""
    OF_MODULE.close()
    USES.clear()
    READY.clear()


def _stand_in(kind: kernels.Kind, shared: kernels.Kind) -> None:
    """Let the shared zygote fork what is asked of one of this kind."""
    # A file that holds the path of a socket stands for the socket.
    (_sockets() / kind.name).write_text(str(_sockets() / shared.name))


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in env.items() if name.startswith(START)}


def _packages(workspace: Workspace) -> str:
    """The digest of the environment, by all that a workspace says of it: it takes as long as the kernel's start."""
    files = sorted(path for path in workspace.environments.iterdir() if path.suffix in (".txt", ".env"))
    said = (*(path.read_bytes() for path in files), os.environ.get("SAMEBOOK_HASH_SEED"))
    if said not in DIGESTS:
        DIGESTS[said] = identity.of(workspace)["digest"]
    return DIGESTS[said]


@cache
def _runners() -> kernels.Kind:
    kind = kernels.Kind("tests", (RUNNER,), {**ENVIRON, "SAMEBOOK_WORKSPACE": str(CHECKOUT)})
    _start(kind)
    return kind


def _modules(workspace: Workspace) -> set[tuple[str, ...]]:
    """What the notebooks of a workspace import, as far as there are kernels with that."""
    return {(), *filter(_is_common, map(imports.of_notebook, workspace.notebooks.glob("*.ipynb")))}


def _is_common(modules: tuple[str, ...]) -> bool:
    return {API, *PANDAS}.issuperset(modules)


@cache
def _kernels(modules: tuple[str, ...]) -> kernels.Kind:
    """The kind of the zygote of kernels that have imported these modules; it starts where a test first needs it."""
    with patch.dict(os.environ, ENVIRON, clear=True):
        kind = kernels.kind("tests", (API, *modules), variables.of_any_kernel(Workspace(CHECKOUT)))
    _start(kind)
    return kind


def _start(kind: kernels.Kind) -> None:
    """Start a zygote that lives as long as this process."""
    zygote = KEPT.enter_context(client.zygote(kind, CHECKOUT, _sockets()))
    assert not zygote.refusal, zygote.refusal


@cache
def _sockets() -> Path:
    """The folder with the sockets of the zygotes, which live as long as this process."""
    atexit.register(KEPT.close)
    return Path(KEPT.enter_context(client.socket_folder()))
