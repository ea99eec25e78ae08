"""The data of one run: its row in the table of runs, and what its page shows.

Nothing of a file is shown that the receipt's hash does not hold for. A run whose receipt can't be read, or beside which
a file is not what its receipt says, is damaged: its reason is shown, and no result.
"""

import datetime
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from samebook.core.digest import parse_json, sha256
from samebook.core.errors import NotReproduced, SamebookError
from samebook.core.text import word
from samebook.core.workspace import Workspace
from samebook.data import dataset
from samebook.records import attestations, data_manifest, evidence, receipt, run_folder, signing, summary
from samebook.records.inputs import Kind, Label
from samebook.records.receipt import Json
from samebook.records.signing import Purpose, SignedFile, TrustedKey
from samebook.records.summary import Run
from samebook.report import cells, plots, row
from samebook.report.javascript import script
from samebook.store.objects import Store

# Files up to this size are hashed while the report is built; of larger ones it says that nobody has read them.
SMALL = 4 << 20
UNREAD, HOLDS = "not read here: make verify", ""
DRIFT, EXPERIMENT = "outputs/drift.json", "outputs/verdict.json"
# What reading a receipt may raise that the schema lets through: it ignores the fields that nothing relies on.
BROKEN = (SamebookError, ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError)


@dataclass(frozen=True)
class Source:
    """The place of the runs, and what their files are checked against: the store, and the trusted keys."""

    workspace: Workspace
    store: Store
    keys: Mapping[str, TrustedKey]


@dataclass(frozen=True)
class RunData:
    """The row of a run, the data of its page, its other files by their path in the site, and its own results on
    drift and on an experiment, None where it has none.
    """

    row: Json
    detail: Json
    files: dict[str, bytes] = field(default_factory=dict)
    drift: Json | None = None
    experiment: Json | None = None


def read(source: Source, folder: Path, *, has_plots: bool, present: Collection[str] = ()) -> RunData:
    """The data of the run in a folder of runs/; a damaged one has its reason, and no result.

    Files of the site that are `present` are named, and not made again.
    """
    if not (folder / run_folder.RECEIPT).is_file():
        run = summary.summarize(folder)
        error = folder / run_folder.ERROR
        is_own = error.is_file() and not error.is_symlink()
        return _without_result(run, error.read_text(errors="replace")[:SMALL] if is_own else run.error)
    try:
        return _Reader(source, folder, present).read(has_plots=has_plots)
    except BROKEN as error:
        return damaged(folder, _reason(error))


def damaged(folder: Path, reason: str) -> RunData:
    """The data of a run of which nobody can say what it is."""
    name = run_folder.notebook_name(folder.name)
    return _without_result(Run(folder.name, name, "damaged", "", None, {}, {}, reason), reason)


def _without_result(run: Run, error: str) -> RunData:
    short = row.of(run, row.start(run.id))
    return RunData(short, {**short, "error": error})


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, SamebookError) else f"its receipt can't be read: {error!r}"


class _Reader:
    """The reader of one finished run."""

    def __init__(self, source: Source, folder: Path, present: Collection[str]) -> None:
        self.source, self.folder, self.present = source, folder, present
        self.path = folder / run_folder.RECEIPT
        self.statement = receipt.read(self.path)
        self.run = summary.of_receipt(folder, self.statement)
        self.definition = self.statement["predicate"]["buildDefinition"]
        self.details = self.statement["predicate"]["runDetails"]
        self.digests = receipt.file_digests(self.statement)

    def read(self, *, has_plots: bool) -> RunData:
        """The run's data. Raises NotReproduced where a file is not what the receipt says."""
        if (name := self.details["metadata"]["invocationId"]) != self.folder.name:
            raise self._altered(f"its receipt is that of another run, {name}")
        shown = (*receipt.subject_digests(self.statement), *({run_folder.PAGE} & self.digests.keys()))
        states = {name: self._state(name, self.digests[name]) for name in shown}
        if altered := evidence.alterations(
            {name: state for name, state in states.items() if state not in ("", UNREAD)}
        ):
            raise self._altered(f"not what its receipt says: {'; '.join(altered)}")
        if not all(isinstance(value, int | float) for value in self.run.metrics.values()):
            raise self._altered(f"{run_folder.METRICS} has a metric that is not a number")
        canonical = self._content(run_folder.CANONICAL)
        environment = receipt.dependency(self.statement, receipt.ENVIRONMENT) or {}
        files = self._environment(environment)
        if canonical is not None:
            digest = self.digests[run_folder.CANONICAL]
            files[f"data/cells/{digest}.js"] = script(f"cells/{digest}", cells.cells(parse_json(canonical)))
        images = self._plots() if has_plots else {}
        files |= {image.file: image.content for image in images.values()}
        short = self._row(environment)
        detail = {
            **short,
            **self._facts(),
            "parameters": self.run.parameters,
            "cells": "" if canonical is None else self.digests[run_folder.CANONICAL],
            "plots": [[name, image.file] for name, image in images.items()],
            "subjects": [
                [name, digest, states[name]] for name, digest in receipt.subject_digests(self.statement).items()
            ],
            "reproductions": self.reproductions,
        }
        return RunData(short, detail, files, self._json(DRIFT), self._json(EXPERIMENT))

    def _altered(self, message: str) -> NotReproduced:
        return NotReproduced(message, mend=f"make verify RUN={word(self.folder.name)}")

    def _state(self, name: str, digest: str) -> str:
        """The state of a file: "" where its bytes were read, and the hash holds."""
        path = self.folder / name
        if path.is_file() and path.stat().st_size > SMALL:
            return UNREAD
        if not path.is_file():
            return evidence.STORED if self.source.store.path(digest).is_file() else evidence.ABSENT
        state = evidence.file_state(self.source.workspace, self.folder, name, digest)
        return HOLDS if state == evidence.BESIDE else state

    def _content(self, name: str) -> bytes | None:
        """The bytes of a file that the receipt names; None where it does not, or the file is not here, or large."""
        path = self.folder / name
        if name not in self.digests or not path.is_file() or path.stat().st_size > SMALL:
            return None
        content = path.read_bytes()
        if sha256(content) != self.digests[name]:
            raise self._altered(f"not what its receipt says: {name}")
        return content

    def _json(self, name: str) -> Json | None:
        content = self._content(name)
        value = None if content is None else parse_json(content)
        return value if isinstance(value, dict) else None

    def _plots(self) -> dict[str, plots.Image]:
        notebook = self._content(run_folder.NOTEBOOK)
        found = plots.of_notebook(parse_json(notebook)) if notebook else {}
        names = [name for name in self.digests if name.endswith(plots.SUFFIXES)]
        files = {name: image for name in names if (image := plots.image(self._content(name)))}
        return dict(list({**found, **files}.items())[: plots.MOST])

    def _environment(self, environment: Json) -> dict[str, bytes]:
        if not (digest := environment.get("digest", {}).get("sha256")):
            return {}
        if (path := f"data/environments/{digest}.js") in self.present:
            return {path: b""}
        notes = environment.get("annotations", {})
        packages = {name: version.partition(" ")[0] for name, version in notes.get("packages", {}).items()}
        value = {"python": row.text(notes.get("python")), "packages": packages}
        return {path: script(f"environments/{digest}", value)}

    def _row(self, environment: Json) -> Json:
        commit = receipt.dependency(self.statement, receipt.COMMIT) or {}
        return row.of(
            self.run,
            datetime.datetime.fromisoformat(self.details["metadata"]["startedOn"]).timestamp(),
            env=receipt.external_parameters(self.statement)["env"],
            commit=receipt.commit_name(self.statement),
            dirty=bool(commit.get("annotations", {}).get("dirty")),
            environment=environment.get("digest", {}).get("sha256", ""),
            verdicts=sorted({item["verdict"] for item in self.reproductions}),
            makers=[row.text(maker) for maker in sorted(self.made_by) if maker],
        )

    def _facts(self) -> Json:
        internal, metadata = self.definition.get("internalParameters", {}), self.details["metadata"]
        threads = internal.get("threads", "")
        processor = internal.get("processor", {})
        return {
            "started": metadata["startedOn"],
            "finished": metadata["finishedOn"],
            "builder": row.text(self.details.get("builder", {}).get("id")),
            "platform": row.text(internal.get("platform")),
            "processor": row.text(processor.get("model")) if isinstance(processor, dict) else "",
            "numerics": row.text(internal.get("numerics")),
            "threads": [f"{name} {count}" for name, count in threads.items()] if isinstance(threads, dict) else [],
            "lock": (receipt.dependency(self.statement, receipt.LOCK) or {}).get("digest", {}).get("sha256", ""),
            "inputs": [list(item) for item in self._inputs()],
            "undeclared": [[name, digest] for name, digest in receipt.undeclared(self.statement).items()],
            "signature": self._signature(self.path, Purpose.RUNS),
            "folder": self.folder.name if (self.folder / run_folder.PAGE).is_file() else "",
        }

    @cached_property
    def made_by(self) -> dict[str, dict[str, str]]:
        """The sha256 of each input by its name, by the run that made it: its id, "" for unknown."""
        expanded = data_manifest.expanded(self.source.store, self.statement, lambda _: None)
        makers, by_maker = receipt.makers(expanded), dict[str, dict[str, str]]()
        for name, digest in receipt.inputs(expanded).items():
            by_maker.setdefault(makers.get(name, ""), {})[name] = digest
        return by_maker

    def _inputs(self) -> Iterator[tuple[str, str, int, str, str]]:
        """The inputs as rows of name, sha256, number of days, the run that made it, and what is wrong with it."""
        for maker, digests in sorted(self.made_by.items()):
            for group in dataset.groups(digests):
                label = Label.parse(group[0])
                lost = "the list of these days is not in the store: make pull" if label.kind is Kind.SPAN else ""
                name = group[0] if len(group) == 1 else f"{group[0]}..{Label.parse(group[-1]).day}"
                yield name, "" if len(group) > 1 else digests[group[0]], len(group), row.text(maker), lost

    @cached_property
    def reproductions(self) -> list[Json]:
        """The attestations beside the receipt: their facts, the verdict on each subject, and who signed them."""
        found = []
        for path, attestation in attestations.beside(self.path):
            verdicts = attestation["predicate"]["verdicts"].items()
            subjects = [[name, item["verdict"], row.text(item.get("detail"))[: row.SHOWN]] for name, item in verdicts]
            signature = self._signature(path, Purpose.REPRODUCTIONS)
            found.append({**attestations.facts(attestation), "signature": signature, "subjects": subjects})
        return found

    def _signature(self, path: Path, purpose: Purpose) -> list[Any]:
        """The names of the trusted keys that have signed a statement, and what is wrong with its signature."""
        file = SignedFile.read(path)
        if file.envelope is None:
            return [[], "not signed"]
        try:
            keys = signing.verify(file, self.source.keys, purpose)
        except SamebookError as error:
            return [[], str(error)]
        return [[key.name if key.name == key.owner else f"{key.name} of {key.owner}" for key in keys], ""]
