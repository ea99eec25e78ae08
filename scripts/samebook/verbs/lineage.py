"""Where a result comes from: the run that made it, what it read, the runs that made that, and so on.

All of it is in receipts. The commit, the lock, the environment and what was read are a receipt's resolved
dependencies; which run made an input is in its byproduct `made by`.
"""

import datetime
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.data import dataset
from samebook.records import diagram, inputs, receipt, run_folder
from samebook.records.diagram import Box
from samebook.records.inputs import Kind, Label

SHORT = 12
SHOWN = 60


@dataclass(frozen=True)
class Input:
    """Something that a run read: sha256 by name. `made_by` is the run that made it, None where that isn't known.

    `note` says what is wrong with it, and is empty for nothing.
    """

    digests: dict[str, str]
    made_by: "Run | None"
    note: str = ""


@dataclass(frozen=True)
class Run:
    """A run as its receipt tells of it; of one whose receipt is not here, only the id is known."""

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
    """The tree behind a run: its id, the file of a receipt, or a notebook's name for its newest finished run.

    Raises UsageError for a receipt on the way that can't be read.
    """
    return _told(workspace, receipt.read(run_folder.locate(workspace, name)), ())


def _told(workspace: Workspace, statement: receipt.Json, above: tuple[str, ...]) -> Run:
    name = statement["predicate"]["runDetails"]["metadata"]["invocationId"]
    if name in above:
        raise UsageError(f"the receipt of {name} says that the run read what came of it: it was edited by hand")
    external = receipt.external_parameters(statement)
    commit = receipt.dependency(statement, receipt.COMMIT) or {}
    return Run(
        id=name,
        notebook=external["notebook"],
        parameters=external["parameters"],
        commit=commit.get("digest", {}).get("gitCommit", ""),
        dirty=commit.get("annotations", {}).get("dirty", False),
        lock=_digest(statement, "environments/runtime.txt"),
        environment=_digest(statement, receipt.ENVIRONMENT),
        inputs=(*_inputs(workspace, statement, (*above, name)), *_undeclared(statement)),
    )


def _digest(statement: receipt.Json, name: str) -> str:
    return (receipt.dependency(statement, name) or {}).get("digest", {}).get("sha256", "")


def _inputs(workspace: Workspace, statement: receipt.Json, above: tuple[str, ...]) -> Iterator[Input]:
    """The declared inputs, those of a dataset and a maker together."""
    digests, makers = receipt.inputs(statement), receipt.makers(statement)
    for maker in sorted({makers.get(name, "") for name in digests}):
        names = [name for name in digests if makers.get(name, "") == maker]
        path = workspace.runs / Path(maker).name / run_folder.RECEIPT
        made = receipt.read(path) if maker and path.is_file() else None
        run = _told(workspace, made, above) if made else Run(maker) if maker else None
        results = set(receipt.subject_digests(made).values()) if made else set(digests.values())
        for group in _grouped(names):
            found = {name: digests[name] for name in group}
            yield Input(found, run, "" if results.issuperset(found.values()) else "not what that run made")


def _grouped(names: list[str]) -> Iterator[list[str]]:
    """The partitions of a dataset without a gap together, everything else alone."""
    days: dict[str, list[datetime.date]] = {}
    for name in sorted(names):
        label = Label.parse(name)
        if label.kind is Kind.DAY:
            days.setdefault(label.name, []).append(datetime.date.fromisoformat(label.day))
        else:
            yield [name]
    for name, found in days.items():
        for start, end in dataset.ranges(found):
            yield [inputs.day(name, day) for day in found if start <= day <= end]


def _undeclared(statement: receipt.Json) -> Iterator[Input]:
    for each in receipt.dependencies(statement):
        if each.get("annotations", {}).get("undeclared"):
            yield Input({each["name"]: each["digest"]["sha256"]}, None, "undeclared: read around the API")


def text(found: Run) -> str:
    """The tree as text."""
    return diagram.text(_run(found, set()))


def mermaid(found: Run) -> str:
    """The tree as a Mermaid flowchart."""
    return diagram.mermaid(_run(found, set()))


def _run(run: Run, shown: set[str]) -> Box:
    """A run, and what it read; a run that was shown before, without."""
    if not run.notebook:
        return Box(diagram.RUN, run.id, warnings=("its receipt is not here",))
    if run.id in shown:
        return Box(diagram.RUN, run.id, ("as above",))
    shown.add(run.id)
    given = ", ".join(f"{name}={value}" for name, value in (run.parameters or {}).items())
    names = {"commit": run.commit, "lock": run.lock, "environment": run.environment}
    facts = [f"{name} {digest[:SHORT]}" for name, digest in names.items() if digest]
    warnings = ("made on uncommitted changes",) if run.dirty else () if run.commit else ("made outside a repository",)
    lines = tuple(line for line in (_cut(given), *facts[:1], " · ".join(facts[1:])) if line)
    return Box(diagram.RUN, run.id, lines, warnings, tuple(_input(each, shown) for each in run.inputs))


def _input(found: Input, shown: set[str]) -> Box:
    first, *more = found.digests
    title = f"{first} … {more[-1].rpartition('=')[2]} ({len(found.digests)} days)" if more else first
    lines = () if more else (f"sha256 {found.digests[first][:SHORT]}",)
    warnings = (found.note,) if found.note else () if found.made_by else ("made by no run that is known",)
    kind = "undeclared" if found.note else "input"
    return Box(kind, title, lines, warnings, (_run(found.made_by, shown),) if found.made_by else ())


def _cut(line: str) -> str:
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
