"""Bundles: models/<name>.json holds all that belongs to one promoted model, in one readable file.

One file, because git merges a file whole or stops with a conflict, and separate files into a mixture. Its `digest` is
over all the rest: two versions differ in that line, so not even a line-by-line merge can make a third of them.
The bytes it names are in the store; what it says of them (metrics, monitoring) is checked against their hashes.
"""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from samebook import git, receipt, runfolder, signing
from samebook.digest import json_bytes, sha256
from samebook.errors import UsageError, nearest
from samebook.receipt import Json
from samebook.workspace import Workspace

NAME = re.compile(r"[a-z][a-z0-9_-]*")
DAY = re.compile(r"(?P<dataset>[a-z][a-z0-9_]*)/day=(?P<day>\d{4}-\d\d-\d\d)")
REFERENCE = "outputs/reference.json"
# What a run calls it that has read one: `bundle delay@prod`.
LABEL = "bundle "
WIDTH = 118

type Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """A group of a bundle's fields; what nobody knows is refused, as is what is not of its type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Artifact(Part):
    sha256: Sha256
    size: Annotated[int, Field(ge=0, description="bytes")]


class Source(Part):
    """What was run."""

    commit: str
    dirty: bool
    patch: Sha256 | None = None
    notebook: str
    parameters: dict[str, Any]
    env: str


class Environment(Part):
    """What it ran in; packages by version."""

    digest: Sha256
    lock: Sha256
    python: str
    image: str | None = None
    base_image: str | None = None
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


class Promoted(Part):
    """Who promoted it, when (UTC), to what environment's policy, and why."""

    by: str
    at: str
    env: str
    why: str
    gate: Gate | None = None


class Bundle(Part):
    """A promoted model."""

    schema_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    digest: Annotated[str, Field(description="sha256 over all other fields")] = ""
    metrics: dict[str, float | int]
    source: Source
    artifacts: dict[str, Artifact]
    data: dict[str, Dataset]
    inputs: list[dict[str, Any]] = []
    environment: Environment
    receipt: Receipt
    reproductions: list[Reproduction] = []
    monitoring: dict[str, Any] | None = None
    promoted: Promoted

    def sealed(self) -> Self:
        """This bundle with its digest."""
        return self.model_copy(update={"digest": self._digest()})

    def _digest(self) -> str:
        return sha256(json_bytes(self.model_dump(mode="json", exclude={"digest"})))

    def content(self) -> bytes:
        """The file: a line for each short group, so that a pull request shows what changed."""
        return (readable(self.model_dump(mode="json")) + "\n").encode()

    @property
    def outputs(self) -> dict[str, Artifact]:
        """The files that the notebook left, by their name below outputs/."""
        prefix = "outputs/"
        return {name.removeprefix(prefix): each for name, each in self.artifacts.items() if name.startswith(prefix)}

    def wrong(self) -> str | None:
        """What in it is not what its own hashes say; None where all holds."""
        if self.digest != self._digest():
            return "its digest is not that of its content: it was edited by hand, or mixed from two"
        inline = {runfolder.METRICS: self.metrics, REFERENCE: self.monitoring}
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


def of_run(name: str, run: Path, statement: Json, reproductions: list[Reproduction], promoted: Promoted) -> Bundle:
    """The bundle of a finished run. Raises UsageError where its receipt names no commit."""
    commit = receipt.dependency(statement, receipt.COMMIT)
    if commit is None:
        raise UsageError(f"{run.name} was made outside a git repository: nobody could run it again")
    digests = receipt.subject_digests(statement)
    details = statement["predicate"]["runDetails"]
    monitoring = json.loads((run / REFERENCE).read_text()) if REFERENCE in digests else None
    inputs = receipt.input_items(statement)
    return Bundle(
        name=name,
        metrics=json.loads((run / runfolder.METRICS).read_text()),
        source=Source(
            commit=commit["digest"]["gitCommit"],
            dirty=commit.get("annotations", {}).get("dirty", True),
            patch=commit.get("annotations", {}).get("patch"),
            **receipt.external(statement),
        ),
        artifacts={
            each: Artifact(sha256=digest, size=(run / each).stat().st_size) for each, digest in sorted(digests.items())
        },
        data=_datasets(inputs),
        inputs=[item for item in inputs if not DAY.fullmatch(item["name"])],
        environment=_environment(statement),
        receipt=Receipt(
            **signed(run / runfolder.RECEIPT),
            run=details["metadata"]["invocationId"],
            builder=details["builder"]["id"],
            finished=details["metadata"]["finishedOn"],
        ),
        reproductions=reproductions,
        monitoring=monitoring,
        promoted=promoted,
    ).sealed()


def signed(statement: Path) -> dict[str, str]:
    """The sha256 of a statement's file, and of the envelope with its signature where there is one."""
    envelope = signing.envelope_of(statement)
    return {"sha256": sha256(statement), **({"envelope": sha256(envelope)} if envelope.is_file() else {})}


def _datasets(inputs: list[Json]) -> dict[str, Dataset]:
    days: dict[str, dict[str, str]] = {}
    for item in inputs:
        if found := DAY.fullmatch(item["name"]):
            days.setdefault(found["dataset"], {})[found["day"]] = item["digest"]["sha256"]
    return {name: Dataset(newest=max(found), days=dict(sorted(found.items()))) for name, found in sorted(days.items())}


def _environment(statement: Json) -> Environment:
    found = receipt.dependency(statement, receipt.ENVIRONMENT) or {}
    lock = receipt.dependency(statement, "environments/runtime.txt") or {}
    told = found["annotations"]
    images = {name: (receipt.dependency(statement, name) or {}).get("uri") for name in ("image", "base image")}
    return Environment(
        digest=found["digest"]["sha256"],
        lock=lock["digest"]["sha256"],
        python=told["python"],
        image=images["image"],
        base_image=images["base image"],
        packages={name: version.split()[0] for name, version in sorted(told["packages"].items())},
    )


def path(workspace: Workspace, name: str) -> Path:
    """Where the bundle of a model is. Raises UsageError for what is no name of a model."""
    if not NAME.fullmatch(name):
        raise UsageError(f"model {name!r}: expected lower-case letters, digits, - and _, like delay")
    return workspace.models / f"{name}.json"


def is_reference(workspace: Workspace, text: str) -> bool:
    """Whether `delay` or `delay@branch` means a promoted model here."""
    name, at, _ = text.partition("@")
    return NAME.fullmatch(name) is not None and (bool(at) or path(workspace, name).is_file())


def read(workspace: Workspace, reference: str) -> Bundle:
    """The bundle `delay`, or `delay@REF` at a branch, tag or commit.

    Raises UsageError where there is none, or none that is whole.
    """
    name, at, ref = reference.partition("@")
    file = path(workspace, name)
    if at:
        return parse(git.show(workspace.root, ref, workspace.relative(file)), reference)
    if not file.is_file():
        known = (found.stem for found in workspace.models.glob("*.json"))
        raise UsageError(
            f"no model {name!r} is promoted here{nearest(name, known)}",
            mend=f"make promote RUN=train MODEL={name}, or name a branch that has it: {name}@prod",
        )
    return parse(file.read_bytes(), workspace.relative(file))


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
    return found


def everything(bundle: Bundle) -> dict[str, str]:
    """Each object of the store that belongs to a bundle, by sha256, and what it is: to run it, and to run it again."""
    label = f"of model {bundle.name}"
    objects = {each.sha256: f"{name} {label}" for name, each in bundle.artifacts.items()}
    for name, found in bundle.data.items():
        objects |= {digest: f"{name} {day} {label}" for day, digest in found.days.items()}
    objects |= {item["digest"]["sha256"]: f"{item['name']} {label}" for item in bundle.inputs}
    statements = (bundle.receipt, *bundle.reproductions)
    objects |= {each.sha256: f"a reproduction {label}" for each in bundle.reproductions}
    objects |= {each.envelope: f"a signature {label}" for each in statements if each.envelope}
    objects |= {bundle.source.patch: f"the patch {label}"} if bundle.source.patch else {}
    objects |= {bundle.promoted.gate.receipt: f"the gate's receipt {label}"} if bundle.promoted.gate else {}
    return objects | {bundle.receipt.sha256: f"the receipt {label}"}


def references(workspace: Workspace) -> dict[str, str]:
    """What the models promoted on this branch need, by sha256. Raises UsageError for a bundle that isn't whole."""
    files = sorted(workspace.models.glob("*.json"))
    return {digest: what for file in files for digest, what in everything(read(workspace, file.stem)).items()}


def ever_named(workspace: Workspace) -> set[str]:
    """What the models of any branch need, or needed in any version. Raises UsageError where git isn't to be asked."""
    if not (workspace.root / ".git").exists():
        return set(references(workspace))
    contents = git.contents(workspace.root, "models/*.json", "--all")
    versions = (each for each in map(_whole, contents) if each)
    return {digest for each in versions for digest in everything(each)} | set(references(workspace))


def _whole(content: bytes) -> Bundle | None:
    """A bundle from the past; None for what was none, and so was never used."""
    with suppress(UsageError):
        return parse(content, "a bundle")
    return None


def readable(value: Any, indent: str = "") -> str:
    """JSON with a line for each group that fits in one, and for each list of numbers."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    match value:
        case dict() if value and not (indent and len(indent) + len(line) <= WIDTH):
            named = ((json.dumps(key, ensure_ascii=False), item) for key, item in value.items())
            return _block("{", [f"{key}: {readable(item, indent + '  ')}" for key, item in named], indent, "}")
        case [dict(), *_]:
            return _block("[", [readable(item, indent + "  ") for item in value], indent, "]")
        case _:
            return line


def _block(opening: str, parts: list[str], indent: str, closing: str) -> str:
    return opening + ",".join(f"\n{indent}  {part}" for part in parts) + f"\n{indent}{closing}"


def schema() -> bytes:
    """The JSON Schema of a bundle: environments/schemas/bundle.json."""
    return json_bytes(Bundle.model_json_schema())
