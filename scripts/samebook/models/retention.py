"""Which runs must stay, and why: those that models, experiments, published days and running runs need, and theirs."""

import datetime
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from samebook.core.errors import SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.data import dataset
from samebook.environment import settings
from samebook.environment.model_sections import AbTest
from samebook.models import lookup, store_use
from samebook.models.bundle import Bundle
from samebook.records import inputs, receipt, run_folder
from samebook.records.receipt import Json
from samebook.store import objects

RUN = re.compile(rb"\d{8}T\d{6}Z-[^/\s\"\\]+?-[0-9a-f]{6}")

type Receipts = Mapping[str, Json]


def check(workspace: Workspace) -> None:
    """Raise UsageError where it can't be known what other branches' models need."""
    store_use.check_history(workspace)
    if os.environ.get("SAMEBOOK_COMMIT") and not (workspace.root / ".git").exists():
        raise UsageError(
            "this is a copy of a commit, without its repository: it does not know what other branches' models need",
            mend="make gc, in a checkout that has these runs",
        )


def receipts(workspace: Workspace, known: Receipts) -> Receipts:
    """The receipt of each finished run, by its id; those that are `known` are not read again.

    Raises UsageError for one that can't be read: it may name any run.
    """
    paths = sorted(workspace.runs.glob(f"[0-9]*Z-*/{run_folder.RECEIPT}"))
    try:
        return {path.parent.name: known.get(path.parent.name) or receipt.read(path) for path in paths}
    except UsageError as error:
        raise UsageError(f"{error}; no run is removed while it may name any", mend="move that folder away") from None


def required_runs(workspace: Workspace, found: Receipts, today: datetime.date) -> dict[str, str]:
    """The runs that something needs, by id, and what needs them."""
    experiments = [each for each in _experiments(workspace) if each.end >= today]
    variants = (each for test in experiments for each in _variants(workspace, test))
    reasons = {
        "being read": _read_by_running(workspace),
        "published": _published(workspace),
        "of an experiment": _days_of(found, experiments),
        "of a model": _of_models(workspace, found, [*lookup.all_versions(workspace), *variants]),
    }
    return {run: reason for reason, runs in reasons.items() for run in sorted(runs)}


def ancestors(found: Receipts, runs: Iterable[str]) -> set[str]:
    """The runs that made what these have read, those that made what those have read, and so on."""
    reached, ahead = set[str](), set(runs)
    while ahead:
        made = {maker for run in ahead if run in found for maker in receipt.makers(found[run]).values()}
        ahead = made - reached
        reached |= made
    return reached


def _experiments(workspace: Workspace) -> Iterator[AbTest]:
    for path in sorted(workspace.environments.glob("*.yml")):
        if test := settings.load(workspace, path.stem).ab_test:
            yield test


def _variants(workspace: Workspace, test: AbTest) -> Iterator[Bundle]:
    """The bundles of an experiment. One that isn't here, as its branch isn't, names no run of here."""
    for reference in (test.champion, test.challenger):
        with suppress(UsageError):
            yield lookup.read(workspace, reference)


def _days_of(found: Receipts, experiments: list[AbTest]) -> set[str]:
    """The runs that wrote a day of an experiment: its scores, and whatever else."""
    written = {run: [inputs.day_written(name) for name in receipt.subject_digests(told)] for run, told in found.items()}
    days = {run: [datetime.date.fromisoformat(each) for each in names if each] for run, names in written.items()}
    return {run for run in days if any(test.is_on(day) for test in experiments for day in days[run])}


def _of_models(workspace: Workspace, found: Receipts, models: Iterable[Bundle]) -> set[str]:
    """The runs that bundles name, and those that their receipts name, which may be in the store alone."""
    named = set[str]()
    for each in models:
        gate = each.promoted.gate
        runs = {each.receipt.run: each.receipt.sha256} | ({gate.run: gate.receipt} if gate else {})
        stored = [_stored(workspace, digest) for run, digest in runs.items() if run not in found]
        named |= {*runs, *(maker for told in stored if told for maker in receipt.makers(told).values())}
    return named


def _stored(workspace: Workspace, digest: str) -> Json | None:
    """A receipt from the store; None where it isn't there, or damaged."""
    with suppress(SamebookError):
        content = objects.local_store(workspace).get(digest)
        return json.loads(content) if content else None
    return None


def _published(workspace: Workspace) -> set[str]:
    """The runs whose partitions are the current ones."""
    origins = sorted(workspace.data.glob(f"*/day=*/{dataset.ORIGIN}"))
    try:
        return {json.loads(path.read_bytes())["run"] for path in origins}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"data/*/day=*/{dataset.ORIGIN}: one of {len(origins)} is not whole: {error}") from None


def _read_by_running(workspace: Workspace) -> set[str]:
    """The runs that those under way have read, or were told to read: as the files say that they have so far."""
    names = (run_folder.NOTEBOOK, run_folder.EVENTS)
    files = (run / name for run in (workspace.runs / ".partial").glob("*-*") for name in names)
    return {each.decode() for file in files if file.is_file() for each in RUN.findall(file.read_bytes())}
