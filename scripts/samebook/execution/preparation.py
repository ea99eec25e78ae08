"""The checks before a kernel starts: of the notebook, its parameters, the settings, the environment and the models."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from samebook.core import processes, secret
from samebook.core import workspace as workspaces
from samebook.core.errors import EnvironmentMismatch, UsageError, closest, nearest
from samebook.core.text import Say, word
from samebook.core.workspace import Workspace
from samebook.environment import callers, identity, numerics
from samebook.environment.callers import Callers, Digests
from samebook.environment.numerics import Numerics
from samebook.environment.settings import Settings, load
from samebook.execution import parameters, parameters_cell
from samebook.execution.json_value import JsonValue
from samebook.execution.parameters import Parameter
from samebook.execution.warm.without import without
from samebook.reads.pins import Pins
from samebook.records import data_manifest, receipt, signing
from samebook.records import source as run_source
from samebook.records.source import Source
from samebook.redaction import patch, redactor
from samebook.redaction.redactor import Redaction
from samebook.store import objects

SHOWN_PACKAGES = 3
# papermill's file systems, and the formats of texts that jsonschema can check: no notebook that samebook reads has any.
UNUSED = ("pyarrow.fs", "isoduration", "rfc3339_validator", "rfc3986_validator")


@dataclass(frozen=True)
class RunRequest:
    """One call of `samebook run`; `parameters` holds the texts of the -p pairs.

    With a `receipt`, the run reads exactly the inputs that the receipt names. `run` is the id of the new run; where it
    is empty, the run makes one. A trial publishes nothing. `variables` are those of the caller's shell that the receipt
    names; None: those that the settings and the option -e name.
    """

    notebook: str
    parameters: Mapping[str, str]
    env: str = "dev"
    cell_timeout: int | None = None
    allow_drift: bool = False
    receipt: Path | None = None
    run: str = ""
    is_trial: bool = False
    variables: Digests | None = None

    @property
    def pins(self) -> Pins:
        """The pins of the run: those of its receipt, else of the run whose kernel has started it."""
        outer = Pins.current()
        own = _inputs(self.receipt) if self.receipt else outer.inputs
        return Pins(own, self.is_trial or outer.is_trial)


def _inputs(path: Path) -> dict[str, str]:
    """The inputs of a receipt, or of a plan, with an input for each day."""
    return receipt.inputs(data_manifest.expanded(objects.local_store(workspaces.find()), receipt.read(path)))


def from_receipt(path: Path, request: RunRequest) -> RunRequest:
    """The request to repeat a receipt's run: with its notebook, parameters, env and inputs."""
    statement = receipt.read(path)
    external = receipt.external_parameters(statement)
    texts = {name: JsonValue(value) for name, value in external["parameters"].items()}
    return replace(
        request,
        notebook=external["notebook"],
        parameters=texts,
        env=external["env"],
        receipt=path.resolve(),
        run=receipt.planned_run(statement),
        variables=receipt.caller_variables(statement),
        is_trial=True,
    )


@dataclass(frozen=True)
class PreparedRun:
    """A request that has passed its checks, with everything that they have read.

    `path` is the notebook's file, `notebook` its content with the given values injected. `parameters` has the
    declarations and `values` the given values, by name. `drift` says for each package how it differs from the lock.
    """

    workspace: Workspace
    request: RunRequest
    settings: Settings
    path: Path
    notebook: Any
    values: dict[str, Any]
    parameters: dict[str, Parameter]
    drift: dict[str, str]
    source: Source
    redaction: Redaction
    callers: Callers

    @property
    def name(self) -> str:
        return self.workspace.notebook_name(self.path)

    @property
    def numerics(self) -> Numerics:
        """The numerics of the run's kernel."""
        return numerics.of(self.settings.numerics, self.settings.threads)


def prepare(workspace: Workspace, request: RunRequest, say: Say = lambda _: None) -> PreparedRun:
    """Check everything that can be checked before a kernel starts; `say` hears of steps that take time, and of a
    notebook that is not valid.

    Raises UsageError, EnvironmentMismatch where packages differ from the lock, and PolicyRefused for a model that does
    not meet the policy or for a secret in uncommitted changes.
    """
    with without(absent=UNUSED, empty=("requests",)):
        from samebook.execution import execute, notebook_file

    path = locate(workspace, request.notebook)
    drift = _drift(workspace, is_allowed=request.allow_drift)
    settings = load(workspace, request.env)
    if obstacle := numerics.of(settings.numerics, settings.threads).obstacle():
        say(obstacle)
    if waste := identity.uncompiled():
        say(waste)
    run_source.check_commit(workspace)
    source = processes.shared(run_source.read, workspace, path, settings.patch_limit)
    for line in source.unpatched:
        say(f"not in this run's patch, so that it can't be reproduced or promoted: {line}")
    notebook = notebook_file.read(path, say)
    index = execute.parameters_index(notebook)
    if index < 0 and request.parameters:
        names = ", ".join(request.parameters)
        raise UsageError(
            f"{workspace.relative(path)} has no cell tagged `parameters`, so it takes none; found {names}",
            mend="make lab: select the cell, then Property Inspector > Add Tag > parameters",
        )
    declarations = parameters_cell.declarations(notebook.cells[index].source) if index >= 0 else {}
    for name, parameter in declarations.items():
        if parameter.obstacle:
            say(f"parameter {name} is not settable: {parameter.obstacle}")
    values = parameters.parse(request.parameters, declarations)
    if request.receipt is None:  # A run from a receipt reads its models by hash.
        for reference in _models(workspace, settings, declarations, values):
            from samebook.models import supply  # most runs need no model, and importing it takes long

            supply.load_complete(workspace, settings, reference, request.env, say)
    given = _callers(workspace, settings, path, request)
    redaction = _redaction(workspace, settings, given, declarations, say)
    signing.check_uncommitted(source.patch or b"")
    redaction.check_content(patch.contents(source.patch or b""), "the uncommitted work of this checkout")
    if values:
        notebook = execute.with_parameters(notebook, parameters.assignments(values))
    return PreparedRun(
        workspace, request, settings, path, notebook, values, declarations, drift, source, redaction, given
    )


def _redaction(
    workspace: Workspace, settings: Settings, given: Callers, declarations: Mapping[str, Parameter], say: Say
) -> Redaction:
    """The redaction of all secrets that the run's kernel has or can read; `say` hears of those that are too short."""
    for name in secret.short(given.handed_secrets):
        say(f"{name} is redacted nowhere: it has fewer than {secret.SHORTEST} characters")
    asked = secret.texts({*settings.secret_names(), *given.handed_secrets, *given.named})
    asked |= parameters.secrets(declarations)
    unasked = {
        redactor.FILE: secret.texts(secret.files()),
        redactor.GIVEN: secret.texts(given.likely_secrets) | secret.own_texts(workspace.root),
    }
    kinds = {name: kind for kind, texts in unasked.items() for name in texts if name not in asked}
    return Redaction(unasked[redactor.FILE] | unasked[redactor.GIVEN] | asked, kinds)


def _callers(workspace: Workspace, settings: Settings, path: Path, request: RunRequest) -> Callers:
    """The caller's variables of the run's kernel."""
    names = secret.names(path)
    if request.variables is None:
        return callers.named(workspace, settings, names)
    return callers.recorded(workspace, settings, names, request.variables)


def _models(
    workspace: Workspace, settings: Settings, declarations: Mapping[str, Parameter], values: Mapping[str, Any]
) -> list[str]:
    """The references of the promoted models that the notebook will use."""
    references = list[str]()
    if names := [*parameters.models(declarations, values)]:
        from samebook.models import lookup

        references += [name for name in names if lookup.is_reference(workspace, name)]
    test = settings.ab_test
    if test and parameters.takes_part(declarations, values, test.is_on):
        references += [test.champion, test.challenger]
    return references


def _drift(workspace: Workspace, *, is_allowed: bool) -> dict[str, str]:
    """How the environment differs from the lock, by package. Raises EnvironmentMismatch, unless that is allowed."""
    mismatches = processes.shared(identity.mismatches, workspace)
    drift = {name: f"locked {locked}, found {version or 'none'}" for name, (locked, version) in mismatches.items()}
    if drift and not is_allowed:
        first = ", ".join(f"{name} ({versions})" for name, versions in list(drift.items())[:SHOWN_PACKAGES])
        raise EnvironmentMismatch(
            f"the environment is not the lock's in {len(drift)} packages: {first}",
            mend=identity.mend(),
        )
    return drift


def locate(workspace: Workspace, name: str) -> Path:
    """The path of the notebook `train`, `train.ipynb` or `notebooks/train.ipynb`. Raises UsageError for none."""
    path = workspace.notebook(name)
    folder = workspace.notebooks
    if not path.is_file() or not path.resolve().is_relative_to(folder):
        names = [str(notebook.relative_to(folder))[:-6] for notebook in folder.rglob("[!.]*.ipynb")]
        stem = workspace.relative(path).removeprefix("notebooks/").removesuffix(".ipynb")
        raise UsageError(
            f"no notebook {name!r}{nearest(stem, names)}", mend=f"make run NOTEBOOK={word(closest(stem, names))}"
        )
    return path
