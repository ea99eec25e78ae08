"""The bill of materials of an image, in CycloneDX: what its layers hold of Python's and of Debian's packages.

The same image has the same one, byte for byte: it has no time and no random number. https://cyclonedx.org/docs/1.6/json/
"""

import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from samebook.core.digest import json_bytes
from samebook.environment.edits import normal
from samebook.release import archive as archives
from samebook.release.archive import Archive

# The notes about an installed package, and the database of Debian's.
NOTES = re.compile(r"(?:^|/)([^/]+)-([^/-]+)\.dist-info$")
STATUS = "var/lib/dpkg/status"
RELEASE = re.compile(r'^VERSION_CODENAME="?(\w+)', re.MULTILINE)
OS_RELEASE = "usr/lib/os-release"


def bill(archive: Archive, name: str) -> bytes:
    """The bill of materials of an image of this name, as JSON. Raises UsageError for an archive with several images."""
    notes, files = _contents(archive)
    distribution = RELEASE.search(files.get(OS_RELEASE, b"").decode())
    image = _component("container", name, archive.digest, f"pkg:oci/{_last(name)}@{quote(archive.digest, safe='')}")
    image["hashes"] = [{"alg": "SHA-256", "content": archive.digest.removeprefix("sha256:")}]
    variables = archives.variables(archive.config.get("config") or {})
    facts = {each: variables.get(f"SAMEBOOK_{each.upper()}", "") for each in ("commit", "base_image")}
    image["properties"] = [{"name": f"samebook:{key}", "value": value} for key, value in facts.items() if value]
    components = [
        *(
            _component("library", package, version, f"pkg:pypi/{package}@{quote(version)}")
            for package, version in notes
        ),
        *_debian(files.get(STATUS, b"").decode(), distribution[1] if distribution else ""),
    ]
    references = [component["bom-ref"] for component in components]
    return json_bytes(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, archive.digest).urn,
            "version": 1,
            "metadata": {"component": image},
            "components": components,
            "dependencies": [{"ref": image["bom-ref"], "dependsOn": references}],
        }
    )


def _contents(archive: Archive) -> tuple[list[tuple[str, str]], Mapping[str, bytes]]:
    """The name and version of each of Python's packages, sorted, and the files that say what the system has.

    What a later layer has counts; a layer's whiteout, `.wh.NAME`, takes away what those below it have.
    """
    notes, files = dict[str, tuple[str, str]](), dict[str, bytes]()
    for layer in archive.layers:
        with archive.opened(layer) as entries:
            for entry in entries:
                path = PurePosixPath(entry.name)
                if path.name.startswith(".wh."):
                    gone = str(path.with_name(path.name.removeprefix(".wh.")))
                    notes = {name: note for name, note in notes.items() if not f"{name}/".startswith(f"{gone}/")}
                elif found := NOTES.search(str(path)):
                    notes[str(path)] = normal(found[1]), found[2]
                elif str(path) in (STATUS, OS_RELEASE) and (content := entries.extractfile(entry)):
                    files[str(path)] = content.read()
    return sorted(set(notes.values())), files


def _debian(status: str, distribution: str) -> Iterator[dict[str, Any]]:
    """The installed packages of Debian, by its own database."""
    for paragraph in sorted(status.split("\n\n")):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            qualifiers = {"arch": fields.get("Architecture", ""), "distro": distribution}
            words = "&".join(f"{key}={value}" for key, value in qualifiers.items() if value)
            purl = f"pkg:deb/debian/{name}@{quote(version, safe='.-~:')}?{words}".replace("+", "%2B")
            yield _component("library", name, version, purl)


def _component(kind: str, name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _last(name: str) -> str:
    """The last part of an image's name, without registry and tag."""
    return name.rpartition("/")[2].partition(":")[0]
