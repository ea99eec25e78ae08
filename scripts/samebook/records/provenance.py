"""The content of a finished run's receipt: an in-toto Statement v1 with an SLSA provenance v1 predicate.

https://in-toto.io/Statement/v1, https://slsa.dev/provenance/v1. Everything under `subject` and
`buildDefinition` is a function of the commit, the data, the parameters and the environment. Times, ids, the builder
and the origins of inputs differ between two runs of the same source; they are under `runDetails`.
"""

import json
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from samebook.core.digest import json_bytes, json_chunks, sha256
from samebook.core.workspace import Workspace
from samebook.environment import machine, variables
from samebook.environment.callers import Digests
from samebook.environment.numerics import Numerics
from samebook.records import canonical, data_manifest, receipt, run_folder
from samebook.records.data_manifest import Manifest
from samebook.records.receipt import Json
from samebook.records.source import Source
from samebook.redaction import own_parts
from samebook.redaction.redactor import Redaction
from samebook.store import objects


@dataclass(frozen=True)
class Facts:
    """The facts about a complete run from which its receipt is made.

    `run` is its folder; `executed` gives the executed cells, `left_out` what is left out of their output. `identity` is
    the environment's, `drift` has packages that differ from the lock. `events` are logged or read. Times are UTC.
    """

    workspace: Workspace
    run: Path
    run_id: str
    notebook: Path
    source: Source
    executed: Callable[[], Iterable[Json]]
    left_out: Json
    identity: Json
    parameters: Json
    env: str
    numerics: Numerics
    callers: Digests
    events: tuple[Json, ...]
    drift: Json
    redaction: Redaction
    started: str
    finished: str

    def of_kind(self, kind: str) -> list[Json]:
        """The events of one kind, redacted, sorted by name; of several with one name, the last."""
        redacted = (self.redaction.value(event, own_parts.EVENT) for event in self.events if event["kind"] == kind)
        events = {event["name"]: event for event in redacted}
        return [events[name] for name in sorted(events)]

    @property
    def manifests(self) -> list[Manifest]:
        """The days of datasets of which the run has read several; their lists belong into the store."""
        return data_manifest.of_events(self.of_kind("input"))

    @property
    def single_inputs(self) -> list[Json]:
        """The inputs that are in no manifest."""
        return data_manifest.without(self.manifests, self.of_kind("input"))


def statement(facts: Facts) -> Json:
    """The receipt of a run, as JSON.

    Files that the receipt adds to the run are written first, because it has their hashes.
    """
    write_files(facts)
    return {
        "_type": receipt.STATEMENT,
        "subject": subjects(facts.run),
        "predicateType": receipt.PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": receipt.BUILD_TYPE,
                "externalParameters": _external(facts),
                "internalParameters": _internal(facts),
                "resolvedDependencies": [item for dependencies in DEPENDENCIES for item in dependencies(facts)],
            },
            "runDetails": {"builder": _builder(), "metadata": _metadata(facts), "byproducts": _byproducts(facts)},
        },
    }


def write_files(facts: Facts) -> None:
    """Write the files that the receipt adds to the run: the canonical notebook, the environment, the patch. Lists of
    days go into the store.
    """
    for manifest in facts.manifests:
        manifest.keep(objects.local_store(facts.workspace))
    redact = partial(facts.redaction.value, own=own_parts.CANONICAL)
    with (facts.run / run_folder.CANONICAL).open("wb") as stream:
        stream.writelines(json_chunks(canonical.each(facts.executed(), str(facts.workspace.root), redact)))
    (facts.run / run_folder.ENVIRONMENT).write_bytes(json_bytes(facts.identity))
    if facts.source.patch:
        (facts.run / run_folder.PATCH).write_bytes(facts.source.patch)


def subjects(run: Path) -> list[Json]:
    """The subjects, with name and sha256: metrics.json, the canonical notebook, then outputs in the order of names."""
    names = sorted(path.relative_to(run).as_posix() for path in (run / "outputs").rglob("*") if path.is_file())
    return [_file(run, name) for name in (run_folder.METRICS, run_folder.CANONICAL, *names)]


def _file(run: Path, name: str) -> Json:
    return _resource(name, sha256(run / name))


def _resource(name: str, digest: str, **annotations: Any) -> Json:
    resource: Json = {"name": name, "digest": {"sha256": digest}}
    return {**resource, "annotations": annotations} if annotations else resource


def _external(facts: Facts) -> Json:
    return {
        "notebook": facts.workspace.relative(facts.notebook),
        "parameters": facts.parameters,
        "env": facts.env,
    }


def _internal(facts: Facts) -> Json:
    return {
        "engine": machine.engine(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
        "papermill": version("papermill"),
        "variables": variables.fixed(facts.workspace),
        receipt.CALLERS: facts.callers,
        "numerics": facts.numerics.name,
        "threads": _threads(facts),
        "processor": _processor(facts),
        "drift": facts.drift,
        "logged": {event["name"]: event["value"] for event in facts.of_kind("param")},
        **({"leftOut": facts.left_out} if facts.left_out else {}),
    }


def _libraries(facts: Facts) -> Json:
    """What the kernel's numeric libraries have taken, once they were loaded."""
    return next((event["value"] for event in facts.of_kind(run_folder.LIBRARIES)), {})


def _threads(facts: Facts) -> Json:
    """The numbers of threads of OpenMP, which does as it is told, and of BLAS, which takes no more than the cores."""
    return {"openmp": facts.numerics.openmp, "blas": _libraries(facts).get("blas_threads") or facts.numerics.blas}


def _processor(facts: Facts) -> Json:
    """The processor, and what of it the kernel has taken."""
    taken = {name: value for name, value in _libraries(facts).items() if name in ("numpy", "blas")}
    return {
        "model": machine.processor(),
        "level": machine.level_name(),
        "cores": machine.cores(),
        "libc": machine.libc(),
        "variables": facts.numerics.level_variables(),
        **taken,
    }


def _commit(facts: Facts) -> list[Json]:
    source = facts.source
    if not source.commit:
        return []  # the workspace is a copy without a repository
    patch = {"patch": sha256(source.patch)} if source.patch else {}
    unpatched = {"unpatched": list(source.unpatched)} if source.unpatched else {}
    # None too: there are changes, but no patch can hold them.
    annotations = {"dirty": source.patch != b"", **patch, **unpatched}
    return [{"name": receipt.COMMIT, "digest": {"gitCommit": source.commit}, "annotations": annotations}]


def _notebook(facts: Facts) -> list[Json]:
    return [_resource(facts.workspace.relative(facts.notebook), facts.source.notebook)]


def _code(facts: Facts) -> list[Json]:
    return [_resource(receipt.CODE, facts.source.code)]


def _lock(facts: Facts) -> list[Json]:
    return [_resource(receipt.LOCK, facts.source.lock)]


def _environment(facts: Facts) -> list[Json]:
    identity = json.loads((facts.run / run_folder.ENVIRONMENT).read_text())
    return [
        _resource(receipt.ENVIRONMENT, identity["digest"], packages=identity["packages"], python=identity["python"])
    ]


def _images(_: Facts) -> list[Json]:
    uris = {"base image": os.environ.get("SAMEBOOK_BASE_IMAGE"), "image": os.environ.get("SAMEBOOK_IMAGE")}
    return [{"name": name, "uri": uri} for name, uri in uris.items() if uri]


def _inputs(facts: Facts) -> list[Json]:
    single = (_resource(item["name"], item["sha256"], input=True, **_built_from(item)) for item in facts.single_inputs)
    return sorted((*single, *(manifest.dependency() for manifest in facts.manifests)), key=lambda item: item["name"])


def _built_from(item: Json) -> Json:
    return {"builtFrom": item["built"]} if item.get("built") else {}


def _undeclared(facts: Facts) -> list[Json]:
    return [_resource(item["name"], item["sha256"], undeclared=True) for item in facts.of_kind("undeclared")]


DEPENDENCIES: tuple[Callable[[Facts], list[Json]], ...] = (
    *(_commit, _notebook, _code, _lock, _environment, _images, _inputs, _undeclared),
)


def _builder() -> Json:
    return {"id": receipt.builder(), "version": {"samebook": version("samebook")}}


def _metadata(facts: Facts) -> Json:
    return {"invocationId": facts.run_id, "startedOn": facts.started, "finishedOn": facts.finished}


def _byproducts(facts: Facts) -> list[Json]:
    names = (run_folder.NOTEBOOK, run_folder.PAGE, run_folder.LOG, run_folder.ENVIRONMENT, run_folder.PATCH)
    files = [_file(facts.run, name) for name in names if (facts.run / name).is_file()]
    makers: dict[str, list[str]] = {}
    for item in facts.single_inputs:
        makers.setdefault(item.get("run") or "unknown", []).append(item["name"])
    annotations = {
        receipt.MADE_BY: makers,
        receipt.MAKERS: {manifest.name: sha256(manifest.lists[1]) for manifest in facts.manifests},
        receipt.READ_FROM: _versions(facts),
        receipt.ORIGINS: {item["name"]: item["value"] for item in facts.of_kind("origin")},
        receipt.KERNEL: {item["name"]: "started" for item in facts.of_kind("kernel")},
        receipt.PINNED: {item["name"]: "by a receipt" for item in facts.of_kind(receipt.PINNED)},
        receipt.LACKED: {item["name"]: "missing" for item in facts.of_kind("lacked")},
        receipt.READ: {item["name"]: item["sha256"] for item in facts.of_kind("committed")},
        receipt.UNSEEN: {item["name"]: "unseen" for item in facts.of_kind("unseen")},
    }
    return [*files, *({"name": name, "annotations": values} for name, values in annotations.items() if values)]


def _versions(facts: Facts) -> Json:
    """The version of each warehouse that the run queried; "" where it changed during the run."""
    versions: dict[str, set[str]] = {}
    for event in facts.events:
        if event["kind"] == "warehouse":
            versions.setdefault(event["name"], set()).add(event["version"])
    return {name: "".join(values) if len(values) == 1 else "" for name, values in sorted(versions.items())}
