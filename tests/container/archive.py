"""What is in an image archive of the OCI layout, to say not only that two differ but where."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any


def digest(archive: Path) -> str:
    """The digest of the archive's manifest: the image's name in any registry."""
    return _json(archive, "index.json")["manifests"][0]["digest"]


def first_difference(one: Path, other: Path) -> str:
    """The first file whose bytes or metadata differ, or what else does; empty when the images are the same."""
    if digest(one) == digest(other):
        return ""
    for layer, (mine, theirs) in enumerate(zip(layers(one), layers(other), strict=False)):
        if mine == theirs:
            continue
        left, right = entries(one, mine), entries(other, theirs)
        names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
        name = next(iter(names), "its compression")
        return f"layer {layer}: {name}: {left.get(name)} and {right.get(name)}"
    return "the configuration, or the number of layers"


def layers(archive: Path) -> list[str]:
    """The digests of the layers as they are stored, lowest first."""
    return [layer["digest"] for layer in _json(archive, _blob(digest(archive)))["layers"]]


def entries(archive: Path, layer: str) -> dict[str, str]:
    """Each path of a layer with everything about it that goes into the digest."""
    with tarfile.open(archive) as outer, tarfile.open(fileobj=io.BytesIO(_read(outer, _blob(layer)))) as files:
        return {entry.name: _facts(files, entry) for entry in files}


def _facts(files: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    content = files.extractfile(entry) if entry.isreg() else None
    sha256 = hashlib.sha256(content.read()).hexdigest() if content else entry.linkname
    return f"{entry.mode:o} {entry.uid}:{entry.gid} {entry.mtime} {sha256}"


def _json(archive: Path, name: str) -> Any:
    with tarfile.open(archive) as files:
        return json.loads(_read(files, name))


def _read(files: tarfile.TarFile, name: str) -> bytes:
    content = files.extractfile(name)
    assert content, name
    return content.read()


def _blob(name: str) -> str:
    return "blobs/" + name.replace(":", "/")


def _main() -> None:
    import sys

    sys.exit(first_difference(Path(sys.argv[1]), Path(sys.argv[2])))


if __name__ == "__main__":
    _main()
