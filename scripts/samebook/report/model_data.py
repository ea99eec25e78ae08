"""The history of each model: its versions on this branch, where each branch has it, and the experiments with it."""

from collections.abc import Sequence
from typing import Any

from samebook.core import head
from samebook.core.errors import SamebookError, UsageError
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.models import bundle as bundles
from samebook.models import lookup
from samebook.models.bundle import NAME, Bundle, Reproduction
from samebook.records.receipt import Json
from samebook.review.model_section import gate_rows

# Versions of a model that are shown, the newest ones.
MOST = 500


def models(workspace: Workspace, experiments: Sequence[Json]) -> list[Json]:
    """The models that this branch or that of an environment has, by name."""
    names = {path.stem for path in workspace.models.glob("*.json") if NAME.fullmatch(path.stem)}
    return [_model(workspace, name, experiments) for name in sorted(names)]


def _model(workspace: Workspace, name: str, experiments: Sequence[Json]) -> Json:
    versions = _versions(workspace, name)
    digests = {version["bundle"] for version in versions if version["bundle"]}
    return {
        "name": name,
        "versions": versions,
        "branches": {env: digest for env in settings.names(workspace) if (digest := _digest(workspace, name, env))},
        "experiments": [run["experiment"] | {"run": run["row"]["id"]} for run in experiments if _has(run, digests)],
    }


def _versions(workspace: Workspace, name: str) -> list[Json]:
    """The versions, the newest first: each with what brought it, or why it can't be read."""
    path = workspace.relative(lookup.path(workspace, name))
    if not head.is_repository(workspace.root):
        content = (workspace.root / path).read_bytes()
        return [_version("", content, path)]
    try:
        found = [_version(commit, content, path) for commit, content in head.versions(workspace.root, path)][:MOST]
    except UsageError as error:  # no commit yet, or no git
        return [_problem("", str(error))]
    seen = set[str]()
    for version in reversed(found):
        version["is_back"] = bool(version["bundle"]) and version["bundle"] in seen
        seen.add(version["bundle"])
    return found


def _problem(commit: str, text: str) -> Json:
    return {"commit": commit, "bundle": "", "problem": text, "is_back": False}


def _version(commit: str, content: bytes | None, path: str) -> Json:
    if content is None:
        return _problem(commit, "")
    try:
        bundle = bundles.parse(content, path)
    except SamebookError as error:
        return _problem(commit, str(error))
    return {"commit": commit, "problem": "", "is_back": False, **_facts(bundle)}


def _facts(bundle: Bundle) -> dict[str, Any]:
    promoted, gate = bundle.promoted, bundle.promoted.gate
    return {
        "bundle": bundle.digest,
        "run": bundle.receipt.run,
        "at": promoted.at,
        "by": promoted.by,
        "env": promoted.env,
        "why": promoted.why,
        "metrics": bundle.metrics,
        "parameters": bundle.source.parameters,
        "data": {name: [min(of.days, default=""), of.newest, len(of.days)] for name, of in bundle.data.items()},
        "gate": gate_rows(gate.metrics) if gate else [],
        "gate_run": gate.run if gate else "",
        "reproductions": [_reproduction("model", item) for item in bundle.reproductions]
        + [_reproduction("gate", item) for item in (gate.reproductions if gate else [])],
    }


def _reproduction(of: str, item: Reproduction) -> list[str]:
    return [of, item.verdict, item.builder, item.engine, item.platform, item.finished]


def _digest(workspace: Workspace, name: str, branch: str) -> str:
    """The bundle that a branch has; "" where there is no such branch, or no whole bundle on it."""
    try:
        return lookup.read(workspace, f"{name}@{branch}").digest
    except SamebookError:
        return ""


def _has(run: Json, digests: set[str]) -> bool:
    """Whether an experiment compares one of these bundles."""
    compared = run["experiment"].get("bundles")
    values = compared.values() if isinstance(compared, dict) else ()
    return any(str(value) in digests for value in values)
