"""The kept base image: known by its digest, loaded where no registry has it, and by no other name."""

import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import docker.errors
import pytest
from containers import CHECKOUT, base

from samebook.core.digest import sha256
from samebook.store.objects import Store
from samebook.wheelhouse import base_image, lists
from samebook.wheelhouse.base_image import ARCHIVE, INDEX
from samebook.wheelhouse.lists import KeptFiles

HOST = CHECKOUT / "environments" / "host"
MINE, VICTIM = "samebook-test-kept", "samebook-test-victim"


@pytest.fixture
def image(engine: docker.DockerClient) -> Iterator[str]:
    """The base image under a name of this test's own, by digest; it is gone when the test begins."""
    engine.images.get(base()).tag(MINE, "one")
    named = f"{MINE}:one@{engine.images.get(f'{MINE}:one').id}"
    yield named
    for name in (f"{MINE}:one", f"{MINE}@{named.partition('@')[2]}", f"{VICTIM}:latest"):
        with suppress(docker.errors.ImageNotFound):
            engine.images.remove(name, force=True)


def loads(store: Store, image: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HOST, "kept_base", store.root, image], capture_output=True, text=True, check=False)


def forge(store: Store, digest: str, **changes: str) -> None:
    """List another archive for the image, whose index has these words in the place of others."""
    changed = io.BytesIO()
    kept = store.path(lists.read(store, digest).files[ARCHIVE])
    with tarfile.open(kept) as source, tarfile.open(fileobj=changed, mode="w") as target:
        for member in source.getmembers():
            content = source.extractfile(member)
            assert content
            words = content.read()
            for old, new in changes.items() if member.name == INDEX else ():
                words = words.replace(old.encode(), new.encode())
            member.size = len(words)
            target.addfile(member, io.BytesIO(words))
    lists.add(store, digest, KeptFiles({ARCHIVE: store.put(changed.getvalue())}))


def test_outlives_its_registry(engine: docker.DockerClient, image: str, tmp_path: Path) -> None:
    """An image that is gone comes back from the store under its digest, and builds go on from it as after a pull."""
    store, digest = Store(tmp_path / "store"), base_image.digest(image)
    assert loads(store, image).returncode != 0
    assert base_image.keep(store, image) == digest
    engine.images.remove(f"{MINE}:one", force=True)
    ended = loads(store, image)
    assert ended.returncode == 0, ended.stderr
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nCOPY Dockerfile /\n")
    subprocess.run(["docker", "build", "--quiet", "--network=none", tmp_path], check=True, stdout=subprocess.DEVNULL)
    kept = lists.read(store, digest).files[ARCHIVE]
    base_image.keep(Store(tmp_path / "again"), image)
    assert lists.read(Store(tmp_path / "again"), digest).files[ARCHIVE] == kept


def test_planted_image_is_refused(engine: docker.DockerClient, image: str, tmp_path: Path) -> None:
    """An archive that gives the image another name, that has another image, or is damaged, is not loaded."""
    store, digest = Store(tmp_path / "store"), base_image.keep(Store(tmp_path / "store"), image)
    forge(store, digest, **{f"docker.io/library/{MINE}:one@sha256:{digest}": f"{VICTIM}:latest"})
    refused = loads(store, image)
    assert refused.returncode != 0
    assert "not the one of that digest, or is damaged" in refused.stderr
    with pytest.raises(docker.errors.ImageNotFound):
        engine.images.get(f"{VICTIM}:latest")
    other = re.sub("^.", lambda first: "0" if first[0] != "0" else "1", digest)
    forge(store, digest, **{f"{VICTIM}:latest": f"{MINE}@sha256:{digest}", f'"sha256:{digest}"': f'"sha256:{other}"'})
    assert loads(store, image).returncode != 0
    archive = store.path(lists.read(store, digest).files[ARCHIVE])
    archive.chmod(0o644)
    archive.write_bytes(archive.read_bytes()[:-1])
    assert sha256(archive) != archive.name
    assert loads(store, image).returncode != 0
