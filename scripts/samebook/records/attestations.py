"""Attestations that somebody ran a run again: reproduction-<n>.json beside its receipt."""

import json
from itertools import count
from pathlib import Path

from samebook.core.digest import json_bytes
from samebook.records import receipt
from samebook.records.receipt import Json

TYPE = "urn:samebook:reproduction:v1"


def read(path: Path) -> Json | None:
    """The attestation in a file; None where it holds something else, a receipt for example."""
    try:
        return parse(path.read_bytes())
    except OSError:
        return None


def parse(content: bytes) -> Json | None:
    """An attestation from its bytes; None where they are something else."""
    try:
        found = json.loads(content)
        ours = found["_type"] == receipt.STATEMENT and found["predicateType"] == TYPE
        whole = isinstance(found["predicate"]["receipt"]["sha256"], str) and isinstance(found["subject"], list)
        return found if ours and whole and facts(found) and verdicts(found) is not None else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def facts(attestation: Json) -> dict[str, str]:
    """Who ran it again, where, when, and what came out."""
    told = attestation["predicate"]
    who = {name: str(told["reproducer"][name]) for name in ("builder", "engine", "platform")}
    return {**who, "verdict": str(told["verdict"]), "finished": str(told["finishedOn"])}


def verdicts(attestation: Json) -> dict[str, str]:
    """The verdict on each subject."""
    return {name: str(each["verdict"]) for name, each in attestation["predicate"]["verdicts"].items()}


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
