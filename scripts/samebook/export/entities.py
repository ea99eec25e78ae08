"""The entities of an RO-Crate: what JSON-LD says of a run, its notebook, its parameters, its inputs and its files.

https://www.researchobject.org/ro-crate/specification/1.1, https://w3id.org/ro/wfrun/process/0.5
"""

import json
import mimetypes
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from samebook.core.digest import sha256
from samebook.models.run_files import RunFiles
from samebook.records import receipt, run_folder
from samebook.records.receipt import Json

DESCRIPTOR = "ro-crate-metadata.json"
CRATE = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TERMS = "https://w3id.org/ro/terms/workflow-run#"
# RO-Crate's own context, and the terms of Process Run Crates that stand here, so that nothing else has to be fetched.
CONTEXT = [f"{CRATE}/context", {name: TERMS + name for name in ("sha256", "ContainerImage", "containerImage")}]
COMPLETED = "http://schema.org/CompletedActionStatus"
UNKNOWN = "urn:samebook:builder:unknown"
ADDRESS = re.compile(r"(urn:|https?://)[\w.:/@-]+", re.ASCII)
PYTHON = {"@id": "https://www.python.org/", "@type": "ComputerLanguage", "name": "Python"}
# What the files that samebook itself writes are.
DESCRIPTIONS = {
    run_folder.METRICS: "the metrics that the notebook logged",
    run_folder.CANONICAL: "the executed notebook as a result: without times and ids",
    run_folder.NOTEBOOK: "the executed notebook",
    run_folder.PAGE: "the executed notebook as a page",
    run_folder.LOG: "what happened, as lines of JSON",
    run_folder.ENVIRONMENT: "the environment: Python and each package with its version",
    run_folder.RECEIPT: "the receipt: in-toto Statement v1 with SLSA provenance v1",
}
OCTETS = "application/octet-stream"
# By the names of files: what a machine has among its types differs.
TYPES = mimetypes.MimeTypes(filenames=())
for suffix, kind in {
    ".parquet": "application/vnd.apache.parquet",
    ".ipynb": "application/x-ipynb+json",
    ".jsonl": "application/jsonl",
    ".dsse": "application/json",
    ".sig": "application/json",
    ".cff": "application/yaml",
    ".log": "text/plain",
    "": "text/plain",  # LICENSE
}.items():
    TYPES.add_type(kind, suffix)


def reference(identifier: str) -> Json:
    return {"@id": identifier}


def references(identifiers: list[str]) -> Json | list[Json]:
    """References to several entities; to one alone, without a list."""
    values = [reference(identifier) for identifier in identifiers]
    return values[0] if len(values) == 1 else values


def file(name: str, digest: str, size: int, description: str = "") -> Json:
    """A file of the crate, by its path there."""
    base = name.rpartition("/")[2]
    kind = TYPES.guess_type(base)[0] or OCTETS
    return {
        "@id": quote(name),
        "@type": "File",
        "name": base,
        "contentSize": str(size),
        "sha256": digest,
        "encodingFormat": kind,
        **({"description": text} if (text := description or DESCRIPTIONS.get(base, "")) else {}),
    }


def elsewhere(name: str, digest: str, description: str) -> Json:
    """Bytes that the crate names by their hash, and does not hold."""
    return {
        "@id": f"#sha256-{digest}",
        "@type": "CreativeWork",
        "name": name,
        "sha256": digest,
        "description": description,
    }


def instrument(run: RunFiles) -> Json:
    """The notebook as it was before the run: the receipt has its hash, its repository the bytes."""
    commit, path = receipt.commit_name(run.statement), receipt.external_parameters(run.statement)["notebook"]
    digest = (receipt.dependency(run.statement, path) or {"digest": {}})["digest"].get("sha256", sha256(path.encode()))
    return {
        "@id": f"#notebook-{digest}-{commit[:12]}",
        "@type": "SoftwareSourceCode",
        "name": path,
        "version": commit or "not committed",
        "sha256": digest,
        "programmingLanguage": reference(PYTHON["@id"]),
        "softwareRequirements": reference(samebook(run)["@id"]),
    }


def samebook(run: RunFiles) -> Json:
    """The version of samebook that executed the notebook."""
    versions = _builder(run).get("version")
    version = str(versions.get("samebook", "unknown") if isinstance(versions, dict) else "unknown")
    return {
        "@id": f"#samebook-{quote(version)}",
        "@type": "SoftwareApplication",
        "name": "samebook",
        "softwareVersion": version,
    }


def parameters(run: RunFiles) -> Iterator[Json]:
    """The parameters of a run, each a value with its name."""
    for name, value in receipt.external_parameters(run.statement)["parameters"].items():
        yield {
            "@id": f"#{run.id}/{quote(name)}",
            "@type": "PropertyValue",
            "name": name,
            "value": value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False),
        }


def image(run: RunFiles) -> Json | None:
    """The container image that a run was made in."""
    uri = (receipt.dependency(run.statement, "image") or {}).get("uri", "")
    if not uri:
        return None
    digest = {"sha256": uri.rpartition("sha256:")[2]} if "sha256:" in uri else {}
    kind = reference(f"{TERMS}DockerImage")
    return {"@id": f"#image-{quote(uri)}", "@type": "ContainerImage", "additionalType": kind, "name": uri, **digest}


def action(run: RunFiles, objects: list[str], results: list[str]) -> Json:
    """The run: who made what from what, and when."""
    started, finished = run.times
    commit = receipt.dependency(run.statement, receipt.COMMIT) or {}
    changed = " on uncommitted changes" if commit.get("annotations", {}).get("dirty") else ""
    builder = agent(run)
    container = image(run)
    return {
        "@id": f"#{run.id}",
        "@type": "CreateAction",
        "name": f"Run {run.id}",
        "description": f"{receipt.external_parameters(run.statement)['notebook']}, run by {builder['name']}{changed}",
        "agent": reference(builder["@id"]),
        "startTime": started.replace("Z", "+00:00"),
        "endTime": finished.replace("Z", "+00:00"),
        "actionStatus": COMPLETED,
        "instrument": reference(instrument(run)["@id"]),
        **({"object": references(objects)} if objects else {}),
        "result": references(results),
        **({"containerImage": reference(container["@id"])} if container else {}),
    }


def agent(run: RunFiles) -> Json:
    """The builder: the party on whose machine a notebook was run, by its own word.

    What is no address of the web or URN, as "./", could be another entity's id, or a command to who shows it.
    """
    name = str(_builder(run).get("id") or UNKNOWN)
    return {
        "@id": name if ADDRESS.fullmatch(name) else f"#builder-{quote(name)}",
        "@type": "Organization",
        "name": name,
    }


def _builder(run: RunFiles) -> Json:
    """The builder in the receipt, whose schema leaves that to whoever has written it."""
    builder = run.statement["predicate"]["runDetails"].get("builder")
    return builder if isinstance(builder, dict) else {}


def author(fields: Mapping[str, str], name: str) -> Json:
    """An author: a person with an ORCID iD, or one, or several, by name."""
    kind = "Person" if "family-names" in fields or "given-names" in fields else "Organization"
    affiliation = {"affiliation": fields["affiliation"]} if "affiliation" in fields else {}
    return {"@id": fields.get("orcid") or f"#author-{quote(name)}", "@type": kind, "name": name, **affiliation}


def graph(entities: list[Json]) -> dict[str, Any]:
    """The whole document: each entity once, in the order of their ids, the descriptor and the crate first."""
    by_id: dict[str, Json] = {}
    for item in entities:
        by_id.setdefault(item["@id"], item)  # the files come first: no text in a receipt takes the place of one
    first = [by_id.pop(DESCRIPTOR), by_id.pop("./")]
    return {"@context": CONTEXT, "@graph": [*first, *(by_id[key] for key in sorted(by_id))]}
