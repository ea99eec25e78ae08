"""Evidence for a receipt: whether each file that it names is beside it or in the store, with the same sha256.

The notebook is evidence only where none of its cells failed: an older samebook gave a receipt to some such runs.
"""

from contextlib import suppress
from pathlib import Path

from samebook.core.digest import parse_json, sha256
from samebook.core.workspace import Workspace
from samebook.records import canonical, receipt, run_folder
from samebook.store import objects

BESIDE, STORED = "beside the receipt", "in the store"
ABSENT, DAMAGED = "neither beside the receipt nor in the store", "damaged in the store"


def file_states(workspace: Workspace, path: Path, statement: receipt.Json) -> dict[str, str]:
    """The state of each file that the receipt at `path` names, and of each file in outputs/ that it does not name.

    A state is BESIDE, STORED, or a description of the problem.
    """
    digests = receipt.file_digests(statement)
    states = {name: file_state(workspace, path.parent, name, digest) for name, digest in digests.items()}
    folder = path.parent / "outputs"
    if folder.is_symlink():  # it may lead to any number of files
        return states | {"outputs": "found a link, expected a folder"}
    names = (output.relative_to(path.parent).as_posix() for output in folder.rglob("*") if output.is_file())
    states |= {name: "not in the receipt" for name in names if name not in states}
    digest = digests.get(run_folder.CANONICAL)
    if digest and (cell := _failed_cell(workspace, path.parent, digest)):
        states[run_folder.CANONICAL] = f"cell `{cell}` ended with an error, so the run has failed"
    return states


def _failed_cell(workspace: Workspace, folder: Path, digest: str) -> str:
    """The name of the cell that failed, as the canonical notebook shows it; "" where there is none."""
    path = folder / run_folder.CANONICAL
    with suppress(objects.DamagedObject, ValueError, TypeError, KeyError, AttributeError):  # its state says so already
        content = path.read_bytes() if path.is_file() else objects.local_store(workspace).get(digest)
        return canonical.failed_cell(parse_json(content or b"[]"))
    return ""


def problems(states: dict[str, str]) -> list[str]:
    """The states that are neither BESIDE nor STORED, a line each."""
    return [f"{name}: {state}" for name, state in states.items() if state not in (BESIDE, STORED)]


def alterations(states: dict[str, str]) -> list[str]:
    """The states of files beside the receipt with other bytes than it says, a line each; files may be missing."""
    return [f"{name}: {state}" for name, state in states.items() if state not in (BESIDE, STORED, ABSENT, DAMAGED)]


def file_state(workspace: Workspace, folder: Path, name: str, digest: str) -> str:
    """The state of one file of the receipt in `folder`: BESIDE, STORED, or a description of the problem."""
    path = folder / name
    if path.is_file():
        actual = sha256(path)
        return BESIDE if actual == digest else f"found sha256 {actual[:12]}…, expected {digest[:12]}…"
    try:
        is_stored = objects.local_store(workspace).get(digest) is not None
    except objects.DamagedObject:
        return DAMAGED
    return STORED if is_stored else ABSENT
