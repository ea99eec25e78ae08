"""The plan of an adoption: the notebook as it will be, what comes with it, and all of it as text for a person."""

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from samebook.adoption import data_files, downloads, expected, foreign, imports, mentions, printed, requirements
from samebook.adoption.code import cells, constants, defaults, lines, python2, renames, seeds, written
from samebook.adoption.code.cells import Note
from samebook.adoption.code.renames import Change
from samebook.adoption.data_files import Copy
from samebook.adoption.downloads import Download
from samebook.adoption.foreign import Cell
from samebook.adoption.imports import Imports
from samebook.environment.input_entries import FILE, Entry
from samebook.records.canonical import RAISES
from samebook.reproduction import causes

PARAMETERS = "parameters"


@dataclass(frozen=True)
class Plan:
    """What an adoption does. `changes` are of old code, made where `is_mended`; `notes` are for a person to judge."""

    name: str
    source: str
    before: list[Cell]
    after: list[Cell]
    imports: Imports
    copies: tuple[Copy, ...]
    downloads: tuple[Download, ...]
    notes: tuple[Note, ...]
    changes: tuple[Change, ...]
    is_mended: bool

    @property
    def texts(self) -> list[str]:
        """The code cells of the new notebook."""
        return [cell.text for cell in self.after if cell.kind == foreign.CODE]

    @property
    def unmended(self) -> list[Change]:
        """The changes of old code that are not made."""
        return [change for change in self.changes if not (self.is_mended and change.edits)]

    @property
    def expected(self) -> dict[str, str]:
        """The cells of the new notebook that are expected to fail, by name, each with its error."""
        return expected.errors(self.after)

    @property
    def content(self) -> bytes:
        """The file of the new notebook, whose metadata list every change of old code."""
        changes = [
            {"cell": change.cell, "line": change.line, "rule": change.rule.old, "source": change.rule.source}
            for change in self.changes
            if change not in self.unmended
        ]
        record: dict[str, Any] = {"source": self.source, "changes": changes}
        return foreign.content(self.after, record)

    def module(self, file: Path) -> bytes:
        """The content of a module's file that comes along: its old code is changed where that of the notebook is."""
        content = file.read_bytes()
        with suppress(UnicodeDecodeError):
            if file.suffix == ".py" and self.is_mended:
                (text,), _ = python2.mended([content.decode()], is_python2=False)
                (mended,), _ = renames.mend([text])
                return mended.encode()
        return content


@dataclass(frozen=True)
class Source:
    """A foreign notebook's file, the folder that its data may come from, and the data given with it."""

    path: Path
    limit: Path
    data: Sequence[Path] = ()


@dataclass(frozen=True)
class Project:
    """The project that adopts: its folder `notebooks/`, the packages of its lock, and its environments/inputs.yml."""

    notebooks: Path
    lock: Mapping[str, str]
    entries: Mapping[str, Entry]


def plan(source: Source, name: str, project: Project, *, mend: bool) -> Plan:
    """The plan for a notebook that becomes `<name>.ipynb` of a project. Raises UsageError."""
    path = source.path
    before = foreign.read(path)
    original = [cell.text for cell in before if cell.kind == foreign.CODE]
    current, modern = python2.mended(original, is_python2=foreign.is_python2(path))
    if not mend and modern and all(map(cells.can_be_read, current)):
        foreign.check_syntax(original, "again, with MEND=1, which makes Python 3 of Python 2")
    current, modern = (current, modern) if mend else (original, [])
    foreign.check_syntax(current)
    texts, notes = lines.mended(current)
    texts, rewritten = written.outputs(texts, path.parent)
    beside = data_files.Beside(path.parent, source.limit, data_files.given(source.data), _named(source))
    brought = downloads.plan(texts, beside, project.notebooks, project.entries)
    files = data_files.plan(brought.texts, beside, project.notebooks, brought.copies)
    texts, changes = renames.mend(files.texts) if mend else (files.texts, renames.find(files.texts))
    texts, defaulted = defaults.mended(texts) if mend else (texts, [])
    texts, seeded = seeds.mended(texts) if mend else (texts, [])
    changes = [*modern, *changes, *defaulted, *seeded]
    asked = requirements.of(path.parent, original)
    shown = printed.versions(current, [cell.printed for cell in before if cell.kind == foreign.CODE])
    found = imports.find(texts, (path.parent, source.limit), project.lock, asked, shown)
    copies = [*files.copies]
    copies += mentions.copies(original, found.helpers, beside, project.notebooks, copies)
    tagged = any(PARAMETERS in cell.tags for cell in before)
    lifted = constants.Constants("", texts) if tagged else constants.lift(texts)
    after = _cells(before, lifted)
    everything = (
        *notes,
        *rewritten,
        *brought.notes,
        *files.notes,
        *_unread(source, copies),
        *_suspects(texts, has_seeds=bool(seeded)),
    )
    return Plan(
        name, path.name, before, after, found, tuple(copies), brought.downloads, everything, tuple(changes), mend
    )


def _named(source: Source) -> list[Path]:
    return [path for path in source.data if path.is_file()]


def _unread(source: Source, copies: Sequence[Copy]) -> Iterator[Note]:
    """A note for each folder among DATA of which nothing comes along."""
    for folder in filter(Path.is_dir, source.data):
        if not any(copy.source.resolve().is_relative_to(folder.resolve()) for copy in copies):
            text = f"nothing of DATA {folder} comes along: the code reads no file of it by its name"
            yield Note(0, text, "name the file itself as DATA: it comes along whatever the code says")


def _cells(before: Sequence[Cell], lifted: constants.Constants) -> list[Cell]:
    """The notebook with its new code, without cells that are empty now, and with the parameters before all code."""
    texts = iter(lifted.texts)
    after = [replace(_tagged(cell), text=next(texts)) if cell.kind == foreign.CODE else cell for cell in before]
    after = [new for old, new in zip(before, after, strict=True) if new.text.strip() or not old.text.strip()]
    if not lifted.source:
        return after
    first = next((number for number, cell in enumerate(after) if cell.kind == foreign.CODE), len(after))
    parameters = Cell(foreign.CODE, lifted.source, {"tags": [PARAMETERS]}, {})
    return [*after[:first], parameters, *after[first:]]


def _tagged(cell: Cell) -> Cell:
    """The cell, with the tag that lets it fail where its saved output is an error."""
    if not cell.error or RAISES in cell.tags:
        return cell
    return replace(cell, metadata={**cell.metadata, "tags": [*cell.tags, RAISES]})


def _suspects(texts: Sequence[str], *, has_seeds: bool) -> Iterator[Note]:
    """Where runs may differ from each other, and how to mend it; numbers are the runner's own affair.

    Where the code has been given its seeds, what draws without one of its own draws from those.
    """
    settled = ("network", causes.THREADS.name, *([causes.UNSEEDED] if has_seeds else []))
    sources = [causes.Source(number, "", text) for number, text in enumerate(texts, start=1)]
    for suspect in causes.suspects(sources):
        if not suspect.cause.numeric and suspect.cause.name not in settled:
            yield Note(suspect.cell.number, f"{suspect.cause.name}: {suspect.text}", suspect.cause.fix)


def text(plan: Plan) -> str:
    """The plan for a person: files, packages, changed cells, and what may go wrong."""
    return "\n".join((*_files(plan), *_packages(plan), *_differences(plan), *_old_code(plan), *_notes(plan)))


def _files(plan: Plan) -> Iterator[str]:
    count = "1 cell" if len(plan.after) == 1 else f"{len(plan.after)} cells"
    yield f"notebooks/{plan.name}.ipynb, from {plan.source}: {count}, without outputs"
    for copy in plan.copies:
        yield f"{copy.target}, from {copy.source}{'' if copy.target.startswith('data/') else ', for git'}"
    for download in plan.downloads:
        yield f"{FILE}: {download.name}, which code cell {download.cell} reads from {download.url}"
    for helper in plan.imports.helpers:
        is_changed = any(plan.module(file) != file.read_bytes() for file in helper.files)
        changed = ", its old code changed" if is_changed else ""
        yield f"notebooks/{helper.path.name}, a module, from {helper.path}{changed}"


def _packages(plan: Plan) -> Iterator[str]:
    if plan.imports.wanted:
        yield f"packages to add: {' '.join(plan.imports.wanted)}"
    yield from (f"  {note}" for note in plan.imports.notes)


def _differences(plan: Plan) -> Iterator[str]:
    """The difference of all code, cell by cell."""
    old, new = (
        [line for cell in cells if cell.kind == foreign.CODE for line in (*cell.text.splitlines(), "")]
        for cells in (plan.before, plan.after)
    )
    difference = list(difflib.unified_diff(old, new, "its code", "the code here", n=1, lineterm=""))
    if difference:
        yield from ("", "code:", *(f"  {line}" for line in difference), "")


def _old_code(plan: Plan) -> Iterator[str]:
    """Each place of old code that is not mended, with its rule; once, where two rules say the same of it."""
    lines = (
        f"old code in code cell {change.cell}: {change.line}\n"
        f"  fix: {change.rule.advice or 'changed with MEND=1'} ({change.rule.source})"
        for change in plan.unmended
    )
    yield from dict.fromkeys(lines)


def _notes(plan: Plan) -> Iterator[str]:
    yield from filter(None, [expected.summary(plan.expected)])
    for note in plan.notes:
        yield f"code cell {note.cell}: {note.text}" if note.cell else note.text
        if note.fix:
            yield f"  fix: {note.fix}"


def name_of(path: Path) -> str:
    """The name that a foreign notebook gets: letters, digits and single hyphens, which make and run ids can hold."""
    plain = unicodedata.normalize("NFKD", path.stem).encode("ascii", "ignore").decode()
    return re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9_-]+", "_", plain)).strip("-_.") or "notebook"
