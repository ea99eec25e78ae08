"""Export a run, or a promoted model with all runs behind it, as a research object that stands by itself."""

from dataclasses import dataclass
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.workspace import Workspace
from samebook.export import collection
from samebook.export.crate import crate

FORMS = ("ro-crate",)
FOLDER = "dist"


@dataclass(frozen=True)
class ExportRequest:
    """The run or model, the file to write ("" for one in dist/), and whether days of datasets go along."""

    name: str
    into: Path | None = None
    with_data: bool = True


@dataclass(frozen=True)
class Export:
    """The file that was written, the number of its runs and files, and the runs whose receipts are not here."""

    path: Path
    runs: int
    files: int
    absent: tuple[str, ...]


def export(workspace: Workspace, request: ExportRequest) -> Export:
    """Write the zip of an RO-Crate. Raises UsageError for what is not here, NotReproduced for damaged files."""
    collected = collection.collect(workspace, request.name)
    subject = collected.bundle.name if collected.bundle else collected.runs[0].id
    path = request.into or workspace.root / FOLDER / f"{subject}.crate.zip"
    made = crate(workspace, collected, with_data=request.with_data)
    made.write(path)
    return Export(path, len(collected.runs), len(made.parts), collected.absent)


def table(export: Export) -> str:
    """The result as text: the file, what it holds, and its sha256."""
    lines = [f"{export.path}  {export.runs} runs, {export.files} files  sha256 {sha256(export.path)}"]
    lines += [f"not here: the receipt of {run}" for run in export.absent]
    return "\n".join(lines)
