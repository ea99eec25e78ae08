"""The site in its folder: made again only where something has changed, and a file at a time, each as a whole.

What a run's data were made from, its receipt by hash and its other files by size and time, stands in `.state.json`; a
run with the same is left as it is. A run that is gone goes from the site, too.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from samebook.core import secret
from samebook.core.digest import parse_json, sha256
from samebook.core.errors import UsageError
from samebook.core.file_lock import hold
from samebook.core.text import word
from samebook.core.workspace import Workspace, make_folder, write_whole
from samebook.environment import settings
from samebook.records import run_folder, signing
from samebook.records.receipt import Json
from samebook.redaction.redactor import Redaction
from samebook.report import drift_data, model_data, row, run_data, sweep_data
from samebook.report.javascript import script
from samebook.report.run_data import RunData, Source
from samebook.store import objects

FOLDER, STATE, LOCK, INDEX = ".report", ".state.json", ".lock", "index.html"
# Runs, from the newest on, whose plots are copied: 10,000 runs with plots would be gigabytes.
PLOTTED = 500
# The files of the site that a build may remove.
OWN = ("data/**/*.js", "images/*.png", "images/*.jpg", "images/*.jpeg")
FOLDERS = ("data", "data/runs", "data/cells", "data/environments", "images")


@dataclass
class Build:
    """The count of runs whose data were made, or kept from before; of those that are gone, and of damaged ones."""

    page: Path
    made: int = 0
    kept: int = 0
    gone: int = 0
    damaged: int = 0


@dataclass
class State:
    """What was built before: of each run the key of what it was made from, its row, its files and its findings."""

    version: str
    runs: dict[str, Json] = field(default_factory=dict)


def build(workspace: Workspace, into: Path) -> Build:
    """Build the site of a workspace in a folder, or bring it up to date.

    Raises UsageError for a folder that holds something else, and where settings or trusted keys can't be read.
    """
    _check(into)
    with hold(into / LOCK):
        redaction = _redaction(workspace)
        keys = signing.trusted_keys(workspace)
        version = _version(redaction, keys)
        before = _state(into, version)
        if not (into / STATE).exists():  # a build that is cut off leaves a folder that is known for a report's
            write_whole(into / STATE, b"{}")
        source = Source(workspace, objects.local_store(workspace), keys)
        build, after = Build(into / INDEX), State(version)
        present = {name for run in before.runs.values() for name in run["files"]}
        for number, folder in enumerate(_folders(workspace)):
            name, has_plots = os.fsencode(folder.name).decode(errors="backslashreplace"), number < PLOTTED
            key, old = _key(folder, has_plots=has_plots), before.runs.get(name)
            if old and old["key"] == key:
                after.runs[name] = old
                build.kept += 1
            else:
                run = run_data.read(source, folder, has_plots=has_plots, present=present)
                try:
                    written = _write_run(into, run, redaction, present)
                except RecursionError:  # which reading it was not deep enough for
                    run = run_data.damaged(folder, "a value in its receipt is nested too deeply")
                    written = _write_run(into, run, redaction, present)
                after.runs[name] = {"key": key, **written}
                present.update(run.files)
                build.made += 1
        build.damaged = sum(run["row"]["status"] == "damaged" for run in after.runs.values())
        build.gone = len(before.runs.keys() - after.runs.keys())
        _write_common(workspace, into, after, redaction)
        write_whole(into / STATE, json.dumps({"version": version, "runs": after.runs}).encode())
        _remove_others(into, after)
    return build


def _check(into: Path) -> None:
    """Raise UsageError for a folder that is not a report's: files in it are replaced and removed."""
    if into.is_symlink():
        raise UsageError(f"{into} is a link; expected a folder, as files are removed there", mend=f"rm {word(into)}")
    make_folder(into)
    if not (into / STATE).is_file() and {path.name for path in into.iterdir()} - {LOCK}:
        raise UsageError(f"{into} holds other files; expected an empty folder, or a report", mend="make report")
    for name in FOLDERS:
        if (into / name).is_symlink():
            raise UsageError(
                f"{into / name} is a link; expected a folder of the report", mend=f"rm {word(into / name)}"
            )


def _folders(workspace: Workspace) -> list[Path]:
    """The folders of the runs, newest first."""
    return sorted((path for path in workspace.runs.glob("[0-9]*Z-*") if path.is_dir()), reverse=True)


def _redaction(workspace: Workspace) -> Redaction:
    """The secrets of all environments, and those that notebooks ask for, as far as they are here."""
    names = {name for env in settings.names(workspace) for name in settings.load(workspace, env).secret_names()}
    for notebook in workspace.notebooks.rglob("*.ipynb"):
        names |= secret.names(notebook)
    return Redaction(secret.texts(names))


def _version(redaction: Redaction, keys: Mapping[str, signing.TrustedKey]) -> str:
    """What all of the site depends on: the code that makes it, the secrets, and the keys that are trusted."""
    package = Path(__file__).parents[1]
    code = [path.read_bytes() for wing in ("records", "report") for path in sorted((package / wing).glob("*.py"))]
    trusted = [f"{key.name} {key.owner} {sorted(key.purposes)} {key.key.keyid}" for key in keys.values()]
    return sha256(b"".join(code) + "\n".join([redaction.note, *trusted]).encode())


def _state(into: Path, version: str) -> State:
    """What was built before; nothing where other code, another secret or key made it, or it can't be read."""
    try:
        state = parse_json((into / STATE).read_bytes())
        of_this = state["version"] == version
        runs = {name: run for name, run in state["runs"].items() if run["key"] and _is_there(into, run)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return State(version)
    return State(version, runs if of_this else {})


def _is_there(into: Path, run: Json) -> bool:
    return all((into / name).is_file() for name in run["files"]) and run["row"].keys() == {*row.COLUMNS}


def _key(folder: Path, *, has_plots: bool) -> str:
    """A digest of all that a run's data are made from: of the receipt its bytes, of other files their size and time."""
    path = folder / run_folder.RECEIPT
    lines = [f"{has_plots} {sha256(path) if path.is_file() else ''}"]
    lines += sorted(f"{name} {stat.st_mode} {stat.st_size} {stat.st_mtime_ns}" for name, stat in _entries(folder))
    return sha256("\n".join(lines).encode(errors="surrogateescape"))


def _entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The entries below a folder; links are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.path, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))


def _write_run(into: Path, run: RunData, redaction: Redaction, present: Collection[str]) -> Json:
    """Write the files of a run, but those that are named by their content and `present`; what the state says of it."""
    name = f"data/runs/{run.row['file']}.js"
    for path, content in run.files.items():
        if path not in present:
            write_whole(into / path, _redacted(content, redaction))
    write_whole(into / name, script(f"runs/{run.row['file']}", redaction.value(run.detail)))
    found = {"row": run.row, "drift": drift_data.summary(run.drift), "experiment": run.experiment}
    return {"files": [name, *run.files], **redaction.value(found)}


def _redacted(content: bytes, redaction: Redaction) -> bytes:
    """A file of the site without secrets: a script, which is ASCII. A picture is as it is."""
    return redaction.text(content.decode()).encode() if content.isascii() else content


def _write_common(workspace: Workspace, into: Path, state: State, redaction: Redaction) -> None:
    """Write what all pages share; the page itself last."""
    runs = list(state.runs.values())
    rows = [[run["row"][name] for name in row.COLUMNS] for run in runs]
    common: dict[str, Any] = {
        "index": {"columns": row.COLUMNS, "rows": rows, "runs": os.path.relpath(workspace.runs, into)},
        "models": model_data.models(workspace, [run for run in runs if run["experiment"]]),
        "drift": drift_data.days(workspace, [run for run in runs if run["drift"]]),
        "sweeps": sweep_data.sweeps(workspace),
    }
    for name, value in common.items():
        content = script(name, value if name == "index" else redaction.value(value))
        path = into / "data" / f"{name}.js"
        if not path.is_file() or path.read_bytes() != content:
            write_whole(path, content)
    page = files("samebook.report") / "page"
    for resource in sorted(page.iterdir(), key=lambda item: item.name == INDEX):
        write_whole(into / resource.name, resource.read_bytes())


def _remove_others(into: Path, state: State) -> None:
    """Remove the files of runs that are gone."""
    wanted = {name for run in state.runs.values() for name in run["files"]}
    wanted |= {f"data/{name}.js" for name in ("index", "models", "drift", "sweeps")}
    for pattern in OWN:
        for path in into.glob(pattern):
            if path.relative_to(into).as_posix() not in wanted:
                path.unlink()
