"""An image archive of the OCI layout: its digest, its layers, and where two archives differ.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

from samebook.core.digest import sha256
from samebook.core.errors import UsageError

# The files of a layer that are named where it differs.
SHOWN = 5
NONE = "not there"
# Docker's other image store saves images in a form of its own, without the digests that registries have.
CONTAINERD = "docker info"


@dataclass(frozen=True)
class Difference:
    """A difference of two images: the place, which is a layer or `configuration`, and the two values there."""

    place: str
    name: str
    one: str
    other: str


@dataclass(frozen=True)
class Archive:
    """An archive with one image."""

    path: Path

    @cached_property
    def digest(self) -> str:
        """The digest of the image's manifest: its name in any registry."""
        manifests = self._json("index.json")["manifests"]
        if len(manifests) != 1:
            raise UsageError(f"{self.path.name} has {len(manifests)} images; expected one", mend="make image DIST=dist")
        return manifests[0]["digest"]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest. Raises UsageError where the digest is that of a list of images, one for each platform."""
        found = self._json(_blob(self.digest))
        if "layers" not in found:
            raise UsageError(
                f"{self.digest} is a list of images, one for each platform; expected the digest of one of them",
                mend="docker buildx imagetools inspect IMAGE",
            )
        return found

    def check_named(self, image: str) -> None:
        """Raise UsageError where the archive is not of the image that this name's digest says."""
        if not image.endswith(f"@{self.digest}"):
            raise UsageError(
                f"Docker saves {image} as {self.digest}: its containerd image store is not in use", mend=CONTAINERD
            )

    @property
    def layers(self) -> list[str]:
        """The digests of the layers as they are stored, lowest first."""
        return [layer["digest"] for layer in self.manifest["layers"]]

    @property
    def config(self) -> dict[str, Any]:
        """The configuration: variables, user, history."""
        return self._json(_blob(self.manifest["config"]["digest"]))

    @contextmanager
    def opened(self, layer: str) -> Iterator[tarfile.TarFile]:
        """The files of a layer, to be read once in their order."""
        with tarfile.open(self.path) as outer:
            blob = outer.extractfile(_blob(layer))
            assert blob, layer
            try:
                with tarfile.open(fileobj=blob, mode="r|*") as files:
                    yield files
            except tarfile.TarError as error:
                raise UsageError(
                    f"layer {layer} can't be read: {error}; expected gzip, as make image writes it", mend="make image"
                ) from error

    def entries(self, layer: str) -> dict[str, str]:
        """Each path of a layer, with everything about it that goes into the layer's digest."""
        with self.opened(layer) as files:
            return {entry.name: _facts(files, entry) for entry in files}

    def _json(self, name: str) -> Any:
        with tarfile.open(self.path) as files:
            blob = files.extractfile(name) if name in files.getnames() else None
            if blob is None:
                raise UsageError(f"{self.path.name} is no OCI archive: it has no {name}", mend=CONTAINERD)
            return json.loads(blob.read())


def variables(config: dict[str, Any]) -> dict[str, str]:
    """The variables that the configuration of a container sets."""
    pairs = (entry.partition("=") for entry in config.get("Env") or [])
    return {name: value for name, _, value in pairs}


def differences(one: Archive, other: Archive) -> Iterator[Difference]:
    """The differences of two images, layer by layer with their first files; none where they have the same digest."""
    if one.digest == other.digest:
        return
    for number, (mine, theirs) in enumerate(zip_longest(one.layers, other.layers), 1):
        if mine != theirs:
            yield from _of_layer(
                f"layer {number}", one.entries(mine) if mine else {}, other.entries(theirs) if theirs else {}
            )
    yield from _of_facts("configuration", one.config, other.config, ("rootfs.", "history."))
    # What is said of layers and configuration differs where they do.
    yield from _of_facts("manifest", one.manifest, other.manifest, ("layers.", "config."))


def _of_facts(place: str, one: Any, other: Any, without: tuple[str, ...]) -> Iterator[Difference]:
    left, right = _flat(one), _flat(other)
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name) and not name.startswith(without):
            yield Difference(place, name, left.get(name, NONE), right.get(name, NONE))


def _of_layer(place: str, left: dict[str, str], right: dict[str, str]) -> Iterator[Difference]:
    names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    for name in names[:SHOWN]:
        yield Difference(place, name, left.get(name, NONE), right.get(name, NONE))
    if len(names) > SHOWN:
        yield Difference(place, f"and {len(names) - SHOWN} more", "", "")
    if not names:
        yield Difference(place, "its order or its compression", "", "")


def _facts(files: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    content = files.extractfile(entry) if entry.isreg() else None
    digest = sha256(content.read()) if content else entry.linkname
    return f"{entry.mode:o} {entry.uid}:{entry.gid} {entry.mtime} {digest}"


def _flat(value: Any, above: str = "") -> dict[str, str]:
    """The values of nested JSON as text, by their paths."""
    if isinstance(value, dict):
        return {path: text for key, inner in value.items() for path, text in _flat(inner, f"{above}{key}.").items()}
    if isinstance(value, list):
        return {path: text for key, inner in enumerate(value) for path, text in _flat(inner, f"{above}{key}.").items()}
    return {above.removesuffix("."): str(value)}


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")
