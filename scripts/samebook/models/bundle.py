"""Bundles: models/<name>.json holds everything about one promoted model, in one readable file.

It is one file because git merges separate files into a mixture, and stops with a conflict in one. Its `digest` is over
all other fields: two versions differ in that line, so that even a line-by-line merge cannot make a third one of them.
The files that a bundle names are in the store. Its copies of metrics and monitoring are checked against their hashes.
"""

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError
from samebook.records import receipt, run_folder
from samebook.records.receipt import Json
from samebook.records.schema import Commit, Dependency, FileName, RunId, Sha256, Uri, Word

NAME = re.compile(r"[a-z][a-z0-9_-]*")
REFERENCE = "outputs/reference.json"
WIDTH = 118


def _hashed(item: Json) -> Json:
    """An input in the form of a receipt. Raises ValueError where it has no sha256."""
    if Dependency.model_validate(item).digest.sha256 is None:
        raise ValueError("an input without a sha256")
    return item


class Part(BaseModel):
    """A group of a bundle's fields; unknown fields and other types are refused.

    A bundle may come from anybody: no name in it leads out of its folder, and no text in it can be a command.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Artifact(Part):
    sha256: Sha256
    size: Annotated[int, Field(ge=0, description="bytes")]


class Source(Part):
    """The source of the model: commit, notebook and parameters of its run."""

    commit: Commit
    dirty: bool
    patch: Sha256 | None = None
    notebook: FileName
    parameters: dict[str, Any]
    env: Word


class Environment(Part):
    """The environment of the model's run; packages by version."""

    digest: Sha256
    lock: Sha256
    python: str
    engine: Word
    image: Uri | None = None
    base_image: Uri | None = None
    packages: dict[str, str]


class Dataset(Part):
    """A dataset that the model was trained on: the sha256 of each day's partition."""

    newest: str
    days: dict[str, Sha256]


class Receipt(Part):
    """The receipt of the model's run: its sha256 in the store, and its key facts."""

    sha256: Sha256
    envelope: Sha256 | None = None
    run: RunId
    builder: str
    finished: str


class Reproduction(Part):
    """A reproduction of the model's run, or of the gate's: the attestation's sha256 in the store, and its key facts."""

    sha256: Sha256
    envelope: Sha256 | None = None
    builder: str
    engine: str
    platform: str
    verdict: str
    finished: str


class Gate(Part):
    """The passed comparison with the champion: a run of the gate's notebook, and its receipt."""

    run: RunId
    receipt: Sha256
    envelope: Sha256 | None = None
    metrics: dict[str, float | int]
    reproductions: list[Reproduction] = []


class Promotion(Part):
    """The promotion: author, time (UTC), reason, and the policy of its environment at that time."""

    by: str
    at: str
    env: Word
    why: str
    policy: dict[str, Any] = {}
    gate: Gate | None = None
    signature: Sha256 | None = None


class Bundle(Part):
    """A promoted model."""

    schema_version: Literal[1]
    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    digest: Annotated[str, Field(description="sha256 over all other fields")] = ""
    metrics: dict[str, float | int]
    source: Source
    artifacts: dict[FileName, Artifact]
    byproducts: dict[FileName, Artifact] = {}
    data: dict[str, Dataset]
    inputs: list[Annotated[dict[str, Any], AfterValidator(_hashed)]] = []
    environment: Environment
    receipt: Receipt
    reproductions: list[Reproduction] = []
    monitoring: dict[str, Any] | None = None
    promoted: Promotion

    def sealed(self) -> Self:
        """This bundle with its digest."""
        return self.model_copy(update={"digest": self._digest()})

    def _digest(self) -> str:
        return sha256(json_bytes(self._fields(exclude={"digest"})))

    def _fields(self, **options: Any) -> Json:
        """The fields that were set: a field that bundles got later changes no older bundle's digest."""
        return self.model_dump(mode="json", exclude_unset=True, **options)

    def content(self) -> bytes:
        """The file's bytes, with a line for each short group, so that a pull request shows which groups changed."""
        return (format_json(self._fields()) + "\n").encode()

    @property
    def outputs(self) -> dict[str, Artifact]:
        """The artifacts in outputs/, by their path below it."""
        prefix = "outputs/"
        files = self.artifacts.items()
        return {name.removeprefix(prefix): artifact for name, artifact in files if name.startswith(prefix)}

    def mismatch(self) -> str | None:
        """The first mismatch of the bundle with its own hashes; None where there is none."""
        if self.digest != self._digest():
            return "its digest is not that of its content: it was edited by hand, or mixed from two"
        if any(dataset.newest != max(dataset.days, default="") for dataset in self.data.values()):
            return "its newest day of data is not the newest of its days"
        inline = {run_folder.METRICS: self.metrics, REFERENCE: self.monitoring}
        for name, value in inline.items():
            artifact = self.artifacts.get(name)
            if value is None and artifact is None:
                continue
            if artifact is None or artifact.sha256 != sha256(json_bytes(value)):
                return f"what it says of {name} is not what that file's hash says"
        return None

    def built_from(self) -> Json:
        """The source that builds the artifacts again, in the form of `receipt.built_from`."""
        source = self.source
        annotations = {"dirty": source.dirty, **({"patch": source.patch} if source.patch else {})}
        commit = {"name": receipt.COMMIT, "digest": {"gitCommit": source.commit}, "annotations": annotations}
        return {"commit": commit, "notebook": source.notebook, "parameters": source.parameters, "env": source.env}

    def plan(self) -> Json:
        """A receipt without subjects, to run the source again on the same inputs."""
        days = {
            f"{name}/day={day}": digest for name, dataset in self.data.items() for day, digest in dataset.days.items()
        }
        inputs = [
            {"name": name, "digest": {"sha256": digest}, "annotations": {"input": True}}
            for name, digest in days.items()
        ]
        plan = receipt.plan(self.built_from())
        receipt.dependencies(plan).extend([*inputs, *self.inputs])
        return plan


def parse(content: bytes, file: str) -> Bundle:
    """The bundle in a file's content, checked against its own hashes; errors name `file`.

    Raises UsageError where it is not whole, a hash does not hold, or the file is not as it was written.
    """
    mend = "git stash push -- models"
    try:
        bundle = Bundle.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{file} is not a whole bundle: {place}: {first['msg']}", mend=mend) from error
    if mismatch := bundle.mismatch():
        raise UsageError(f"{file} can't be trusted: {mismatch}", mend=mend)
    if content.replace(b"\r\n", b"\n") != bundle.content():
        raise UsageError(f"{file} is not as it was written: it was edited by hand, or by a formatter", mend=mend)
    return bundle


def referenced_objects(bundle: Bundle) -> dict[str, str]:
    """A description of each object that a bundle needs in the store, for use and for a rerun, by sha256."""
    label = f"of model {bundle.name}"
    files = {**bundle.byproducts, **bundle.artifacts}
    objects = {file.sha256: f"{name} {label}" for name, file in files.items()}
    for name, dataset in bundle.data.items():
        objects |= {digest: f"{name} {day} {label}" for day, digest in dataset.days.items()}
    objects |= {item["digest"]["sha256"]: f"{item['name']} {label}" for item in bundle.inputs}
    objects |= {bundle.source.patch: f"the patch {label}"} if bundle.source.patch else {}
    return objects | {digest: f"{name} {label}" for digest, name in statement_objects(bundle).items()}


def statement_objects(bundle: Bundle) -> dict[str, str]:
    """A description of each statement, and envelope of one, that a bundle names, by sha256."""
    gate = bundle.promoted.gate
    reproductions = [("a reproduction", reproduction) for reproduction in bundle.reproductions]
    reproductions += [("a reproduction of the gate's run", item) for item in gate.reproductions] if gate else []
    objects = {signature: "the model's signature"} if (signature := bundle.promoted.signature) else {}
    objects |= {gate.receipt: "the gate's receipt"} if gate else {}
    objects |= {gate.envelope: "the signature of the gate's receipt"} if gate and gate.envelope else {}
    for name, statement in (*reproductions, ("the receipt", bundle.receipt)):
        objects |= {statement.envelope: "a signature"} if statement.envelope else {}
        objects |= {statement.sha256: name}
    return objects


def format_json(value: Any, indent: str = "") -> str:
    """JSON with a line for each group that fits in one, and for each list of numbers."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    match value:
        case dict() if value and not (indent and len(indent) + len(line) <= WIDTH):
            members = ((json.dumps(key, ensure_ascii=False), item) for key, item in value.items())
            return _block("{", [f"{key}: {format_json(item, indent + '  ')}" for key, item in members], indent, "}")
        case [dict(), *_]:
            return _block("[", [format_json(item, indent + "  ") for item in value], indent, "]")
        case _:
            return line


def _block(opening: str, parts: list[str], indent: str, closing: str) -> str:
    return opening + ",".join(f"\n{indent}  {part}" for part in parts) + f"\n{indent}{closing}"


def json_schema() -> bytes:
    """The JSON Schema of a bundle, for editors: .samebook/schemas/bundle.json."""
    return json_bytes(Bundle.model_json_schema())
