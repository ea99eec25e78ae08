"""A program of samebook for a worker of a cluster, as a value: the same value is the same work, and is done once."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from samebook.core import subcommand
from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import SamebookError, UsageError
from samebook.core.processes import ProcessResult
from samebook.environment import variables
from samebook.execution.json_value import json_object
from samebook.execution.preparation import PreparedRun, RunRequest
from samebook.execution.workers import Failure

# The variables of samebook that belong to a machine or to a process there: a worker has its own.
OF_A_MACHINE = frozenset(
    f"SAMEBOOK_{name}"
    for name in (
        *("WORKSPACE", "ENGINE", "IMAGE", "BASE_IMAGE", "BUILDER", "DOCKER", "BESIDE", "NAME", "TAG", "UID", "GID"),
        *("PARENT", "STEP", "RUN", "WARM", "REQUIRE_DOCKER", "AT_WORKER"),
    )
)
# The variables by which a container knows its checkout: a worker that has another checkout than the sender keeps them.
OF_A_CHECKOUT = frozenset({"SAMEBOOK_COMMIT", "SAMEBOOK_PATCH"})
# The variable of what a worker runs.
AT_WORKER = "SAMEBOOK_AT_WORKER"


@dataclass(frozen=True)
class Program:
    """A command of samebook. `again` is what it is given more where it may have run before.

    `variables` are the sender's, `source` is the digest of the code that is to run. Where there is a `notebook`, its
    kernels may be warm at the worker. In the place of `arguments`, `calls` is the text of one call whose result goes to
    the shared store.
    """

    arguments: tuple[str, ...]
    again: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    notebook: str = ""
    env: str = "dev"
    calls: str = ""

    @property
    def key(self) -> str:
        """The digest of the whole program."""
        return sha256(json_bytes(asdict(self)))


def of_run(request: RunRequest, prepared: PreparedRun) -> Program:
    """The program of a run of the notebook that has been prepared here."""
    return Program(
        call(request),
        ("--reuse",),
        sent_variables(prepared),
        source_digest(prepared),
        request.notebook,
        request.env,
    )


def call(request: RunRequest) -> tuple[str, ...]:
    """The arguments of `samebook` for a run."""
    timeout = () if request.cell_timeout is None else ("--timeout", str(request.cell_timeout))
    params = ("--params", json_object(request.parameters))
    return ("run", request.notebook, *params, "--env", request.env, *timeout, "--json")


def source_digest(prepared: PreparedRun) -> str:
    """The digest of the code that a run has here: an edited notebook is other work, whose result is not yet there."""
    source = prepared.source
    patch = "" if source.patch is None else sha256(source.patch)
    return sha256(json_bytes([source.commit, patch, source.notebook, source.code, source.lock, *source.unpatched]))


def sent_variables(prepared: PreparedRun) -> dict[str, str]:
    """The variables that decide a run's result, or its receipt, and that a worker can't know: settings, threads, the
    commit and its patch, and those that settings and the option -e name. Raises UsageError for a secret among these.
    """
    if secrets := prepared.callers.handed_secrets:
        raise UsageError(
            f"{secrets[0]} holds a secret, which is not sent to a cluster; the service worker may have it, by"
            " docker-compose.override.yml",
            mend="again, without ON",
        )
    mine = {name: text for name, text in os.environ.items() if _is_sent(name)}
    handed = prepared.callers.handed
    return dict(sorted({**mine, **handed, **({variables.EXTRA: " ".join(handed)} if handed else {})}.items()))


def kernel_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a kernel with this environment that decide what a function computes; none can hold a secret."""
    decisive = (*variables.NUMERIC, *variables.DECISIVE, "SAMEBOOK_ENV")
    return {name: text for name, text in environ.items() if name.startswith(decisive)}


def _is_sent(name: str) -> bool:
    is_own = name.startswith(variables.OWN) and name not in OF_A_MACHINE
    return is_own or name.startswith(variables.NUMERIC)


def worker_variables(program: Program, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a program at a worker with these: the sender's, and of the worker's own those of its machine.

    Dask sets numbers of threads for its workers, which would change results.
    """
    kept = OF_A_CHECKOUT if program.calls else ()
    own = {name: text for name, text in environ.items() if name in kept or not _is_sent(name)}
    return {**own, **program.variables}


def failure(ended: ProcessResult) -> Failure:
    """The failure of a program that has ended with an error: the message, and the command that mends it."""
    if ended.exit_code < 0:
        return Failure(SamebookError.exit_code, f"its process was ended by signal {-ended.exit_code}")
    first, *rest = subcommand.message(ended.stderr).splitlines() or [f"it ended with exit code {ended.exit_code}"]
    notes = (line.removeprefix("  ") for line in rest)
    return Failure(ended.exit_code, "\n".join((first.removeprefix("error: "), *notes)))
