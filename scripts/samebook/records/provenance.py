"""Writes the receipt of a finished run: an in-toto Statement v1 with a SLSA provenance v1 predicate.

https://in-toto.io/Statement/v1, https://slsa.dev/provenance/v1. Everything under `subject` and
`buildDefinition` is a function of the commit, the data, the parameters and the environment; what differs
between two runs of the same (times, ids, the builder, where inputs came from) is under `runDetails`.
"""

import json
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from samebook.core import git
from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError
from samebook.core.redaction import Redaction
from samebook.core.workspace import Workspace, write_whole
from samebook.environment import machine, variables
from samebook.records import canonical, receipt, run_folder
from samebook.records.receipt import Json
from samebook.store import objects


@dataclass(frozen=True)
class Source:
    """What a run starts from, looked at before it starts: people edit while it runs.

    `commit` is empty outside a repository; `patch` is None where what isn't committed fits in none. The notebook,
    the lock, and the modules and queries beside the notebook are told by their sha256.
    """

    commit: str
    patch: bytes | None
    notebook: str
    lock: str
    code: str


def source(workspace: Workspace, notebook: Path) -> Source:
    """The source of a run of this notebook, now."""
    try:
        commit, patch = _version(workspace)
    except UsageError:
        commit, patch = "", b""
    return Source(commit, patch, sha256(notebook), sha256(workspace.environments / "runtime.txt"), code(workspace))


def check_commit(workspace: Workspace) -> None:
    """Raise UsageError where the commit that was handed over is no longer that of the checkout.

    Whatever runs for long in a container has been told once: after a `git pull` it would name the wrong one.
    """
    handed = os.environ.get("SAMEBOOK_COMMIT")
    if not handed or not (workspace.root / ".git").is_dir():
        return
    try:
        found = git.commit(workspace.root, "HEAD")
    except UsageError:  # what git has here can't be read from inside a container
        return
    if found != handed:
        raise UsageError(
            f"the checkout is at {found[:12]}; this container was started at {handed[:12]}",
            mend="start it again, with make, which tells it where it is: make watch",
        )


def code(workspace: Workspace) -> str:
    """One hash over the modules that notebooks import, the queries that they make, and samebook's own."""
    files = sorted(path for kind in ("*.py", "*.sql") for path in workspace.notebooks.rglob(kind))
    files += sorted((workspace.root / "scripts" / "samebook").rglob("*.py"))
    return sha256(json_bytes({workspace.relative(path): sha256(path) for path in files}))


def _version(workspace: Workspace) -> tuple[str, bytes | None]:
    """The commit and the patch on it: handed over by make where the runner has no git, as in the image."""
    commit, handed = (os.environ.get(name) for name in ("SAMEBOOK_COMMIT", "SAMEBOOK_PATCH"))
    head = commit or git.head(workspace.root)
    for folder in (workspace.runs, objects.local_store(workspace).root):
        _leave_out(folder)
    if commit:
        path = workspace.root / handed if handed else None
        return commit, path.read_bytes() if path and path.is_file() else b""
    return head, git.patch(workspace.root)


def _leave_out(folder: Path) -> None:
    """Have git leave out a folder of what runs make, which the user's own .gitignore may not name."""
    note = folder / ".gitignore"
    with suppress(OSError, UsageError):  # where it can't be written, whoever needs to will tell
        if not note.exists():
            write_whole(note, b"*\n")


@dataclass(frozen=True)
class Facts:
    """What the runner knows when a run is complete; `executed` is the notebook; times in UTC, ISO 8601."""

    workspace: Workspace
    run: Path
    run_id: str
    notebook: Path
    source: Source
    executed: Json
    identity: Json
    parameters: Json
    env: str
    threads: str
    events: tuple[Json, ...]
    drift: Json
    redaction: Redaction
    started: str
    finished: str

    def of_kind(self, kind: str) -> list[Json]:
        """What the notebook told of one kind, each once, in the order of names."""
        told = {event["name"]: event for event in self.events if event["kind"] == kind}
        return [told[name] for name in sorted(told)]


def statement(facts: Facts) -> Json:
    """The receipt; writes its byproducts, the canonical notebook among them, into the run's folder first."""
    write_byproducts(facts)
    return {
        "_type": receipt.STATEMENT,
        "subject": subjects(facts.run),
        "predicateType": receipt.PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": receipt.BUILD_TYPE,
                "externalParameters": _external(facts),
                "internalParameters": _internal(facts),
                "resolvedDependencies": [each for fact in DEPENDENCIES for each in fact(facts)],
            },
            "runDetails": {"builder": _builder(), "metadata": _metadata(facts), "byproducts": _byproducts(facts)},
        },
    }


def write_byproducts(facts: Facts) -> None:
    """The canonical notebook, the environment in full, and the patch of what was not committed."""
    cells = canonical.cells(facts.executed, str(facts.workspace.root))
    # Once more: a secret that was printed in two parts is whole only here.
    whole = [replace(cell, content=facts.redaction.value(cell.content)) for cell in cells]
    (facts.run / run_folder.CANONICAL).write_bytes(canonical.content(whole))
    (facts.run / run_folder.ENVIRONMENT).write_bytes(json_bytes(facts.identity))
    if facts.source.patch:
        (facts.run / run_folder.PATCH).write_bytes(facts.source.patch)


def subjects(run: Path) -> list[Json]:
    """Each output, metrics.json and the canonical notebook: name and sha256, in the order of names."""
    names = sorted(
        _output(path, run) for path in (run / "outputs").rglob("*") if path.is_symlink() or not path.is_dir()
    )
    return [_file(run, name) for name in (run_folder.METRICS, run_folder.CANONICAL, *names)]


def _output(path: Path, run: Path) -> str:
    """The name of an output. Raises UsageError for a link, a pipe, or a name that is no text."""
    name = path.relative_to(run).as_posix()
    if path.is_symlink() or not path.is_file() or not name.isprintable():
        raise UsageError(f"{name!r} is no regular file with a plain name: write its content there instead")
    return name


def _file(run: Path, name: str) -> Json:
    return _resource(name, sha256(run / name))


def _resource(name: str, digest: str, **annotations: Any) -> Json:
    found: Json = {"name": name, "digest": {"sha256": digest}}
    return {**found, "annotations": annotations} if annotations else found


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
        "threads": facts.threads,
        "drift": facts.drift,
        "logged": {facts.redaction.text(event["name"]): event["value"] for event in facts.of_kind("param")},
    }


def _commit(facts: Facts) -> list[Json]:
    source = facts.source
    if not source.commit:
        return []  # a copy without a repository: nothing to name
    patch = {"patch": sha256(source.patch)} if source.patch else {}
    annotations = {"dirty": source.patch != b"", **patch}
    return [{"name": receipt.COMMIT, "digest": {"gitCommit": source.commit}, "annotations": annotations}]


def _notebook(facts: Facts) -> list[Json]:
    return [_resource(facts.workspace.relative(facts.notebook), facts.source.notebook)]


def _code(facts: Facts) -> list[Json]:
    return [_resource(receipt.CODE, facts.source.code)]


def _lock(facts: Facts) -> list[Json]:
    return [_resource("environments/runtime.txt", facts.source.lock)]


def _environment(facts: Facts) -> list[Json]:
    identity = json.loads((facts.run / run_folder.ENVIRONMENT).read_text())
    return [
        _resource(receipt.ENVIRONMENT, identity["digest"], packages=identity["packages"], python=identity["python"])
    ]


def _images(_: Facts) -> list[Json]:
    named = {"base image": "SAMEBOOK_BASE_IMAGE", "image": "SAMEBOOK_IMAGE"}
    return [{"name": name, "uri": os.environ[variable]} for name, variable in named.items() if os.environ.get(variable)]


def _inputs(facts: Facts) -> list[Json]:
    return [_resource(item["name"], item["sha256"], input=True, **_built(item)) for item in facts.of_kind("input")]


def _built(item: Json) -> Json:
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
    made = (run_folder.NOTEBOOK, run_folder.PAGE, run_folder.LOG, run_folder.ENVIRONMENT, run_folder.PATCH)
    files = [_file(facts.run, name) for name in made if (facts.run / name).is_file()]
    makers: dict[str, list[str]] = {}
    for item in facts.of_kind("input"):
        makers.setdefault(item.get("run") or "unknown", []).append(item["name"])
    told = {
        receipt.MADE_BY: makers,
        receipt.READ_FROM: _versions(facts),
        receipt.KERNEL: {item["name"]: "started" for item in facts.of_kind("kernel")},
        receipt.LACKED: {item["name"]: "missing" for item in facts.of_kind("lacked")},
    }
    return [*files, *({"name": name, "annotations": what} for name, what in told.items() if what)]


def _versions(facts: Facts) -> Json:
    """The version of each warehouse that was asked; "" where it was not the same all the time."""
    found: dict[str, set[str]] = {}
    for event in facts.events:
        if event["kind"] == "warehouse":
            found.setdefault(event["name"], set()).add(event["version"])
    return {name: "".join(versions) if len(versions) == 1 else "" for name, versions in sorted(found.items())}
