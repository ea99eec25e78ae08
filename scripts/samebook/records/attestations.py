"""Attestations of reproductions: reproduction-<n>.json beside the receipt of the run that was run again.

Their predicate type is described in docs/reference/reproduction.md. An attestation may come from anybody: one that
breaks its schema counts as none.
"""

from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from samebook.core.digest import json_bytes, parse_json, sha256
from samebook.records.receipt import Json
from samebook.records.schema import Digests, File, Part, Sha256

# The mark of a read that nobody could see, in place of a sha256.
UNSEEN = "unseen"
# The facts of a run's place by which a policy with pinned_image knows it.
PINNED = ("internalParameters.engine", "base image")
TYPE = "urn:samebook:reproduction:v1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

type Verdict = Literal["IDENTICAL", "EQUIVALENT", "DIFFERENT", "MISSING"]


class SubjectVerdict(Part):
    """The verdict on one subject, and what differs, in words."""

    verdict: Verdict
    detail: str = ""


class Fact(Part):
    """A fact of the run's definition that the receipt and the new run state differently, as text."""

    original: str
    reproduced: str
    essential: Annotated[bool, Field(description="false for the place of the run: engine, platform, processor")]


class Receipt(Part):
    """The receipt of the run that was run again, as it was before."""

    sha256: Sha256


class Place(Part):
    """The place of a run: who built it, with which engine, on which platform, in which environment."""

    builder: str
    engine: str = ""
    platform: str = ""
    environment: Annotated[Digests | None, Field(description="digest of the Python and the packages")] = None


class Original(Place):
    """The place of the original, as its receipt says, and the names of the trusted keys that have signed it."""

    signers: Annotated[list[str], Field(default_factory=list)]


class Reproducer(Place):
    """The place of the reproduction."""

    engine: str
    platform: str
    user: str = ""
    os: str = ""
    kernel: str = ""


class Predicate(Part):
    """A reproduction: a run was run again from its receipt, and the bytes of each subject were compared."""

    verdict: Annotated[Verdict, Field(description="the worst of all subjects; DIFFERENT where an essential fact is")]
    verdicts: Annotated[dict[str, SubjectVerdict], Field(description="by the name of the subject")]
    tolerance: Annotated[float, Field(ge=0, description="how far numbers may be apart to be EQUIVALENT")] = 0.0
    receipt: Receipt
    original: Original | None = None
    reproducer: Reproducer
    run: Annotated[
        dict[str, Any], Field(description="the new run: invocationId, startedOn, finishedOn", default_factory=dict)
    ]
    finished_on: str
    definition: Annotated[dict[str, Fact], Field(description="by the name of the fact", default_factory=dict)]
    undeclared: Annotated[
        dict[str, Any], Field(description="files that were read without a declaration", default_factory=dict)
    ]


class Statement(Part):
    """An in-toto Statement v1 about the subjects of the original, by the bytes that were compared."""

    model_config = ConfigDict(title="Reproduction")

    kind: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: list[File]
    predicate_type: Literal["urn:samebook:reproduction:v1"]
    predicate: Predicate


def json_schema() -> bytes:
    """The JSON Schema of an attestation: docs/reference/reproduction.schema.json."""
    return json_bytes({"$schema": DIALECT, **Statement.model_json_schema()})


def read(path: Path) -> Json | None:
    """The attestation in a file; None where the file holds something else, as a receipt does."""
    try:
        return parse(path.read_bytes())
    except OSError:
        return None


def beside(receipt: Path) -> tuple[tuple[Path, Json], ...]:
    """The attestations beside a receipt that name its sha256, with their paths, oldest first."""
    files = sorted(receipt.parent.glob("reproduction-*.json"), key=lambda file: (len(file.name), file.name))
    statements = ((file, read(file)) for file in files)
    digest = sha256(receipt)
    return tuple((file, item) for file, item in statements if item and item["predicate"]["receipt"]["sha256"] == digest)


def parse(content: bytes) -> Json | None:
    """The attestation in these bytes; None where they hold something else."""
    try:
        statement = parse_json(content)
        Statement.model_validate(statement)
    except ValueError:
        return None
    return statement


def facts(attestation: Json) -> dict[str, str]:
    """The builder, engine and platform of the reproduction, its verdict, and the time when it finished."""
    predicate = attestation["predicate"]
    reproducer = {name: predicate["reproducer"][name] for name in ("builder", "engine", "platform")}
    return {**reproducer, "verdict": predicate["verdict"], "finished": predicate["finishedOn"]}


def verdicts(attestation: Json) -> dict[str, str]:
    """The verdict on each subject, by the subject's name."""
    return {name: item["verdict"] for name, item in attestation["predicate"]["verdicts"].items()}


def contradicted_facts(attestation: Json, is_pinned: bool) -> list[str]:
    """The facts of the run that its reproduction contradicts; where the image is pinned, engine and base image count.

    The id of an image that each machine builds for itself may differ. Attestations of before name no such facts.
    """
    definition = attestation["predicate"].get("definition", {})
    return [name for name, item in definition.items() if item["essential"] or (is_pinned and name in PINNED)]


def unseen_reads(attestation: Json) -> list[str]:
    """The reads of a new run that nobody could see and that may be of an earlier result.

    On the local engine earlier results lie on the same disk; a container has none of them.
    """
    predicate = attestation["predicate"]
    if predicate["reproducer"]["engine"] == "docker":
        return []
    return [name for name, digest in predicate.get("undeclared", {}).items() if digest == UNSEEN]


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
