"""The record of a run as MLflow holds one: parameters, metrics, tags and files, of a finished run or a failed one."""

import datetime
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samebook.core.digest import parse_json, sha256
from samebook.core.errors import UsageError
from samebook.core.text import word
from samebook.core.workspace import Workspace
from samebook.models import run_files
from samebook.models.run_files import RunFiles
from samebook.records import attestations, receipt, run_folder

FINISHED, FAILED = "FINISHED", "FAILED"
# The tags by which a run is found again, and by which a mirror that is complete is known.
KEY, MIRRORED = "samebook.key", "samebook.mirrored"
LONGEST_VALUE, LONGEST_TAG, LONGEST_NAME = 6000, 5000, 250
MEGABYTE = 10**6
FAILED_FILES = (run_folder.ERROR, run_folder.NOTEBOOK, run_folder.LOG)


@dataclass(frozen=True)
class Record:
    """A run for MLflow. `key` is the sha256 of its receipt; `state` that of all statements, which may come later.

    Times are milliseconds since 1970. `left_out` are the files that are too large, or are not here.
    """

    run: str
    notebook: str
    status: str
    key: str
    state: str
    start: int
    end: int
    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    files: dict[str, Path]
    left_out: tuple[str, ...] = ()


def of_run(run: RunFiles, largest: int) -> Record:
    """The record of a finished run, with files of up to so many megabytes.

    Raises NotReproduced for a file with other bytes than the receipt says, UsageError where the metrics are not here,
    or are no numbers.
    """
    statement = run.statement
    found = {name: run.find(name) for name in sorted(run.digests)}
    files = {name: path for name, path in found.items() if path and path.stat().st_size <= largest * MEGABYTE}
    definition = statement["predicate"]["buildDefinition"]
    given = receipt.external_parameters(statement)["parameters"]
    logged = {
        name: value for name, value in definition["internalParameters"].get("logged", {}).items() if name not in given
    }
    start, end = map(_milliseconds, run.times)
    return Record(
        run=run.id,
        notebook=receipt.notebook_name(statement),
        status=FINISHED,
        key=run.receipt_digest,
        state=state(run.path),
        start=start,
        end=end,
        parameters={safe_name(name): _text(value, LONGEST_VALUE) for name, value in {**given, **logged}.items()},
        metrics=_metrics(run),
        tags={name: _text(value, LONGEST_TAG) for name, value in _tags(run).items() if value},
        files=files | {path.name: path for path in run.statements()},
        left_out=tuple(found.keys() - files.keys()),
    )


def _metrics(run: RunFiles) -> dict[str, float]:
    content = run.path_of(run_folder.METRICS).read_bytes()
    try:
        return {safe_name(name): float(value) for name, value in parse_json(content).items()}
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise UsageError(
            f"{run_folder.METRICS} of {run.id}: expected a number for each name; {error}",
            mend=f"make log RUN={word(run.id)}",
        ) from None


def state(receipt_path: Path) -> str:
    """The state of a finished run: a sha256 over its receipt, its reproductions, and the signatures of these."""
    return sha256("".join(sorted(map(sha256, run_files.statements(receipt_path)))).encode())


def of_failed(workspace: Workspace, folder: Path) -> Record:
    """The record of a failed run, of which only its folder speaks: its error, and the notebook as far as it came."""
    name = run_folder.notebook_name(folder.name)
    error = (folder / run_folder.ERROR).read_bytes() if _is_file(folder / run_folder.ERROR) else b""
    start = int(run_folder.start_time(folder.name).timestamp() * 1000)
    key = sha256(folder.name.encode() + b"\n" + error)
    first = error.decode(errors="replace").strip().partition("\n")[0]
    tags = {
        **_common(f"{workspace.notebooks.name}/{name}.ipynb", folder.name),
        "samebook.error": _text(first, LONGEST_TAG),
    }
    files = {file: folder / file for file in FAILED_FILES if _is_file(folder / file)}
    return Record(folder.name, name, FAILED, key, key, start, start, {}, {}, tags, files)


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _common(notebook: str, run: str) -> dict[str, str]:
    """The tags of any run; those that begin with mlflow are known to MLflow's pages."""
    return {
        "mlflow.runName": run,
        "mlflow.source.type": "NOTEBOOK",
        "mlflow.source.name": notebook,
        "samebook.run": run,
    }


def _tags(run: RunFiles) -> dict[str, Any]:
    statement = run.statement
    external = receipt.external_parameters(statement)
    internal = statement["predicate"]["buildDefinition"].get("internalParameters", {})
    commit, environment = (receipt.dependency(statement, name) or {} for name in (receipt.COMMIT, receipt.ENVIRONMENT))
    verdicts = [attestations.facts(item)["verdict"] for _, item in attestations.beside(run.path)]
    return {
        **_common(external["notebook"], run.id),
        "mlflow.source.git.commit": receipt.commit_name(statement),
        "samebook.receipt": run.receipt_digest,
        "samebook.env": external["env"],
        "samebook.engine": internal.get("engine", ""),
        "samebook.builder": statement["predicate"]["runDetails"].get("builder", {}).get("id", ""),
        "samebook.dirty": "true" if commit.get("annotations", {}).get("dirty") else "false",
        "samebook.environment": environment.get("digest", {}).get("sha256", ""),
        "samebook.python": environment.get("annotations", {}).get("python", ""),
        "samebook.lock": (receipt.dependency(statement, receipt.LOCK) or {"digest": {}})["digest"].get("sha256", ""),
        "samebook.image": (receipt.dependency(statement, "image") or {}).get("uri", ""),
        "samebook.reproductions": " ".join(verdicts),
    }


def safe_name(name: str) -> str:
    """The name of a parameter or a metric, or one that MLflow takes in its place, with a part of its sha256."""
    is_path = posixpath.normpath(name) == name and not name.startswith(("..", "/")) and name != "."
    if is_path and len(name) <= LONGEST_NAME and re.fullmatch(r"[\w.\- :/]+", name, re.ASCII):
        return name
    plain = re.sub(r"[^\w-]", "_", name, flags=re.ASCII)[: LONGEST_NAME // 2]
    return f"{plain}-{sha256(name.encode())[:8]}"


def _text(value: Any, longest: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _milliseconds(time: str) -> int:
    return int(datetime.datetime.fromisoformat(time).timestamp() * 1000)


def as_list(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Parameters or tags in the form of MLflow's calls."""
    return [{"key": name, "value": value} for name, value in values.items()]
