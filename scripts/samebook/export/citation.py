"""How an export is cited, and what Zenodo is told of it: by the repository's own CITATION.cff, where it has one.

https://citation-file-format.github.io, https://developers.zenodo.org/#depositions
"""

from dataclasses import dataclass
from typing import Any

import yaml

from samebook.core.digest import json_bytes
from samebook.core.workspace import Workspace
from samebook.environment import yaml_file
from samebook.export.collection import Collection

FILE = "CITATION.cff"
LICENCE = "LICENSE"
# The authors of a repository that names none.
UNNAMED = {"name": "The authors of this repository"}
MESSAGE = "If you use this result, please cite it."


@dataclass(frozen=True)
class Work:
    """The work that is cited: the fields that it has in common with the repository's own CITATION.cff.

    `version` is the sha256 of the receipt, or that of the model's bundle; `released` is a day.
    """

    title: str
    description: str
    version: str
    released: str
    authors: list[dict[str, str]]
    licence: str
    keywords: list[str]

    def citation(self) -> bytes:
        """The file CITATION.cff."""
        licence = {"license": self.licence} if self.licence else {}
        keywords = {"keywords": self.keywords} if self.keywords else {}
        content = {
            "cff-version": "1.2.0",
            "message": MESSAGE,
            "type": "dataset",
            "title": self.title,
            "abstract": self.description,
            "authors": self.authors,
            "version": self.version,
            "date-released": self.released,
            **licence,
            **keywords,
        }
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000).encode()

    def zenodo(self) -> bytes:
        """The file .zenodo.json: a deposition's metadata."""
        licence = {"license": self.licence.lower()} if self.licence else {}
        return json_bytes(
            {
                "title": self.title,
                "description": self.description,
                "upload_type": "dataset",
                "publication_date": self.released,
                "version": self.version,
                "creators": [_creator(author) for author in self.authors],
                "keywords": self.keywords,
                **licence,
            }
        )


def name(author: dict[str, str]) -> str:
    """An author's name, as it is read."""
    parts = (author.get(key, "") for key in ("given-names", "name-particle", "family-names"))
    return author.get("name") or " ".join(part for part in parts if part) or UNNAMED["name"]


def _creator(author: dict[str, str]) -> dict[str, str]:
    """An author as Zenodo has one: the family's name first."""
    family, given = author.get("family-names", ""), author.get("given-names", "")
    creator = {"name": f"{family}, {given}" if family and given else name(author)}
    orcid = {"orcid": author["orcid"].rpartition("/")[2]} if author.get("orcid") else {}
    affiliation = {"affiliation": author["affiliation"]} if author.get("affiliation") else {}
    return {**creator, **affiliation, **orcid}


def work(workspace: Workspace, collection: Collection) -> Work:
    """The work that an export is. Raises UsageError for a CITATION.cff that is not YAML."""
    path = workspace.root / FILE
    own: dict[str, Any] = yaml_file.read(path, is_text=True) if path.is_file() else {}
    first, bundle = collection.runs[0], collection.bundle
    title, described = own.get("title"), first.statement["predicate"]["buildDefinition"]["externalParameters"]
    subject = f"model {bundle.name}" if bundle else f"run {first.id}"
    behind = " and that of each run behind it" if bundle else ""
    return Work(
        title=f"{title}: {subject}" if title else subject,
        description=f"The {subject} of {described['notebook']}, with its receipt{behind}.",
        version=bundle.digest if bundle else first.receipt_digest,
        released=(bundle.promoted.at if bundle else first.times[1])[:10],
        authors=[_texts(author) for author in own.get("authors") or [] if isinstance(author, dict)] or [UNNAMED],
        licence=own.get("license") or "" if isinstance(own.get("license"), str) else "",
        keywords=[str(word) for word in own.get("keywords") or []],
    )


def _texts(author: dict[str, Any]) -> dict[str, str]:
    """The fields of an author that say who that is; an address is for the repository's own readers."""
    keys = ("name", "given-names", "name-particle", "family-names", "name-suffix", "affiliation", "orcid")
    return {key: author[key] for key in keys if isinstance(author.get(key), str)}
