"""The release image is a function of commit and base: anyone can check that it is what its commit says."""

from pathlib import Path

import docker
import pytest
from archive import first_difference
from containers import make


@pytest.mark.timeout(1800)
def test_same_digest(engine: docker.DockerClient, tmp_path: Path) -> None:
    """Two clean builds of a commit give the same manifest digest for both targets."""
    del engine
    for name in ("one", "other"):
        make("archives", ENGINE="docker", NO_CACHE="1", DIST=str(tmp_path / name))
    for target in ("runtime", "lab"):
        archive = f"samebook-{target}.oci.tar"
        assert first_difference(tmp_path / "one" / archive, tmp_path / "other" / archive) == ""
