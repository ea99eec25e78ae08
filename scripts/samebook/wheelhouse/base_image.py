"""The base image as an OCI archive: an object of the store, listed by the digest that the Dockerfile pins.

In the archive the image is named by its digest, and by no tag: what loads it has what a pull would bring, and nothing
that is here gets another image under its name. https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import io
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

from samebook.core.digest import json_bytes
from samebook.core.errors import SamebookError, UsageError
from samebook.store.objects import Store
from samebook.wheelhouse import lists
from samebook.wheelhouse.lists import KeptFiles

ARCHIVE = "base-image.oci.tar"
INDEX, NAME = "index.json", "io.containerd.image.name"
PINNED = re.compile(r"(.+?)@sha256:([0-9a-f]{64})")
OCI = "application/vnd.oci.image.index.v1+json"


def digest(image: str) -> str:
    """The digest of an image that is named by one; "" for any other name."""
    found = PINNED.fullmatch(image)
    return found[2] if found else ""


def keep(store: Store, image: str) -> str:
    """Keep an image that is named by digest; the digest. Raises SamebookError where Docker doesn't have or save it."""
    wanted = digest(image)
    if not wanted:
        raise UsageError(
            f"the base image {image} has no digest in its name, by which a kept one is known", mend=_named(image)
        )
    if not store.is_whole(lists.read(store, wanted).files.get(ARCHIVE, "0" * 64)):
        with tempfile.TemporaryDirectory() as folder:
            saved, archive = Path(folder) / "saved.tar", Path(folder) / ARCHIVE
            _bring(image)
            _docker("save", "--output", str(saved), image)
            _write(saved, archive, wanted, _full(image.partition("@")[0]))
            lists.add(store, wanted, KeptFiles({ARCHIVE: store.put(archive)}))
    return wanted


def _bring(image: str) -> None:
    """Have Docker pull an image that is not here, as that of another commit may not be."""
    try:
        _docker("image", "inspect", image)
    except SamebookError:
        _docker("pull", "--quiet", image)


def _named(image: str) -> str:
    """The command that names an image by its digest, where Docker knows it."""
    try:
        found = _docker("image", "inspect", "--format", '{{join .RepoDigests " "}}', image).split()
    except SamebookError:
        found = list[str]()
    return f"make keep BASE_IMAGE={image}@{found[0].partition('@')[2]}" if found else "make base"


def _write(saved: Path, archive: Path, wanted: str, name: str) -> None:
    """Write the archive of the image with this digest, from what Docker has saved: the same image, the same bytes."""
    with tarfile.open(saved) as source, tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as target:
        index = json.loads(_read(source, INDEX))
        images = [entry for entry in index["manifests"] if entry["digest"] == f"sha256:{wanted}"]
        if not images:
            raise SamebookError(
                f"Docker saves the image without its digest {wanted[:12]}…: its containerd image store is not in use",
                mend="docker info",
            )
        entry = {key: images[0][key] for key in ("digest", "mediaType", "size")}
        entry["annotations"] = {NAME: f"{name}@sha256:{wanted}"}
        files = {INDEX: json_bytes({"schemaVersion": 2, "mediaType": OCI, "manifests": [entry]})}
        files["oci-layout"] = json_bytes({"imageLayoutVersion": "1.0.0"})
        for path, content in files.items():
            target.addfile(_entry(path, len(content)), io.BytesIO(content))
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            if member.isfile() and member.name.startswith("blobs/"):
                target.addfile(_entry(member.name, member.size), source.extractfile(member))


def _full(name: str) -> str:
    """The name with its registry, as a build looks for it: https://pkg.go.dev/github.com/distribution/reference"""
    domain, slash, _ = name.partition("/")
    has_registry = slash and (domain == "localhost" or "." in domain or ":" in domain)
    return name if has_registry else f"docker.io/{'' if slash else 'library/'}{name}"


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    content = archive.extractfile(name) if name in archive.getnames() else None
    if content is None:
        raise SamebookError("Docker saves images in a form of its own: expected an OCI archive", mend="docker info")
    return content.read()


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry


def _docker(*arguments: str) -> str:
    """The output of Docker. Raises SamebookError with its own words."""
    try:
        done = subprocess.run(("docker", *arguments), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError("the base image is kept by Docker, which is not installed here", mend="make doctor") from None
    if done.returncode:
        raise SamebookError(f"docker {arguments[0]}: {done.stderr.strip()[-400:]}", mend="docker info")
    return done.stdout
