"""The bill of materials of a published image: what is in it, in CycloneDX."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from samebook.core import workspace as workspaces
from samebook.release import docker, publication
from samebook.release import sbom as bills
from samebook.release.archive import Archive


@dataclass(frozen=True)
class SbomRequest:
    """One call of `samebook sbom`: the image, or the environment whose published one it is."""

    image: str
    env: str
    target: str
    seconds: int


def sbom(request: SbomRequest) -> bytes:
    """The bill of materials, made from the bytes of the image. Raises UsageError for an image without a digest."""
    image = publication.chosen(workspaces.find(), request.image, request.env, request.target)
    docker.pull(image, request.seconds)
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(Path(folder) / "image.tar")
        docker.save(image, archive.path)
        archive.check_named(image)
        return bills.bill(archive, image.partition("@")[0])
