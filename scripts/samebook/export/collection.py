"""The runs that an export is about: one run, or a promoted model with the gate's run and all runs behind both."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.models import lookup
from samebook.models.bundle import Bundle
from samebook.models.run_files import RunFiles
from samebook.records import data_manifest, receipt, run_folder
from samebook.store import objects
from samebook.store.objects import Store


@dataclass(frozen=True)
class Collection:
    """Runs, the first of which gave the result; `inputs` has the sha256 of each one's inputs, by name.

    `bundle` is that of a promoted model. `absent` are the ids of runs behind it whose receipts are not here.
    """

    runs: tuple[RunFiles, ...]
    inputs: dict[str, dict[str, str]]
    bundle: Bundle | None
    absent: tuple[str, ...] = ()


def collect(workspace: Workspace, name: str) -> Collection:
    """The runs of a model, `churn` or `churn@prod`, with all behind them; or the one run of an id, notebook or receipt.

    Raises UsageError where it names neither, or a receipt of the model is not here.
    """
    bundle = lookup.promoted(workspace, name)
    if bundle is None:
        run = RunFiles.read(workspace, run_folder.locate(workspace, name))
        return Collection((run,), {run.id: receipt.inputs(run.statement)}, None)
    runs: dict[str, RunFiles] = {}
    inputs: dict[str, dict[str, str]] = {}
    absent: set[str] = set()
    paths = list(_receipts(workspace, bundle))
    for path in paths:  # which grows
        run = RunFiles.read(workspace, path)
        if run.id in runs:
            continue
        runs[run.id] = run
        statement = _expanded(objects.local_store(workspace), run.statement)
        inputs[run.id] = receipt.inputs(statement)
        for maker in sorted(set(receipt.makers(statement).values())):
            path = workspace.runs / Path(maker).name / run_folder.RECEIPT
            if path.is_file() and RunFiles.read(workspace, path).id == maker:
                paths.append(path)
            else:
                absent.add(maker)
    return Collection(tuple(runs.values()), inputs, bundle, tuple(sorted(absent - runs.keys())))


def _receipts(workspace: Workspace, bundle: Bundle) -> Iterator[Path]:
    """The receipts that a bundle names: that of its run, and of the gate's."""
    yield lookup.stored_receipt(workspace, bundle.receipt.run, bundle.receipt.sha256, f"model {bundle.name}")
    if gate := bundle.promoted.gate:
        yield lookup.stored_receipt(workspace, gate.run, gate.receipt, f"the gate of {bundle.name}")


def _expanded(store: Store, statement: receipt.Json) -> receipt.Json:
    """The receipt with an input for each day, where their list is here."""
    with suppress(UsageError):
        return data_manifest.expanded(store, statement, lambda _: None)
    return statement
