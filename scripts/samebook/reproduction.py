"""Attestations that somebody ran a run again: reproduction-<n>.json beside its receipt."""

import json
from itertools import count
from pathlib import Path

from samebook import receipt
from samebook.digest import json_bytes
from samebook.receipt import Json

TYPE = "urn:samebook:reproduction:v1"


def read(path: Path) -> Json | None:
    """The attestation in a file; None where it holds something else, a receipt for example."""
    try:
        found = json.loads(path.read_bytes())
        ours = found["_type"] == receipt.STATEMENT and found["predicateType"] == TYPE
        return found if ours and isinstance(found["predicate"]["receipt"]["sha256"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def facts(attestation: Json) -> dict[str, str]:
    """Who ran it again, where, when, and what came out."""
    told = attestation["predicate"]
    who = {name: str(told["reproducer"][name]) for name in ("builder", "engine", "platform")}
    return {**who, "verdict": str(told["verdict"]), "finished": str(told["finishedOn"])}


def write(folder: Path, statement: Json) -> Path:
    """Write an attestation under the first number that is free; two that end together take two numbers."""
    for number in count(1):
        path = folder / f"reproduction-{number}.json"
        try:
            with path.open("xb") as file:
                file.write(json_bytes(statement))
        except FileExistsError:
            continue
        return path
    raise AssertionError("count() does not end")
