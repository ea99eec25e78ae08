"""environments/inputs.yml: the input files that need not be in git, by name, each with its sha256 and where it is from.

customers.csv:
  sha256: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
  from: https://example.org/customers.csv
"""

import json
import os
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import parse_qsl

import yaml
from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from samebook.core import secret
from samebook.core.digest import json_bytes
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace, write_whole
from samebook.environment import yaml_file
from samebook.environment.explain import UNSHOWN, explanation
from samebook.environment.fields import url_parts
from samebook.environment.sections import Section

FILE = "environments/inputs.yml"
WEB = ("https", "http")
SCHEMES = (*WEB, "s3", "gs", "az")


class Entry(Section):
    """An input file. Without a sha256, no run reads it; without `from`, the file itself is in data/ or in git."""

    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$", description="make fetch PIN=1 writes it")] = ""
    size: Annotated[int | None, Field(ge=0, description="bytes; a transfer of another size is refused")] = None
    origin: Annotated[
        str, Field(alias="from", description="https://…, http://…, s3://…, gs://…, az://…, or the path of a file")
    ] = ""

    @field_validator("origin")
    @classmethod
    def _check_origin(cls, origin: str) -> str:
        parts = url_parts(origin)
        if "://" in origin and parts.scheme not in SCHEMES:
            values = {"scheme": parts.scheme, "schemes": "://, ".join(SCHEMES)}
            raise PydanticCustomError(UNSHOWN, "found {scheme}://; expected {schemes}://, or a path", values)
        if "@" in parts.netloc or any(secret.is_in_query(*part) for part in parse_qsl(parts.query)):
            raise PydanticCustomError(
                UNSHOWN, "a key stands in the URL; expected one without: bring the file into data/ by hand"
            )
        return origin

    @model_validator(mode="after")
    def _has_either(self) -> Self:
        if not (self.sha256 or self.origin):
            raise PydanticCustomError(UNSHOWN, "expected sha256, from, or both")
        return self

    def file(self, workspace: Workspace) -> Path | None:
        """The path of the file that the entry is from; None for a URL, and for none."""
        is_file = self.origin and "://" not in self.origin
        return workspace.root / Path(self.origin).expanduser() if is_file else None

    @property
    def shown(self) -> str:
        """Where the file is from, without the query of a URL, which may be a secret."""
        parts = url_parts(self.origin)
        return parts._replace(query="", fragment="").geturl() if parts.netloc else self.origin


def path(workspace: Workspace) -> Path:
    """The path of the file, whether it exists or not."""
    return workspace.root / FILE


def read(workspace: Workspace) -> dict[str, Entry]:
    """The entries by name; none without the file. Raises UsageError with the entry and the expected value."""
    if not path(workspace).is_file():
        return {}
    entries = dict[str, Entry]()
    for name, value in yaml_file.read(path(workspace), is_text=True).items():
        if os.path.normpath(name) != name or name.startswith(("/", "..")) or name == ".":
            raise UsageError(f"{FILE}: found {name!r}; expected a name like customers.csv", mend=f"edit {FILE}")
        try:
            entries[name] = Entry.model_validate(value or {})
        except ValidationError as error:
            text = explanation(error, Entry).removeprefix(": ")
            raise UsageError(f"{FILE}: {name}: {text}", mend=f"edit {FILE}") from None
    return entries


def add(workspace: Workspace, name: str, origin: str) -> None:
    """Write a new entry at the end of the file, which is made where it is missing; all else in it stays as it is."""
    text = path(workspace).read_bytes().decode() if path(workspace).is_file() else ""
    lines = text if not text or text.endswith("\n") else f"{text}\n"
    key, value = (json.dumps(part, ensure_ascii=False) for part in (name, origin))
    write_whole(path(workspace), f"{lines}{key}:\n  from: {value}\n".encode())


def pin(workspace: Workspace, name: str, digest: str) -> None:
    """Write the sha256 of an entry into the file; all else in it, comments too, stays as it is."""
    text = path(workspace).read_bytes().decode()
    document = yaml.compose(text, yaml.SafeLoader)
    fields = next(value for key, value in document.value if key.value == name)
    old = next((value for key, value in fields.value if key.value == "sha256"), None)
    start, end = (fields.start_mark, fields.start_mark) if old is None else (old.start_mark, old.end_mark)
    added = digest
    if old is None and fields.flow_style:
        start = end = fields.value[0][0].start_mark
        added = f"sha256: {digest}, "
    elif old is None:
        added = f"sha256: {digest}\n{' ' * start.column}"
    write_whole(path(workspace), (text[: start.index] + added + text[end.index :]).encode())


def schema() -> bytes:
    """The JSON Schema of the file, for editors: .samebook/schemas/inputs.json."""
    return json_bytes(TypeAdapter(dict[str, Entry]).json_schema())
