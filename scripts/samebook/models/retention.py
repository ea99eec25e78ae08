"""Retention of runs: those that models, experiments, published days and runs under way need, and their ancestors."""

import datetime
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from samebook.core.errors import SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.data import dataset
from samebook.environment import settings
from samebook.environment.model_sections import AbTest
from samebook.models import lookup, store_use
from samebook.models.bundle import Bundle
from samebook.records import data_manifest, inputs, receipt, run_folder
from samebook.records.receipt import Json
from samebook.store import objects

RUN = re.compile(rb"\d{8}T\d{6}Z-[^/\s\"\\]+?-[0-9a-f]{6}")


@dataclass(frozen=True)
class Facts:
    """The facts of a receipt that tell which runs must stay: who made its inputs, and the days that it has written."""

    makers: frozenset[str]
    days: tuple[datetime.date, ...]

    @classmethod
    def of(cls, workspace: Workspace, statement: Json) -> Self:
        """The facts of a receipt. Raises SamebookError where a list of its days is not whole."""
        whole = data_manifest.expanded(objects.local_store(workspace), statement)
        return cls(frozenset(receipt.makers(whole).values()), tuple(_days_written(statement)))


type Receipts = Mapping[str, Facts]


def check(workspace: Workspace) -> None:
    """Raise UsageError where the bundles of other branches or earlier commits are not here."""
    store_use.check_history(workspace)
    if os.environ.get("SAMEBOOK_COMMIT") and not (workspace.root / ".git").exists():
        raise UsageError(
            "this is a copy of a commit, without its repository: it does not know what other branches' models need",
            mend="make gc, in the checkout that has these runs",
        )


def receipts(workspace: Workspace, cache: Receipts) -> Receipts:
    """The facts of the receipt of each finished run, by the run's id; receipts in `cache` are not read again.

    Raises UsageError for a receipt that can't be read, because it may name any run.
    """
    paths = sorted(workspace.runs.glob(f"[0-9]*Z-*/{run_folder.RECEIPT}"))
    return {path.parent.name: cache.get(path.parent.name) or _facts(workspace, path) for path in paths}


def _facts(workspace: Workspace, path: Path) -> Facts:
    try:
        statement = receipt.read(path)
    except SamebookError as error:
        raise _unknown(error, "move that folder away") from None
    return _facts_of(workspace, statement)


def _facts_of(workspace: Workspace, statement: Json) -> Facts:
    try:
        return Facts.of(workspace, statement)
    except SamebookError as error:
        raise _unknown(error, "make pull") from None


def _unknown(error: SamebookError, mend: str) -> UsageError:
    return UsageError(f"{error}; no run is removed while it may name any", mend=mend)


def required_runs(workspace: Workspace, receipts: Receipts, today: datetime.date) -> dict[str, str]:
    """The reason why a run must stay, by the run's id."""
    experiments = [test for test in _experiments(workspace) if test.end >= today]
    variants = (bundle for test in experiments for bundle in _variants(workspace, test))
    reasons = {
        "being read": _read_by_running(workspace),
        "published": _published(workspace),
        "of an experiment": _writers(receipts, experiments),
        "of a model": _of_models(workspace, receipts, [*lookup.all_versions(workspace), *variants]),
    }
    return {run: reason for reason, runs in reasons.items() for run in sorted(runs)}


def ancestors(receipts: Receipts, runs: Iterable[str]) -> set[str]:
    """The runs that made the inputs of these runs, those that made the inputs of those, and so on."""
    reached, ahead = set[str](), set(runs)
    while ahead:
        makers = {maker for run in ahead if run in receipts for maker in receipts[run].makers}
        ahead = makers - reached
        reached |= makers
    return reached


def _experiments(workspace: Workspace) -> Iterator[AbTest]:
    for env in settings.names(workspace):
        if test := settings.load(workspace, env).ab_test:
            yield test


def _variants(workspace: Workspace, test: AbTest) -> Iterator[Bundle]:
    """The bundles of an experiment. A bundle whose branch isn't here names no run that is."""
    for reference in (test.champion, test.challenger):
        with suppress(UsageError):
            yield lookup.read(workspace, reference)


def _writers(receipts: Receipts, experiments: list[AbTest]) -> set[str]:
    """The runs that wrote a partition of a day of an experiment."""
    return {
        run for run, facts in receipts.items() if any(test.is_on(day) for test in experiments for day in facts.days)
    }


def _days_written(statement: Json) -> list[datetime.date]:
    days = (inputs.day_written(name) for name in receipt.subject_digests(statement))
    return [datetime.date.fromisoformat(day) for day in days if day]


def _of_models(workspace: Workspace, receipts: Receipts, bundles: Iterable[Bundle]) -> set[str]:
    """The runs that bundles name, and the makers of their inputs where their receipt is only in the store."""
    names = set[str]()
    for bundle in bundles:
        gate = bundle.promoted.gate
        runs = {bundle.receipt.run: bundle.receipt.sha256} | ({gate.run: gate.receipt} if gate else {})
        stored = (_stored(workspace, digest) for run, digest in runs.items() if run not in receipts)
        names |= {*runs, *(maker for facts in stored if facts for maker in facts.makers)}
    return names


def _stored(workspace: Workspace, digest: str) -> Facts | None:
    """The facts of a receipt from the store; None where it is missing or damaged, or another object.

    Raises UsageError where one of its lists of days is not whole: nobody knows which runs made them.
    """
    try:
        content = objects.local_store(workspace).get(digest)
        statement = receipt.parse(content, "a receipt") if content else None
    except SamebookError:
        return None
    return _facts_of(workspace, statement) if statement else None


def _published(workspace: Workspace) -> set[str]:
    """The runs whose partitions are published now."""
    origins = sorted(workspace.data.glob(f"*/day=*/{dataset.ORIGIN}"))
    try:
        return {json.loads(path.read_bytes())["run"] for path in origins}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"data/*/day=*/{dataset.ORIGIN}: one of {len(origins)} is not whole: {error}",
            mend="make pipeline FORCE=1 NAME=…, which publishes these days again",
        ) from None


def _read_by_running(workspace: Workspace) -> set[str]:
    """The runs whose ids stand in the notebooks and events of the runs under way, which read their outputs."""
    names = (run_folder.NOTEBOOK, run_folder.EVENTS)
    files = (run / name for run in (workspace.runs / ".partial").glob("*-*") for name in names)
    return {run.decode() for file in files if file.is_file() for run in RUN.findall(file.read_bytes())}
