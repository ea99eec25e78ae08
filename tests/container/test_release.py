"""The release image is a function of commit and base: anyone can check that it is what its commit says."""

from pathlib import Path

import pytest
from archive import first_difference
from containers import make


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_same_digest(build: None, tmp_path: Path) -> None:
    """A commit built from nothing but the store, with no index, has the digests that it has from layers of an index's
    packages.
    """
    del build
    make("keep", ENGINE="docker")
    make("archives", ENGINE="docker", DIST=str(tmp_path / "cached"))
    gone = dict.fromkeys(("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), "http://127.0.0.1:9/simple")
    make("archives", ENGINE="docker", NO_CACHE="1", DIST=str(tmp_path / "anew"), UV_OFFLINE="1", **gone)
    for target in ("runtime", "lab"):
        archive = f"samebook-{target}.oci.tar"
        assert first_difference(tmp_path / "cached" / archive, tmp_path / "anew" / archive) == ""
