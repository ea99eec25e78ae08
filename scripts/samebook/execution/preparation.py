"""What is checked before a kernel starts: the notebook, its parameters, the settings, the environment, the models."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from samebook.core import secret
from samebook.core.errors import EnvironmentMismatch, UsageError, nearest
from samebook.core.redaction import Redaction
from samebook.core.workspace import Workspace
from samebook.environment import identity, settings
from samebook.execution import parameters
from samebook.records import provenance, receipt

SHOWN_DRIFT = 3


@dataclass(frozen=True)
class RunRequest:
    """One call of `samebook run`; `given` holds the -p pairs as typed.

    With a `receipt`, the run reads the very inputs that it names.
    """

    notebook: str
    given: Mapping[str, str]
    env: str = "dev"
    cell_timeout: int | None = None
    allow_drift: bool = False
    receipt: Path | None = None


def again(path: Path, request: RunRequest) -> RunRequest:
    """The request that a receipt is the answer to: its notebook, parameters and env."""
    external = receipt.external(receipt.read(path))
    given = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in external["parameters"].items()
    }
    return replace(request, notebook=external["notebook"], given=given, env=external["env"], receipt=path.resolve())


@dataclass(frozen=True)
class Prepared:
    """A request that was found to be runnable."""

    workspace: Workspace
    request: RunRequest
    settings: settings.Settings
    path: Path
    notebook: Any
    values: dict[str, Any]
    known: dict[str, parameters.Parameter]
    drift: dict[str, str]
    source: provenance.Source
    redaction: Redaction


def prepare(found: Workspace, request: RunRequest, say: Callable[[str], None] = lambda _: None) -> Prepared:
    """Check everything that can be checked before a kernel starts; `say` hears what takes time. Raises UsageError."""
    from samebook.execution import engine

    path = locate(found, request.notebook)
    drift = _drift(found, allowed=request.allow_drift)
    in_force = settings.load(found, request.env)
    provenance.check_commit(found)
    source = provenance.source(found, path)
    notebook = engine.read(path)
    index = engine.parameters_index(notebook)
    if index < 0 and request.given:
        names = ", ".join(request.given)
        raise UsageError(
            f"{found.relative(path)} has no cell tagged `parameters`, so it takes none; found {names}",
            mend="in Lab: select the cell, then Property Inspector > Add Tag > parameters",
        )
    known = parameters.declared(notebook.cells[index].source) if index >= 0 else {}
    values = parameters.parsed(request.given, known)
    if request.receipt is None:  # a reproduction is handed its inputs by hash
        _check_models(found, in_force, known, values, say)
    redaction = Redaction(secret.known(in_force.secret_names()) | parameters.secrets(known))
    redaction.refuse_in(source.patch or b"", "the uncommitted work of this checkout")
    if values:
        notebook = engine.with_parameters(notebook, parameters.injected(values))
    return Prepared(found, request, in_force, path, notebook, values, known, drift, source, redaction)


def _check_models(
    found: Workspace,
    in_force: settings.Settings,
    known: Mapping[str, parameters.Parameter],
    values: Mapping[str, Any],
    say: Callable[[str], None],
) -> None:
    """Each promoted model that the notebook will score with: its bundle whole, its files in the store."""
    from samebook.models import lookup, supply

    named = [name for name in parameters.models(known, values) if lookup.is_reference(found, name)]
    test = in_force.ab_test
    variants = (test.champion, test.challenger) if test and parameters.takes_part(known, values, test.is_on) else ()
    for reference in (*named, *variants):
        supply.complete(found, in_force, reference, say)


def _drift(found: Workspace, *, allowed: bool) -> dict[str, str]:
    """How the environment differs from the lock. Raises EnvironmentMismatch, unless that is allowed."""
    wrong = identity.mismatches(found)
    drift = {name: f"locked {expected}, found {version or 'none'}" for name, (expected, version) in wrong.items()}
    if drift and not allowed:
        first = ", ".join(f"{name} ({how})" for name, how in list(drift.items())[:SHOWN_DRIFT])
        raise EnvironmentMismatch(
            f"the environment is not the lock's in {len(drift)} packages: {first}",
            mend="make doctor shows all; make run renews the environment; --allow-drift runs all the same, and says so",
        )
    return drift


def locate(found: Workspace, name: str) -> Path:
    """The notebook `train`, `train.ipynb` or `notebooks/train.ipynb`."""
    path = found.notebook(name)
    if not path.is_file() or not path.resolve().is_relative_to(found.notebooks):
        known = (str(other.relative_to(found.notebooks))[:-6] for other in found.notebooks.rglob("[!.]*.ipynb"))
        stem = found.relative(path).removeprefix("notebooks/").removesuffix(".ipynb")
        raise UsageError(f"no notebook {name!r}{nearest(stem, known)}")
    return path
