"""Whether a finished run is what a new one would be: then a pipeline need not run its notebook again."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.errors import SamebookError
from samebook.core.workspace import Workspace
from samebook.data import dataset, warehouse
from samebook.environment import identity, settings, variables
from samebook.execution import parameters
from samebook.execution.preparation import PreparedRun
from samebook.models import lookup
from samebook.records import evidence, receipt, run_folder
from samebook.records.inputs import Kind, Label
from samebook.records.receipt import Json


def fresh_run(
    prepared: PreparedRun, *, in_image: bool = False, candidates: Iterable[Path] | None = None
) -> Path | None:
    """The newest finished run of this notebook, code, parameters, environment and inputs, its files whole; or None.

    `in_image`: only one that was made in the image counts, as where the policy wants that. `candidates`: of these runs.
    What a run read around the API, or in a warehouse that doesn't say whether it has changed, counts as changed.
    """
    for run in run_folder.finished_runs(prepared.workspace, prepared.path.stem) if candidates is None else candidates:
        with suppress(SamebookError):
            statement = receipt.read(run / run_folder.RECEIPT)
            is_elsewhere = in_image and receipt.dependency(statement, "image") is None
            if not is_elsewhere and not any(_changes(prepared, run, statement)):
                return run
    return None


def _changes(prepared: PreparedRun, run: Path, statement: Json) -> Iterator[bool]:
    """What would be another than it was, the quickest to find out first."""
    here, source = prepared.workspace, prepared.source
    asked = {
        "notebook": here.relative(prepared.path),
        "parameters": parameters.json_values(prepared.values),
        "env": prepared.request.env,
    }
    yield receipt.external_parameters(statement) != asked
    known = {each["name"]: each["digest"].get("sha256") for each in receipt.dependencies(statement) if "digest" in each}
    yield known.get(asked["notebook"]) != source.notebook
    yield known.get(receipt.CODE) != source.code
    yield known.get("environments/runtime.txt") != source.lock
    yield known.get(receipt.ENVIRONMENT) != _environment(here)
    commit = receipt.dependency(statement, receipt.COMMIT) or {}
    yield source.patch == b"" and commit.get("annotations", {}).get("dirty", False)
    yield any(each.get("annotations", {}).get("undeclared") for each in receipt.dependencies(statement))
    definition = statement["predicate"]["buildDefinition"]
    yield bool(definition["internalParameters"]["drift"] or prepared.drift)
    yield definition["internalParameters"]["variables"] != variables.fixed(here)
    yield any(_is_there(here, name) for name in receipt.byproduct(statement, receipt.LACKED))
    yield any(not version or version != now for version, now in _warehouses(prepared, statement))
    yield any(now(prepared, name) != digest for name, digest in receipt.inputs(statement).items())
    found = evidence.file_states(here, run / run_folder.RECEIPT, statement)
    yield bool(evidence.problems(found))
    # What is to be published must be beside the receipt; other files may be in the store alone.
    yield any(name.endswith(f"/{dataset.PART}") and state != evidence.BESIDE for name, state in found.items())


@cache
def _environment(here: Workspace) -> str:
    return identity.of(here)["digest"]


def _is_there(here: Workspace, label: str) -> bool:
    """Whether there is by now what a run had lacked."""
    named = Label.parse(label)
    if named.kind is Kind.BUNDLE:
        return lookup.is_reference(here, named.name)
    return _path(here, label).is_file()


def _path(here: Workspace, label: str) -> Path:
    return here.data / label / dataset.PART


def _warehouses(prepared: PreparedRun, statement: Json) -> Iterator[tuple[str, str]]:
    """The version of each warehouse that the run asked, and what it is now."""
    told = receipt.byproduct(statement, receipt.READ_FROM)
    if told:
        name, version = warehouse.version(prepared.workspace, prepared.settings.warehouse)
        yield from ((then, version if name == asked else "") for asked, then in told.items())


def now(prepared: PreparedRun, label: str) -> str:
    """The sha256 of what a run would read today as the input `label`; "" where there is nothing, or nobody knows."""
    here, named = prepared.workspace, Label.parse(label)
    match named.kind:
        case Kind.BUNDLE:
            return sha256(lookup.read(here, named.name).content())
        case Kind.SETTINGS:
            return sha256(settings.section_bytes(prepared.settings, named.name))
        case Kind.DAY:
            return sha256(_path(here, label)) if _path(here, label).is_file() else ""
        case Kind.FILE:
            return _file(prepared, label)


def _file(prepared: PreparedRun, label: str) -> str:
    """Of a file of the workspace, of a promoted model, or of a run."""
    here = prepared.workspace
    given = [str(each) for each in prepared.values.values() if Path(str(each)).name == label]
    for path in (here.root / each for each in (*given, label)):
        if path.is_file():
            return sha256(path)
    source, _, name = label.partition("/")
    if lookup.is_reference(here, source):
        file = lookup.read(here, source).outputs.get(name)
        return file.sha256 if file else ""
    exact = [here.runs / source] if (here.runs / source).is_dir() else run_folder.finished_runs(here, source)
    found = (run / "outputs" / name for run in exact)
    return next((sha256(path) for path in found if path.is_file()), "")
