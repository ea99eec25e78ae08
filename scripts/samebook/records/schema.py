"""The schema of a receipt, which may come from anybody: no name in it leads out of the run's folder, no text in it can
be a command, and each hash is one. Fields that are not listed here are ignored, and nothing relies on them.
"""

import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic.alias_generators import to_camel

from samebook.core.text import repeated_name
from samebook.environment.numerics import MOST_THREADS, Name
from samebook.environment.variables import NAME
from samebook.records.inputs import Kind, Label


def _inside(name: str) -> str:
    """The name, where it is a path inside the run's folder. Raises ValueError for another one."""
    if name.startswith("/") or not name.isprintable() or {"", ".", ".."} & set(name.split("/")):
        raise ValueError(f"found {name!r}; expected a path inside the run's folder")
    return name


def _date(text: str) -> str:
    """The text, where it is a day. Raises ValueError for another one."""
    datetime.date.fromisoformat(text)
    return text


type Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
type Commit = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
type FileName = Annotated[str, AfterValidator(_inside)]
type Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
type Word = Annotated[str, Field(pattern=r"^[\w-]+$")]
type Variable = Annotated[str, Field(pattern=f"^{NAME}$")]
type RunId = Annotated[str, Field(pattern=r"^\d{8}T\d{6}Z-[^/\x00-\x1f\x7f]+-[0-9a-f]{6}$")]
type Uri = Annotated[str, Field(pattern=r"^[\w./:@-]+$")]
type Day = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$"), AfterValidator(_date)]
# The names of the inputs that each run has made; the sha256 of the list of makers, by the name of several days.
MAKERS = TypeAdapter(dict[str, list[str]])
LISTS = TypeAdapter(dict[str, Sha256])
# The content of lists in the store: the sha256 of each day's file, the run that made each.
DAYS = TypeAdapter(dict[Day, Sha256])
DAY_MAKERS = TypeAdapter(dict[Day, RunId | Literal["unknown"]])
# The days of a dataset that a receipt may name together: 273 years.
MOST_FILES = 100_000


class Part(BaseModel):
    """A part of a receipt; its fields are written in camel case, as SLSA does: resolvedDependencies.

    Defaults come from factories: pydantic copies any other one deeply, which took a fifth of the time of each receipt.
    """

    model_config = ConfigDict(alias_generator=to_camel, strict=True)


class Digests(Part):
    sha256: Sha256 | None = None
    git_commit: Commit | None = None


class File(Part):
    name: FileName
    digest: Digests

    @model_validator(mode="after")
    def _hashed(self) -> Self:
        if self.digest.sha256 is None:
            raise ValueError(f"{self.name} has no sha256")
        return self


class Byproduct(Part):
    name: FileName
    digest: Digests = Field(default_factory=Digests)
    annotations: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        """Check that a file has a sha256, and that runs made lists of inputs, which may be in the store."""
        if "digest" in self.model_fields_set and self.digest.sha256 is None:
            raise ValueError(f"{self.name} has no sha256")
        if self.name == "made by":
            MAKERS.validate_python(self.annotations)
        if self.name == "makers":
            LISTS.validate_python(self.annotations)
        return self


class External(Part):
    notebook: FileName
    parameters: dict[str, Any]
    env: Word


class Dependency(Part):
    name: str
    uri: Uri | None = None
    digest: Digests = Field(default_factory=Digests)
    annotations: "Annotations" = Field(default_factory=lambda: Annotations())

    @model_validator(mode="after")
    def _identified(self) -> Self:
        """Check that a commit has git's hash, an image its uri, and anything else, as what was read, a sha256."""
        uri = "" if self.annotations.input or self.annotations.undeclared else self.uri
        if not (self.digest.git_commit if self.name == "commit" else uri or self.digest.sha256):
            raise ValueError(f"{self.name} has no digest")
        return self


class Threads(Part):
    openmp: Annotated[int, Field(ge=1, le=MOST_THREADS)]
    blas: Annotated[int, Field(ge=1, le=MOST_THREADS)]


class Numerics(Part):
    numerics: Name | None = None
    caller_variables: dict[Variable, Sha256 | None] = Field(default_factory=dict)
    threads: Threads | str = ""  # before there were numerics, one number or "all"

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        """Check that a run of some numerics has its numbers of threads."""
        if isinstance(self.threads, Threads) != bool(self.numerics):
            raise ValueError("numerics without two numbers of threads, or these without numerics")
        return self


class BuiltFrom(External, Numerics):
    commit: Dependency | None  # None for a run outside a repository


class Annotations(Part):
    input: Any = False
    undeclared: Any = False
    files: Annotated[int, Field(ge=2, le=MOST_FILES)] | None = None
    bytes: Annotated[int, Field(ge=0)] | None = None
    packages: dict[Line, Line] = Field(default_factory=dict)
    patch: Sha256 | None = None
    built_from: BuiltFrom | None = None


class Internal(Numerics):
    run: RunId = ""


class Definition(Part):
    build_type: Literal["urn:samebook:run:v1"]
    external_parameters: External
    internal_parameters: Internal = Field(default_factory=lambda: Internal())
    resolved_dependencies: list[Dependency]

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        """Check that the days of a dataset stand together or each alone, so that a name has one meaning."""
        inputs = [(item, Label.parse(item.name)) for item in self.resolved_dependencies if item.annotations.input]
        together = [(item, label.name) for item, label in inputs if label.kind is Kind.SPAN]
        of_days = [label.name for _, label in inputs if label.kind in (Kind.DAY, Kind.SPAN)]
        if name := next((item.name for item, dataset in together if of_days.count(dataset) > 1), ""):
            raise ValueError(f"{name} is not the only input of its dataset")
        return self

    @property
    def unnumbered(self) -> str:
        """The first days that stand together without the number of their files and bytes, as in a plan; "" for none."""
        inputs = ((item.name, item.annotations) for item in self.resolved_dependencies if item.annotations.input)
        spans = (pair for pair in inputs if Label.parse(pair[0]).kind is Kind.SPAN)
        return next((name for name, of in spans if of.files is None or of.bytes is None), "")


class Metadata(Part):
    invocation_id: FileName
    started_on: str
    finished_on: str


class Details(Part):
    metadata: Metadata
    byproducts: list[Byproduct] = Field(default_factory=list)


class Predicate(Part):
    build_definition: Definition
    run_details: Details | None = None


class Statement(Part):
    kind: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: list[File]
    predicate: Predicate

    @property
    def files(self) -> list[str]:
        """The names of subjects and byproducts."""
        details = self.predicate.run_details
        return [file.name for file in (*self.subject, *(details.byproducts if details else ()))]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Check that a plan has neither results nor a run, and a receipt both; each file is named once."""
        if bool(self.subject) != bool(self.predicate.run_details):
            raise ValueError("results without a run, or a run without results")
        if name := repeated_name(self.files):
            raise ValueError(f"{name} is named twice")
        if self.subject and (name := self.predicate.build_definition.unnumbered):
            raise ValueError(f"{name} has no number of files and bytes")
        return self
