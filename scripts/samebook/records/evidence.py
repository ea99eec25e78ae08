"""What a receipt says against what is there: each file's hash, beside the receipt or in the store."""

from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.workspace import Workspace
from samebook.records import receipt
from samebook.store import objects

BESIDE, STORED = "beside the receipt", "in the store"


def files(here: Workspace, path: Path, statement: receipt.Json) -> dict[str, str]:
    """Where each file that the receipt in `path` speaks of is, or what is wrong with it; strangers in outputs/ too."""
    found = {name: where(path.parent, name, digest, here) for name, digest in receipt.file_digests(statement).items()}
    outputs = (each.relative_to(path.parent).as_posix() for each in (path.parent / "outputs").rglob("*"))
    strangers = (name for name in outputs if name not in found and (path.parent / name).is_file())
    return found | dict.fromkeys(strangers, "not in the receipt")


def wrong(found: dict[str, str]) -> list[str]:
    """What does not hold of what `files` found, a line each."""
    return [f"{name}: {state}" for name, state in found.items() if state not in (BESIDE, STORED)]


def where(folder: Path, name: str, digest: str, here: Workspace) -> str:
    """Where the bytes with this sha256 are: BESIDE, STORED, or what was found instead."""
    beside = folder / name
    if beside.is_file():
        found = sha256(beside)
        return BESIDE if found == digest else f"found sha256 {found[:12]}…, expected {digest[:12]}…"
    try:
        return (
            STORED
            if objects.local_store(here).get(digest) is not None
            else "neither beside the receipt nor in the store"
        )
    except objects.DamagedObject:
        return "damaged in the store"
