"""The receipt of a finished run: an in-toto Statement v1 with a SLSA provenance v1 predicate.

https://in-toto.io/Statement/v1, https://slsa.dev/provenance/v1. Everything under `subject` and
`buildDefinition` is a function of the commit, the data, the parameters and the environment; what differs
between two runs of the same (times, ids, the builder) is under `runDetails`.
"""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from samebook import environment, runfolder
from samebook.digest import sha256
from samebook.workspace import Workspace

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:samebook:run:v1"

type Json = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What the runner knows when a run is complete; times in UTC, ISO 8601."""

    workspace: Workspace
    run: Path
    run_id: str
    notebook: Path
    parameters: Json
    env: str
    inputs: tuple[Json, ...]
    logged: Json
    started: str
    finished: str


def statement(facts: Facts) -> Json:
    """The receipt."""
    return {
        "_type": STATEMENT,
        "subject": subjects(facts.run),
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "notebook": facts.workspace.relative(facts.notebook),
                    "parameters": facts.parameters,
                    "env": facts.env,
                },
                "internalParameters": _internal(facts),
                "resolvedDependencies": _dependencies(facts),
            },
            "runDetails": {
                "builder": {"id": f"urn:samebook:builder:{platform.node()}"},
                "metadata": {
                    "invocationId": facts.run_id,
                    "startedOn": facts.started,
                    "finishedOn": facts.finished,
                },
                "byproducts": [_file(facts.run, name) for name in (runfolder.NOTEBOOK, runfolder.PAGE)],
            },
        },
    }


def subjects(run: Path) -> list[Json]:
    """Each output and metrics.json, by name and sha256, in the order of names."""
    outputs = (path for path in (run / "outputs").rglob("*") if path.is_file())
    names = sorted(str(path.relative_to(run)) for path in outputs)
    return [_file(run, name) for name in (runfolder.METRICS, *names)]


def _file(run: Path, name: str) -> Json:
    return {"name": name, "digest": {"sha256": sha256(run / name)}}


def _internal(facts: Facts) -> Json:
    return {
        "engine": environment.engine(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
        "papermill": version("papermill"),
        "variables": environment.variables(facts.workspace),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "logged": facts.logged,
    }


def _dependencies(facts: Facts) -> list[Json]:
    lock = facts.workspace.environments / "runtime.txt"
    found = [
        {"name": facts.workspace.relative(facts.notebook), "digest": {"sha256": sha256(facts.notebook)}},
        {"name": facts.workspace.relative(lock), "digest": {"sha256": sha256(lock)}},
        *({"name": item["name"], "digest": {"sha256": item["sha256"]}} for item in facts.inputs),
    ]
    if commit := os.environ.get("SAMEBOOK_COMMIT"):
        dirty = os.environ.get("SAMEBOOK_DIRTY", "") != ""
        found.append({"name": "commit", "digest": {"gitCommit": commit}, "annotations": {"dirty": dirty}})
    for name, variable in (("base image", "SAMEBOOK_BASE_IMAGE"), ("image", "SAMEBOOK_IMAGE")):
        if uri := os.environ.get(variable):
            found.append({"name": name, "uri": uri})
    return found
