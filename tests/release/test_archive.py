"""Archives of images: where two differ, and the bill of materials of one."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tiny import CHECKOUT

from samebook.core.errors import UsageError
from samebook.release import archive, sbom
from samebook.release.archive import Archive

SITE = "opt/samebook/lib/python3.13/site-packages"
STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12

Package: g++
Status: install ok installed
Architecture: amd64
Version: 4:14.2.0-1

Package: gone
Status: deinstall ok config-files
Version: 1
"""
LAYERS = (
    {"var/lib/dpkg/status": STATUS, "usr/lib/os-release": "VERSION_CODENAME=trixie\n"},
    {
        f"{SITE}/numpy-2.5.5.dist-info/": "",
        f"{SITE}/numpy-2.5.5.dist-info/METADATA": "a",
        f"{SITE}/Old_Name-1.dist-info/": "",
    },
    {
        "workspace/notebooks/train.ipynb": "{}",
        f"{SITE}/.wh.Old_Name-1.dist-info": "",
        f"{SITE}/ruamel.yaml-1.0.dist-info/": "",
    },
)
CONFIG = {"config": {"Env": ["SAMEBOOK_COMMIT=abc", "A=1"]}}
# The tool's own library, by version; it is in no lock.
VALIDATOR = "cyclonedx-python-lib[json-validation]==11.12.0"
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(f"invalid: {error}" if error else 0)
"""


def image(path: Path, layers: Sequence[Mapping[str, str]] = LAYERS, config: Mapping[str, object] = CONFIG) -> Archive:
    """An archive as buildx writes one; a name with / at its end is a folder."""
    with tarfile.open(path, "w") as outer:

        def add(content: bytes) -> dict[str, object]:
            digest = hashlib.sha256(content).hexdigest()
            entry = tarfile.TarInfo(f"blobs/sha256/{digest}")
            entry.size = len(content)
            outer.addfile(entry, io.BytesIO(content))
            return {"digest": f"sha256:{digest}", "size": len(content)}

        blobs = [add(gzip.compress(packed(layer), mtime=0)) for layer in layers]
        manifest = {"config": add(json.dumps(config).encode()), "layers": blobs}
        index = json.dumps({"manifests": [add(json.dumps(manifest).encode())]}).encode()
        entry = tarfile.TarInfo("index.json")
        entry.size = len(index)
        outer.addfile(entry, io.BytesIO(index))
    return Archive(path)


def packed(layer: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as files:
        for name, text in layer.items():
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.type, entry.size = (tarfile.DIRTYPE, 0) if name.endswith("/") else (tarfile.REGTYPE, len(text))
            files.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


def test_difference_has_its_place(tmp_path: Path) -> None:
    """The layer, the file and the fact that differ are named, and nothing where the images are the same."""
    one, same = image(tmp_path / "one"), image(tmp_path / "same")
    assert list(archive.differences(one, same)) == []
    other = image(
        tmp_path / "other",
        (*LAYERS[:2], {**LAYERS[2], "workspace/notebooks/train.ipynb": "{} "}, {"x": ""}),
        {"config": {"Env": ["SAMEBOOK_COMMIT=abc", "A=2"]}},
    )
    found = [(each.place, each.name) for each in archive.differences(one, other)]
    assert found == [
        ("layer 3", "workspace/notebooks/train.ipynb"),
        ("layer 4", "x"),
        ("configuration", "config.Env.1"),
    ]


def test_manifest_that_differs(tmp_path: Path) -> None:
    """Two images of the same layers and configuration, whose manifests say something else, have a difference."""
    one, other = image(tmp_path / "one"), image(tmp_path / "other")
    other.__dict__.update(digest="sha256:other", manifest={**one.manifest, "annotations": {"by": "somebody"}})
    (found,) = archive.differences(one, other)
    assert (found.place, found.name, found.other) == ("manifest", "annotations.by", "somebody")


def test_many_files_are_counted(tmp_path: Path) -> None:
    """Of many files the first ones are named, and the others are counted."""
    one, other = (image(tmp_path / text, [{f"f{n}": text for n in range(9)}]) for text in ("a", "b"))
    assert [each.name for each in archive.differences(one, other)] == ["f0", "f1", "f2", "f3", "f4", "and 4 more"]


def test_several_images_are_refused(tmp_path: Path) -> None:
    """An archive with an image for each platform has no one digest."""
    path = tmp_path / "index"
    with tarfile.open(path, "w") as files:
        content = json.dumps({"manifests": [{"digest": "a"}, {"digest": "b"}]}).encode()
        entry = tarfile.TarInfo("index.json")
        entry.size = len(content)
        files.addfile(entry, io.BytesIO(content))
    with pytest.raises(UsageError, match="has 2 images; expected one"):
        _ = Archive(path).digest


def test_bill_of_materials(tmp_path: Path) -> None:
    """The bill has what the layers leave of Python's and Debian's packages, names the image, and is always the same."""
    found = image(tmp_path / "one")
    content = sbom.bill(found, "r.example.com/team/churn")
    assert content == sbom.bill(image(tmp_path / "again"), "r.example.com/team/churn")
    bill = json.loads(content)
    assert [component["purl"] for component in bill["components"]] == [
        *("pkg:pypi/numpy@2.5.5", "pkg:pypi/ruamel-yaml@1.0"),
        *(
            "pkg:deb/debian/g%2B%2B@4:14.2.0-1?arch=amd64&distro=trixie",
            "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=trixie",
        ),
    ]
    named = bill["metadata"]["component"]
    assert (named["version"], named["properties"]) == (found.digest, [{"name": "samebook:commit", "value": "abc"}])


def test_images_of_others(tmp_path: Path) -> None:
    """A list of images, a layer in another form and a variable without a value are said, or read as they are."""
    whole = image(tmp_path / "one", config={"config": {"Env": ["ALONE", "SAMEBOOK_COMMIT=a=b"]}})
    whole.check_named(f"churn@{whole.digest}")
    with pytest.raises(UsageError, match="containerd image store is not in use"):
        whole.check_named(f"churn@sha256:{'0' * 64}")
    tarfile.open(tmp_path / "none", "w").close()
    with pytest.raises(UsageError, match=r"it has no index\.json"):
        _ = Archive(tmp_path / "none").digest
    named = json.loads(sbom.bill(whole, "churn"))["metadata"]["component"]
    assert named["properties"] == [{"name": "samebook:commit", "value": "a=b"}]
    for text, message in ((b'{"manifests": []}', "list of images"), (None, "expected gzip")):
        path, blob = tmp_path / message, text or b"\x28\xb5\x2f\xfd of zstd"
        manifest = text or json.dumps({"layers": [{"digest": f"sha256:{hashlib.sha256(blob).hexdigest()}"}]}).encode()
        index = json.dumps({"manifests": [{"digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}"}]}).encode()
        blobs = {f"blobs/sha256/{hashlib.sha256(each).hexdigest()}": each for each in (blob, manifest)}
        with tarfile.open(path, "w") as files:
            for name, content in {**blobs, "index.json": index}.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                files.addfile(entry, io.BytesIO(content))
        with pytest.raises(UsageError, match=message):
            sbom.bill(Archive(path), "churn")


@pytest.mark.host
def test_bill_is_valid(tmp_path: Path) -> None:
    """CycloneDX's own validator takes the bill, and would not take one that breaks the schema."""
    content = sbom.bill(image(tmp_path / "one"), "churn")
    uv = CHECKOUT / ".samebook" / "uv" / "bin" / "uv"
    command = (uv, "run", "--quiet", "--no-project", "--with", VALIDATOR, "python", "-c", VALIDATE)
    for text, code in ((content, 0), (content.replace(b'"library"', b'"lib"'), 1)):
        done = subprocess.run(command, cwd=tmp_path, input=text, capture_output=True, check=False)
        assert (done.returncode, b"invalid: " in done.stderr) == (code, bool(code)), done.stderr
