"""Fresh runs: finished ones that a new run would only repeat, so that a pipeline need not run the notebook again.

`runs/.calls` has a line for each finished run that was looked at: the digest of its notebook, parameters and settings,
and its id. A receipt is so read once, and not by every run that comes after it. What the lines say is a hint: a run is
taken only after its receipt was read again.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.data import dataset, files, warehouse
from samebook.environment import identity, machine, settings, variables
from samebook.execution import parameters
from samebook.execution.preparation import PreparedRun
from samebook.models import lookup
from samebook.monitoring import acknowledged
from samebook.reads import origin
from samebook.records import data_manifest, evidence, receipt, run_folder
from samebook.records.inputs import Kind, Label
from samebook.records.receipt import Json
from samebook.store import objects

CALLS = ".calls"
CALL = re.compile(r"^([0-9a-f]{64}) ([^\s/]+)$", re.MULTILINE)


def fresh_run(
    prepared: PreparedRun, *, in_image: bool = False, candidates: Iterable[Path] | None = None
) -> Path | None:
    """The newest finished run of this notebook, code, parameters, environment and inputs, its files whole; or None.

    With `in_image`, only a run in the image counts, as where the policy demands one. `candidates` are the runs to
    choose from, by default all. Each file that a run has read counts. A warehouse without a version counts as changed,
    and so does a read that nobody could see, unless the settings ignore it.
    """
    for run in _runs_of_call(prepared) if candidates is None else candidates:
        with suppress(SamebookError):
            statement = receipt.read(run / run_folder.RECEIPT)
            is_outside_image = in_image and receipt.dependency(statement, "image") is None
            if not is_outside_image and not any(_changes(prepared, run, statement)):
                return run
    return None


def _runs_of_call(prepared: PreparedRun) -> list[Path]:
    """The finished runs of this notebook, with these parameters and this environment's settings, newest first."""
    runs = prepared.workspace.runs
    path = runs / CALLS
    known = dict(_calls(path))
    names = run_folder.names_in_ids(prepared.name)
    # A Path for each of the names, of which there may be many, takes four times as long.
    others = (run for run in (os.listdir(runs) if runs.is_dir() else ()) if run not in known)  # noqa: PTH208
    new = {
        run: call
        for run in others
        if any(fnmatchcase(run, f"*Z-{name}-??????") for name in names) and (call := _call_of(runs / run))
    }
    if new and not path.is_symlink() and (path.is_file() or not path.exists()):
        lines = "".join(f"{call} {run}\n" for run, call in new.items())
        with suppress(OSError), path.open("a") as file:  # where nobody may write there, they are read again
            file.write(f"\n{lines}")
    own = _digest(_external(prepared))
    found = (runs / run for run, call in (known | new).items() if call == own)
    return run_folder.newest_first(run for run in found if (run / run_folder.RECEIPT).is_file())


def _calls(path: Path) -> Iterator[tuple[str, str]]:
    """The id of each run in these lines, with its call. Half a line, as of a full disk, is none."""
    text = ""
    with suppress(OSError):  # one that only another user may read
        text = path.read_text(errors="replace") if path.is_file() and not path.is_symlink() else ""
    yield from ((run, call) for call, run in CALL.findall(text))


def _call_of(run: Path) -> str:
    """The digest of what a run was called with; "" for a run that has failed, or has no whole receipt."""
    path = run / run_folder.RECEIPT
    with suppress(SamebookError):
        return _digest(receipt.external_parameters(receipt.read(path))) if path.is_file() else ""
    return ""


def _digest(external: Json) -> str:
    return sha256(json_bytes(external))


def _external(prepared: PreparedRun) -> Json:
    """What a run is called with, as its receipt has it."""
    return {
        "notebook": prepared.workspace.relative(prepared.path),
        "parameters": parameters.json_values(prepared.values),
        "env": prepared.request.env,
    }


def _changes(prepared: PreparedRun, run: Path, statement: Json) -> Iterator[bool]:
    """Whether each fact of a run has changed since, the cheapest check first."""
    workspace, source, external = prepared.workspace, prepared.source, _external(prepared)
    # As JSON: to Python, 1 and True are equal.
    yield json_bytes(receipt.external_parameters(statement)) != json_bytes(external)
    dependencies = receipt.dependencies(statement)
    digests = {item["name"]: item["digest"].get("sha256") for item in dependencies if "digest" in item}
    yield digests.get(external["notebook"]) != source.notebook
    yield digests.get(receipt.CODE) != source.code
    yield digests.get(receipt.LOCK) != source.lock
    yield digests.get(receipt.ENVIRONMENT) != _environment(workspace)
    commit = receipt.dependency(statement, receipt.COMMIT) or {}
    # A run with uncommitted changes does not stand for a clean checkout, whose run can be promoted.
    yield source.patch == b"" and commit.get("annotations", {}).get("dirty", False)
    unseen = receipt.byproduct(statement, receipt.UNSEEN)
    yield not all(name.startswith(prepared.settings.ignore_unseen) for name in unseen)
    definition = statement["predicate"]["buildDefinition"]
    yield bool(definition["internalParameters"]["drift"] or prepared.drift)
    yield definition["internalParameters"]["variables"] != variables.fixed(workspace)
    yield receipt.caller_variables(statement) != prepared.callers.digests
    yield definition["internalParameters"].get("numerics") != prepared.numerics.name
    threads, numerics = definition["internalParameters"]["threads"], prepared.numerics
    yield threads["openmp"] != numerics.openmp
    # A receipt has what BLAS has taken: no more threads than cores, and where numerics are portable a notebook's own.
    yield numerics.name == "fast" and threads["blas"] not in (numerics.blas, min(numerics.blas, machine.cores()))
    yield any(_exists(workspace, label) for label in receipt.byproduct(statement, receipt.LACKED))
    yield any(not version or version != current for version, current in _warehouse_versions(prepared, statement))
    inputs = receipt.inputs(data_manifest.expanded(objects.local_store(workspace), statement))
    yield any(current_digest(prepared, label) != digest for label, digest in inputs.items())
    read = {**receipt.byproduct(statement, receipt.READ), **receipt.undeclared(statement)}
    yield any(origin.current_digest(workspace, name) != digest for name, digest in read.items())
    states = evidence.file_states(workspace, run / run_folder.RECEIPT, statement)
    yield bool(evidence.problems(states))
    # A partition is published from beside the receipt; other files may be in the store alone.
    yield any(name.endswith(f"/{dataset.PART}") and state != evidence.BESIDE for name, state in states.items())


@cache
def _environment(workspace: Workspace) -> str:
    return identity.of(workspace)["digest"]


def _exists(workspace: Workspace, text: str) -> bool:
    """Whether an input that a run lacked exists by now."""
    label = Label.parse(text)
    if label.kind is Kind.BUNDLE:
        return lookup.is_reference(workspace, label.name)
    return _partition(workspace, text).is_file()


def _partition(workspace: Workspace, label: str) -> Path:
    return workspace.data / label / dataset.PART


def _warehouse_versions(prepared: PreparedRun, statement: Json) -> Iterator[tuple[str, str]]:
    """For each warehouse that the run queried, its version then and its version now."""
    versions = receipt.byproduct(statement, receipt.READ_FROM)
    if versions:
        warehouse_name, current = warehouse.version(prepared.workspace, prepared.settings.warehouse)
        yield from ((version, current if name == warehouse_name else "") for name, version in versions.items())


def current_digest(prepared: PreparedRun, text: str) -> str:
    """The sha256 of the input with this label, as a run would read it today; "" where there is none."""
    workspace, label = prepared.workspace, Label.parse(text)
    match label.kind:
        case Kind.BUNDLE:
            return sha256(lookup.read(workspace, label.name).content())
        case Kind.SETTINGS:
            return sha256(settings.section_bytes(prepared.settings, label.name))
        case Kind.DAY:
            path = _partition(workspace, text)
            return sha256(path) if path.is_file() else ""
        case Kind.INPUT:
            return files.digest(workspace, prepared.path.parent, label.name)
        case Kind.ACKNOWLEDGED:
            return sha256(acknowledged.content(workspace, label.name))
        case Kind.FILE | Kind.SPAN:
            return _file_digest(prepared, text)


def _file_digest(prepared: PreparedRun, label: str) -> str:
    """The sha256 of a file of the workspace, of a promoted model, or of a run."""
    workspace = prepared.workspace
    # Earlier receipts have a file's name alone.
    given = [str(value) for value in prepared.values.values() if Path(str(value)).name == label]
    for path in (workspace.root / name for name in (label, *given)):
        if path.is_file():
            return sha256(path)
    parts = label.split("/")
    splits = (("/".join(parts[:index]), "/".join(parts[index:])) for index in range(1, len(parts)))
    digests = (_output_digest(workspace, source, name) for source, name in splits)
    return next(filter(None, digests), "")


def _output_digest(workspace: Workspace, source: str, name: str) -> str:
    """The sha256 of a file of a promoted model, a run, or a notebook's newest finished run; "" where there is none."""
    if lookup.is_reference(workspace, source):
        with suppress(UsageError, KeyError):  # the name of a branch may have a slash, and this be a part of it
            return lookup.read(workspace, source).outputs[name].sha256
        return ""
    run = workspace.runs / source
    runs = [run] if run.is_dir() else run_folder.finished_runs(workspace, source)
    paths = (folder / "outputs" / name for folder in runs)
    return next((sha256(path) for path in paths if path.is_file()), "")
