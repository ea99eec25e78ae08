"""Attestations of reproductions: reproduction-<n>.json beside the receipt of the run that was run again."""

from itertools import count
from pathlib import Path

from samebook.core.digest import parse_json
from samebook.records import receipt
from samebook.records.receipt import Json

# The facts of a run's place by which a policy with pinned_image knows it.
PINNED = ("internalParameters.engine", "base image")
TYPE = "urn:samebook:reproduction:v1"


def read(path: Path) -> Json | None:
    """The attestation in a file; None where the file holds something else, as a receipt does."""
    try:
        return parse(path.read_bytes())
    except OSError:
        return None


def parse(content: bytes) -> Json | None:
    """The attestation in these bytes; None where they hold something else."""
    try:
        statement = parse_json(content)
        is_typed = statement["_type"] == receipt.STATEMENT and statement["predicateType"] == TYPE
        has_digest = isinstance(statement["predicate"]["receipt"]["sha256"], str)
        has_subjects = isinstance(statement["subject"], list)
        facts(statement), verdicts(statement), contradicted_facts(statement, True)  # raise where a field is missing
        return statement if is_typed and has_digest and has_subjects else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def facts(attestation: Json) -> dict[str, str]:
    """The builder, engine and platform of the reproduction, its verdict, and the time when it finished."""
    predicate = attestation["predicate"]
    reproducer = {name: str(predicate["reproducer"][name]) for name in ("builder", "engine", "platform")}
    return {**reproducer, "verdict": str(predicate["verdict"]), "finished": str(predicate["finishedOn"])}


def verdicts(attestation: Json) -> dict[str, str]:
    """The verdict on each subject, by the subject's name."""
    return {name: str(item["verdict"]) for name, item in attestation["predicate"]["verdicts"].items()}


def contradicted_facts(attestation: Json, is_pinned: bool) -> list[str]:
    """The facts of the run that its reproduction contradicts; where the image is pinned, engine and base image count.

    The id of an image that each machine builds for itself may differ. Attestations of before name no such facts.
    """
    definition = attestation["predicate"].get("definition", {})
    return [name for name, item in definition.items() if item["essential"] or (is_pinned and name in PINNED)]


def write(folder: Path, content: bytes) -> Path:
    """Write an attestation under the first free number; two processes that write at once take two numbers."""
    for number in count(1):
        path = folder / f"reproduction-{number}.json"
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        try:
            with file:
                file.write(content)
        except OSError:  # a full disk: half an attestation would take a number
            path.unlink()
            raise
        return path
    raise AssertionError("count() does not end")
