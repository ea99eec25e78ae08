"""Bundles: models/<name>.json holds all that belongs to one promoted model, in one readable file.

One file, because git merges a file whole or stops with a conflict, and separate files into a mixture. Its `digest` is
over all the rest: two versions differ in that line, so not even a line-by-line merge can make a third of them.
The bytes it names are in the store; what it says of them (metrics, monitoring) is checked against their hashes.
"""

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError
from samebook.records import receipt, run_folder
from samebook.records.receipt import Json
from samebook.records.schema import Commit, Dependency, FileName, Sha256, Uri, Word

NAME = re.compile(r"[a-z][a-z0-9_-]*")
REFERENCE = "outputs/reference.json"
WIDTH = 118


def _hashed(item: Json) -> Json:
    """An input as a receipt has it, with its sha256."""
    if Dependency.model_validate(item).digest.sha256 is None:
        raise ValueError("an input without a sha256")
    return item


class Part(BaseModel):
    """A group of a bundle's fields; what nobody knows is refused, as is what is not of its type.

    A bundle may come from anybody: no name in it leaves its folder, nothing in it can be a command.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Artifact(Part):
    sha256: Sha256
    size: Annotated[int, Field(ge=0, description="bytes")]


class Source(Part):
    """What was run."""

    commit: Commit
    dirty: bool
    patch: Sha256 | None = None
    notebook: FileName
    parameters: dict[str, Any]
    env: Word


class Environment(Part):
    """What it ran in; packages by version."""

    digest: Sha256
    lock: Sha256
    python: str
    engine: Word
    image: Uri | None = None
    base_image: Uri | None = None
    packages: dict[str, str]


class Dataset(Part):
    """What it learnt from: the sha256 of each day's partition."""

    newest: str
    days: dict[str, Sha256]


class Receipt(Part):
    """The receipt in the store, and its key facts."""

    sha256: Sha256
    envelope: Sha256 | None = None
    run: str
    builder: str
    finished: str


class Reproduction(Part):
    """An attestation in the store that somebody ran it again, and its key facts."""

    sha256: Sha256
    envelope: Sha256 | None = None
    builder: str
    engine: str
    platform: str
    verdict: str
    finished: str


class Gate(Part):
    """The comparison with the champion that let it pass: a run of the gate's notebook, and its receipt."""

    run: str
    receipt: Sha256
    metrics: dict[str, float | int]


class Promotion(Part):
    """Who promoted it, when (UTC), to what environment's policy, as it was then, and why."""

    by: str
    at: str
    env: Word
    why: str
    policy: dict[str, Any] = {}
    gate: Gate | None = None


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
        return sha256(json_bytes(self._told(exclude={"digest"})))

    def _told(self, **options: Any) -> Json:
        """What was said when it was made: a field that came to bundles later changes no older one."""
        return self.model_dump(mode="json", exclude_unset=True, **options)

    def content(self) -> bytes:
        """The file: a line for each short group, so that a pull request shows what changed."""
        return (format_json(self._told()) + "\n").encode()

    @property
    def outputs(self) -> dict[str, Artifact]:
        """The files that the notebook left, by their name below outputs/."""
        prefix = "outputs/"
        return {name.removeprefix(prefix): each for name, each in self.artifacts.items() if name.startswith(prefix)}

    def wrong(self) -> str | None:
        """What in it is not what its own hashes say; None where all holds."""
        if self.digest != self._digest():
            return "its digest is not that of its content: it was edited by hand, or mixed from two"
        inline = {run_folder.METRICS: self.metrics, REFERENCE: self.monitoring}
        for name, value in inline.items():
            told = self.artifacts.get(name)
            if (value is not None or told) and (told is None or told.sha256 != sha256(json_bytes(value))):
                return f"what it says of {name} is not what that file's hash says"
        return None

    def built_from(self) -> Json:
        """What it takes to build its artifacts again, as `receipt.built_from` tells it."""
        patch = {"patch": self.source.patch} if self.source.patch else {}
        annotations = {"dirty": self.source.dirty, **patch}
        commit = {"name": receipt.COMMIT, "digest": {"gitCommit": self.source.commit}, "annotations": annotations}
        told = {"notebook": self.source.notebook, "parameters": self.source.parameters, "env": self.source.env}
        return {"commit": commit, **told}

    def plan(self) -> Json:
        """A receipt without subjects, to run again on the very same inputs."""
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


def parse(content: bytes, where: str) -> Bundle:
    """A bundle from its file's content, checked against its own hashes. Raises UsageError where they don't hold."""
    mend = "take one version whole: git checkout --ours (or --theirs) models/…, or git checkout HEAD models/…"
    try:
        found = Bundle.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where} is not a whole bundle: {place}: {first['msg']}", mend=mend) from error
    if wrong := found.wrong():
        raise UsageError(f"{where} can't be trusted: {wrong}", mend=mend)
    if content.replace(b"\r\n", b"\n") != found.content():
        raise UsageError(f"{where} is not as it was written: it was edited by hand, or by a formatter", mend=mend)
    return found


def referenced_objects(bundle: Bundle) -> dict[str, str]:
    """Each object of the store that belongs to a bundle, by sha256, and what it is: to run it, and to run it again."""
    label = f"of model {bundle.name}"
    objects = {each.sha256: f"{name} {label}" for name, each in {**bundle.byproducts, **bundle.artifacts}.items()}
    for name, found in bundle.data.items():
        objects |= {digest: f"{name} {day} {label}" for day, digest in found.days.items()}
    objects |= {item["digest"]["sha256"]: f"{item['name']} {label}" for item in bundle.inputs}
    statements = (bundle.receipt, *bundle.reproductions)
    objects |= {each.sha256: f"a reproduction {label}" for each in bundle.reproductions}
    objects |= {each.envelope: f"a signature {label}" for each in statements if each.envelope}
    objects |= {bundle.source.patch: f"the patch {label}"} if bundle.source.patch else {}
    objects |= {bundle.promoted.gate.receipt: f"the gate's receipt {label}"} if bundle.promoted.gate else {}
    return objects | {bundle.receipt.sha256: f"the receipt {label}"}


def format_json(value: Any, indent: str = "") -> str:
    """JSON with a line for each group that fits in one, and for each list of numbers."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    match value:
        case dict() if value and not (indent and len(indent) + len(line) <= WIDTH):
            named = ((json.dumps(key, ensure_ascii=False), item) for key, item in value.items())
            return _block("{", [f"{key}: {format_json(item, indent + '  ')}" for key, item in named], indent, "}")
        case [dict(), *_]:
            return _block("[", [format_json(item, indent + "  ") for item in value], indent, "]")
        case _:
            return line


def _block(opening: str, parts: list[str], indent: str, closing: str) -> str:
    return opening + ",".join(f"\n{indent}  {part}" for part in parts) + f"\n{indent}{closing}"


def json_schema() -> bytes:
    """The JSON Schema of a bundle: environments/schemas/bundle.json."""
    return json_bytes(Bundle.model_json_schema())
