"""Show where a result comes from: the run that made it, its inputs, the runs that made those, and so on.

Receipts hold all of it: the commit, the lock, the environment and the inputs are a receipt's resolved dependencies,
and its byproduct `made by` names the run that made each input.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.data import dataset
from samebook.records import data_manifest, diagram, receipt, run_folder
from samebook.records.diagram import Box
from samebook.records.inputs import Kind, Label
from samebook.store import objects

SHORT = 12
SHOWN = 60


@dataclass(frozen=True)
class Input:
    """An input of a run, or several days of a dataset: sha256 by name, and the run that made it, None if unknown.

    `note` names the input's fault; it is empty where there is none.
    """

    digests: dict[str, str]
    made_by: "Run | None"
    note: str = ""


@dataclass(frozen=True)
class Run:
    """A run by its receipt; only `id` is set where the receipt is not in runs/."""

    id: str
    notebook: str = ""
    parameters: dict[str, Any] | None = None
    commit: str = ""
    dirty: bool = False
    lock: str = ""
    environment: str = ""
    inputs: tuple[Input, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def lineage(workspace: Workspace, name: str) -> Run:
    """The tree of runs and inputs behind a run.

    `name` is a run's id, the file of a receipt, or a notebook's name for its newest finished run. Raises UsageError for
    a receipt in the tree that can't be read.
    """
    return _tree(workspace, receipt.read(run_folder.locate(workspace, name)), ())


def _tree(workspace: Workspace, statement: receipt.Json, above: tuple[str, ...]) -> Run:
    statement = data_manifest.expanded(objects.local_store(workspace), statement, lambda _: None)
    name = statement["predicate"]["runDetails"]["metadata"]["invocationId"]
    if name in above:
        raise UsageError(
            f"the receipt of {name} says that the run read its own result: it was edited by hand", mend="make pull"
        )
    external = receipt.external_parameters(statement)
    commit = receipt.dependency(statement, receipt.COMMIT) or {}
    return Run(
        id=name,
        notebook=external["notebook"],
        parameters=external["parameters"],
        commit=commit.get("digest", {}).get("gitCommit", ""),
        dirty=commit.get("annotations", {}).get("dirty", False),
        lock=_digest(statement, receipt.LOCK),
        environment=_digest(statement, receipt.ENVIRONMENT),
        inputs=(*_inputs(workspace, statement, (*above, name)), *_undeclared(statement)),
    )


def _digest(statement: receipt.Json, name: str) -> str:
    return (receipt.dependency(statement, name) or {}).get("digest", {}).get("sha256", "")


def _inputs(workspace: Workspace, statement: receipt.Json, above: tuple[str, ...]) -> Iterator[Input]:
    """The declared inputs; the days of a dataset that one run made are one input."""
    digests, makers = receipt.inputs(statement), receipt.makers(statement)
    for maker in sorted({makers.get(name, "") for name in digests}):
        names = [name for name in digests if makers.get(name, "") == maker]
        path = workspace.runs / Path(maker).name / run_folder.RECEIPT
        maker_statement = receipt.read(path) if maker and path.is_file() else None
        run = _tree(workspace, maker_statement, above) if maker_statement else Run(maker) if maker else None
        results = set(receipt.subject_digests(maker_statement).values()) if maker_statement else set(digests.values())
        for group in dataset.groups(names):
            selected = {name: digests[name] for name in group}
            yield Input(selected, run, _note(group[0], results.issuperset(selected.values())))


def _note(name: str, is_made: bool) -> str:
    if Label.parse(name).kind is Kind.SPAN:
        return "the list of these days is not in the store, or is damaged: make pull"
    return "" if is_made else "not what that run made"


def _undeclared(statement: receipt.Json) -> Iterator[Input]:
    for dependency in receipt.dependencies(statement):
        if dependency.get("annotations", {}).get("undeclared"):
            yield Input({dependency["name"]: dependency["digest"]["sha256"]}, None, "undeclared: read around the API")


def text(run: Run) -> str:
    """The tree as text."""
    return diagram.text(_run_box(run, set()))


def mermaid(run: Run) -> str:
    """The tree as a Mermaid flowchart."""
    return diagram.mermaid(_run_box(run, set()))


def _run_box(run: Run, ids: set[str]) -> Box:
    """The box of a run with its inputs, which are left out where the tree has the run already (`ids`)."""
    if not run.notebook:
        return Box(diagram.RUN, run.id, warnings=("its receipt is not here",))
    if run.id in ids:
        return Box(diagram.RUN, run.id, ("as above",))
    ids.add(run.id)
    parameters = ", ".join(f"{name}={value}" for name, value in (run.parameters or {}).items())
    names = {"commit": run.commit, "lock": run.lock, "environment": run.environment}
    facts = [f"{name} {digest[:SHORT]}" for name, digest in names.items() if digest]
    warnings = ("made on uncommitted changes",) if run.dirty else () if run.commit else ("made outside a repository",)
    lines = tuple(line for line in (_cut(parameters), *facts[:1], " · ".join(facts[1:])) if line)
    return Box(diagram.RUN, run.id, lines, warnings, tuple(_input_box(run_input, ids) for run_input in run.inputs))


def _input_box(run_input: Input, ids: set[str]) -> Box:
    digests, maker, note = run_input.digests, run_input.made_by, run_input.note
    first, *more = digests
    title = f"{first} … {more[-1].rpartition('=')[2]} ({len(digests)} days)" if more else first
    lines = () if more else (f"sha256 {digests[first][:SHORT]}",)
    warnings = (note,) if note else () if maker else ("made by no run that is known",)
    return Box("undeclared" if note else "input", title, lines, warnings, (_run_box(maker, ids),) if maker else ())


def _cut(line: str) -> str:
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
