"""The bundle of a finished run, built from its receipt and the files beside it."""

import json
from collections.abc import Mapping
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.models.bundle import (
    REFERENCE,
    Artifact,
    Bundle,
    Dataset,
    Environment,
    Promotion,
    Receipt,
    Reproduction,
    Source,
)
from samebook.records import attestations, data_manifest, receipt, run_folder, signing
from samebook.records.inputs import Kind, Label
from samebook.records.receipt import Json


def from_run(name: str, run: Path, statement: Json, promoted: Promotion) -> Bundle:
    """The bundle of a finished run. Raises UsageError where its receipt names no commit."""
    commit = receipt.dependency(statement, receipt.COMMIT)
    if commit is None:
        raise UsageError(
            f"{run.name} was made outside a git repository: nobody could run it again",
            mend="git init && git add . && git commit -m samebook, then make run",
        )
    digests = receipt.subject_digests(statement)
    details = statement["predicate"]["runDetails"]
    monitoring = json.loads((run / REFERENCE).read_text()) if REFERENCE in digests else None
    inputs = receipt.input_items(statement)
    return Bundle(
        schema_version=1,
        name=name,
        metrics=json.loads((run / run_folder.METRICS).read_text()),
        source=Source(
            commit=commit["digest"]["gitCommit"],
            dirty=commit.get("annotations", {}).get("dirty", True),
            patch=commit.get("annotations", {}).get("patch"),
            **receipt.external_parameters(statement),
        ),
        artifacts=_files(run, digests),
        byproducts=_files(run, byproducts(statement)),
        data=_datasets(inputs),
        inputs=other_inputs(statement),
        environment=environment(statement),
        receipt=Receipt(
            **statement_digests(run / run_folder.RECEIPT),
            run=details["metadata"]["invocationId"],
            builder=details["builder"]["id"],
            finished=details["metadata"]["finishedOn"],
        ),
        reproductions=reproductions(run / run_folder.RECEIPT),
        monitoring=monitoring,
        promoted=promoted,
    ).sealed()


def _files(run: Path, digests: Mapping[str, str]) -> dict[str, Artifact]:
    return {name: Artifact(sha256=digest, size=(run / name).stat().st_size) for name, digest in sorted(digests.items())}


def statement_digests(statement: Path) -> dict[str, str]:
    """The sha256 of a statement's file, and of the envelope with its signature where there is one."""
    envelope = signing.envelope_path(statement)
    return {"sha256": sha256(statement), **({"envelope": sha256(envelope)} if envelope.is_file() else {})}


def reproductions(statement: Path) -> list[Reproduction]:
    """The reproductions of a run, from the attestations beside its receipt."""
    return [
        Reproduction(**statement_digests(path), **attestations.facts(attestation))
        for path, attestation in attestations.beside(statement)
    ]


def byproducts(statement: Json) -> dict[str, str]:
    """The sha256 of each file of a run that is no result of it, by name."""
    return dict(receipt.file_digests(statement).items() - receipt.subject_digests(statement).items())


def other_inputs(statement: Json) -> list[Json]:
    """The inputs of a run that are no days of a dataset, with the source that each was built from."""
    items = (item for item in receipt.input_items(statement) if not data_manifest.is_span(item))
    return [item for item in items if Label.parse(item["name"]).kind is not Kind.DAY]


def _datasets(inputs: list[Json]) -> dict[str, Dataset]:
    datasets: dict[str, dict[str, str]] = {}
    for item in inputs:
        label = Label.parse(item["name"])
        if label.kind is Kind.DAY:
            datasets.setdefault(label.name, {})[label.day] = item["digest"]["sha256"]
    return {name: Dataset(newest=max(days), days=dict(sorted(days.items()))) for name, days in sorted(datasets.items())}


def environment(statement: Json) -> Environment:
    """The environment of a run, from its receipt."""
    identity = receipt.dependency(statement, receipt.ENVIRONMENT) or {}
    lock = receipt.dependency(statement, receipt.LOCK) or {}
    annotations = identity["annotations"]
    images = {name: (receipt.dependency(statement, name) or {}).get("uri") for name in ("image", "base image")}
    internal = statement["predicate"]["buildDefinition"]["internalParameters"]
    return Environment(
        digest=identity["digest"]["sha256"],
        lock=lock["digest"]["sha256"],
        python=annotations["python"],
        engine=internal["engine"],
        image=images["image"],
        base_image=images["base image"],
        packages={name: version.split()[0] for name, version in sorted(annotations["packages"].items())},
    )
