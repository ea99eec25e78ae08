"""A Process Run Crate of runs: a zip with their files, and what JSON-LD says of them. Equal runs give equal bytes."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from samebook.core.digest import json_bytes, sha256
from samebook.core.workspace import Workspace, replacing
from samebook.export import citation, entities
from samebook.export.citation import Work
from samebook.export.collection import Collection
from samebook.export.entities import reference
from samebook.models import model_signature
from samebook.models.run_files import RunFiles
from samebook.records import inputs, receipt
from samebook.records.receipt import Json
from samebook.store import objects

# Of the days of the calendar the first that a zip can name.
TIME = (1980, 1, 1, 0, 0, 0)
UNIX, PLAIN_FILE = 3, 0o100644
NO_LICENCE = {"@id": "#no-licence", "@type": "CreativeWork", "name": "No licence", "description": "None is stated."}


@dataclass(frozen=True)
class Part:
    """A file of the crate: its bytes, or where they are, and the run that it is of, "" for none."""

    content: bytes | Path
    digest: str
    run: str = ""

    @property
    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)


@dataclass(frozen=True)
class Crate:
    """A crate: the work that it is, its parts by their paths, and the metadata."""

    work: Work
    parts: dict[str, Part]
    metadata: Json

    def write(self, path: Path) -> None:
        """Write the zip, as a whole or not at all."""
        files = {name: part.content for name, part in self.parts.items()}
        files[entities.DESCRIPTOR] = json_bytes(self.metadata)
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", strict_timestamps=True) as archive:
            for name in sorted(files):
                _add(archive, name, files[name])


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> None:
    """Add a file without compression: the bytes of that depend on the version of zlib."""
    entry = zipfile.ZipInfo(name, TIME)
    entry.create_system, entry.external_attr, entry.compress_type = UNIX, PLAIN_FILE << 16, zipfile.ZIP_STORED
    entry.file_size = content.stat().st_size if isinstance(content, Path) else len(content)
    with archive.open(entry, "w") as target:
        if isinstance(content, bytes):
            target.write(content)
        else:
            with content.open("rb") as source:
                while chunk := source.read(objects.CHUNK):
                    target.write(chunk)


def crate(workspace: Workspace, collection: Collection, *, with_data: bool = True) -> Crate:
    """The crate of a run, or of a model and all runs behind it. Without data, days of datasets are named by hash alone.

    Raises UsageError for a file that is not here, NotReproduced for one with other bytes than its receipt says.
    """
    work = citation.work(workspace, collection)
    parts = dict(_parts(workspace, collection, work, with_data=with_data))
    return Crate(work, parts, entities.graph(list(_entities(collection, work, parts))))


def _parts(workspace: Workspace, collection: Collection, work: Work, *, with_data: bool) -> Iterator[tuple[str, Part]]:
    for number, run in enumerate(collection.runs):
        folder = f"runs/{run.id}"
        # Logs and pages of the others are no results, and the store need not have them.
        names = receipt.subject_digests(run.statement) if number else run.digests
        for name in sorted(names):
            if with_data or not inputs.day_written(name):
                yield f"{folder}/{name}", Part(run.path_of(name), run.digests[name], run.id)
        for path in run.statements():
            yield f"{folder}/{path.name}", Part(path, sha256(path), run.id)
    texts = {citation.FILE: work.citation(), ".zenodo.json": work.zenodo()}
    if bundle := collection.bundle:
        signatures = model_signature.files(objects.local_store(workspace), bundle)
        texts |= {f"models/{bundle.name}.json": bundle.content()}
        texts |= {f"models/{bundle.name}/{name}": content for name, content in signatures.items() if content}
    if (licence := workspace.root / citation.LICENCE).is_file():
        texts[citation.LICENCE] = licence.read_bytes()
    yield from ((name, Part(content, sha256(content))) for name, content in texts.items())


def _entities(collection: Collection, work: Work, parts: dict[str, Part]) -> Iterator[Json]:
    yield from ({**entities.file(name, part.digest, part.size), **_about(part)} for name, part in parts.items())
    yield from _root(collection, work, parts)
    yield entities.PYTHON
    held = {part.digest: name for name, part in sorted(parts.items()) if part.run}
    for run in collection.runs:
        yield from _of_run(run, collection.inputs[run.id], parts, held)


def _about(part: Part) -> Json:
    return {"about": reference(f"#{part.run}")} if part.run else {}


def _root(collection: Collection, work: Work, parts: dict[str, Part]) -> Iterator[Json]:
    licence = _licence(work, parts)
    authors = [entities.author(fields, citation.name(fields)) for fields in work.authors]
    yield {
        "@id": entities.DESCRIPTOR,
        "@type": "CreativeWork",
        "about": reference("./"),
        "conformsTo": reference(entities.CRATE),
    }
    yield {"@id": entities.PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    yield {
        "@id": "./",
        "@type": "Dataset",
        "name": work.title,
        "description": work.description + _absent(collection),
        "datePublished": work.released,
        "version": work.version,
        **({"keywords": work.keywords} if work.keywords else {}),
        "license": reference(licence["@id"]),
        "author": entities.references([item["@id"] for item in authors]),
        "conformsTo": reference(entities.PROFILE),
        "hasPart": [reference(quote(name)) for name in sorted(parts)],
        "mentions": entities.references([f"#{run.id}" for run in collection.runs]),
    }
    yield from authors
    if licence["@id"] not in parts:
        yield licence


def _absent(collection: Collection) -> str:
    return f" Not held: the receipts of {', '.join(collection.absent)}." if collection.absent else ""


def _licence(work: Work, parts: dict[str, Part]) -> Json:
    if work.licence:
        return {
            "@id": f"https://spdx.org/licenses/{quote(work.licence)}",
            "@type": "CreativeWork",
            "name": work.licence,
            "description": f"The licence that SPDX calls {work.licence}.",
        }
    return {"@id": citation.LICENCE} if citation.LICENCE in parts else NO_LICENCE


def _of_run(run: RunFiles, read: dict[str, str], parts: dict[str, Part], held: dict[str, str]) -> Iterator[Json]:
    """The entities of a run; an input that another run of the crate has made is that run's file."""
    values = list(entities.parameters(run))
    sources = {name: held.get(digest, "") for name, digest in read.items()}
    others = [
        entities.elsewhere(name, digest, "an input, by its sha256")
        for name, digest in read.items()
        if not sources[name]
    ]
    results = [name for name in receipt.subject_digests(run.statement) if f"runs/{run.id}/{name}" in parts]
    left_out = [
        entities.elsewhere(name, digest, "a result, by its sha256")
        for name, digest in receipt.subject_digests(run.statement).items()
        if name not in results
    ]
    yield from (*values, *others, *left_out)
    yield entities.instrument(run)
    yield entities.samebook(run)
    yield entities.agent(run)
    if container := entities.image(run):
        yield container
    objects_ = [item["@id"] for item in (*values, *others)] + [quote(name) for name in sources.values() if name]
    yield entities.action(
        run, objects_, [quote(f"runs/{run.id}/{name}") for name in results] + [item["@id"] for item in left_out]
    )
