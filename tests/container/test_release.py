"""The release image is a function of commit and base: anyone can check that it is what its commit says."""

from pathlib import Path

import pytest
from archive import first_difference
from containers import make


@pytest.mark.timeout(1800)
def test_same_digest(build: None, tmp_path: Path) -> None:
    """A commit built from nothing has the manifest digests that it has from the layers of earlier builds."""
    del build
    for name, no_cache in {"cached": "0", "anew": "1"}.items():
        make("archives", ENGINE="docker", NO_CACHE=no_cache, DIST=str(tmp_path / name))
    for target in ("runtime", "lab"):
        archive = f"samebook-{target}.oci.tar"
        assert first_difference(tmp_path / "cached" / archive, tmp_path / "anew" / archive) == ""
