"""The context of a kernel: its workspace, settings and run, and the inputs that a reproduction must read."""

import datetime
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from samebook.core import file_lock, workspace
from samebook.core.errors import NotReproduced, UsageError
from samebook.environment import settings
from samebook.reads import undeclared
from samebook.reads.pins import Pins
from samebook.records import inputs, receipt, run_folder
from samebook.records.inputs import Kind, Label
from samebook.store import objects


@cache
def current_workspace() -> workspace.Workspace:
    """The workspace of this kernel."""
    return workspace.find()


@cache
@undeclared.declared_reads()
def current_settings() -> settings.Settings:
    """The settings of this run's environment."""
    return settings.load(current_workspace(), os.environ.get("SAMEBOOK_ENV", "dev"))


@cache
@undeclared.declared_reads()
def run() -> Path:
    """The folder of the run around this kernel, or a scratch run's."""
    if folder := os.environ.get("SAMEBOOK_RUN"):
        return Path(folder)
    run_folder.drop_scratch(current_workspace())
    started = datetime.datetime.now(datetime.UTC).strftime(run_folder.TIME)
    folder = workspace.make_folder(current_workspace().runs / run_folder.SCRATCH / f"{started}-{os.getpid()}")
    file_lock.acquire(folder / run_folder.LOCK)  # held until this kernel ends: others leave its folder alone
    return folder


@cache
@undeclared.declared_reads()
def pinned() -> dict[str, str]:
    """The inputs that a reproduction must read, by name and sha256: those of the receipt it reproduces."""
    return dict(Pins.current().inputs or {})


def pins_days(dataset: str) -> bool:
    """Whether a reproduction must read the days of a dataset that the run has read; where their list is lost, nobody
    knows them.
    """
    labels = map(Label.parse, pinned())
    return bool(pinned()) and not any(label.kind is Kind.SPAN and label.name == dataset for label in labels)


@undeclared.declared_reads()
def pinned_content(label: str) -> bytes | None:
    """The bytes of an input that a reproduction must read, from the store; None where there is none."""
    digest = pinned().get(label)
    return objects.local_store(current_workspace()).get(digest) if digest else None


@undeclared.declared_reads()
def recorded(label: str, content: bytes, run_id: str = "", built: receipt.Json | None = None) -> bytes:
    """The bytes of an input, recorded for the run and kept in the store, so that anyone can read the same again."""
    _record(label, objects.local_store(current_workspace()).put(content), len(content), run_id, built)
    return content


@undeclared.declared_reads()
def pinned_file(label: str) -> Path | None:
    """The path in the store, verified, of an input that a reproduction must read; None where there is none."""
    digest = pinned().get(label)
    store = objects.local_store(current_workspace())
    if not digest or not store.has(digest):
        return None
    for _ in store.chunks(digest):
        pass
    return store.path(digest)


@undeclared.declared_reads()
def recorded_file(label: str, path: Path, run_id: str = "") -> Path:
    """The path in the store of an input that may be larger than memory, recorded for the run; it never changes."""
    store = objects.local_store(current_workspace())
    digest = store.put(path)
    stored = store.path(digest)
    _record(label, digest, stored.stat().st_size, run_id, None)
    undeclared.declare(stored)
    return stored


def _record(label: str, digest: str, size: int, run_id: str, built: receipt.Json | None) -> None:
    if (expected := pinned().get(label)) and expected != digest:
        raise NotReproduced(
            f"input {label} was made again and differs: found {digest[:12]}…, expected {expected[:12]}…",
            mend="make pull",
        )
    event = {"kind": "input", "name": label, "sha256": digest, "bytes": size, "run": run_id, "built": built}
    run_folder.append_event(run(), event)


@undeclared.declared_reads()
def check_place(path: Path) -> None:
    """Raise UsageError where a reproduction would read a file outside the workspace: its receipt may be anybody's."""
    if Pins.current().inputs is not None and not path.resolve().is_relative_to(current_workspace().root):
        raise UsageError(
            f"a reproduction reads no file outside the workspace: {path}; expected its bytes in the store",
            mend="make pull",
        )


def recorded_settings(name: str) -> Any:
    """A group of settings as plain JSON, recorded as an input: a reproduction reads the same values."""
    label = inputs.settings(name)
    return json.loads(recorded(label, pinned_content(label) or settings.section_bytes(current_settings(), name)))


def note(text: str) -> None:
    """Show on the console what the notebook waits for."""
    run_folder.append_event(run(), {"kind": "note", "text": text})
