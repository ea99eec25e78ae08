"""The fault matrix: whatever strikes, afterwards each day is published once, and nothing is left lying about."""

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import faults
import pytest
from faults import FAULTS, HEAD, Found, Site
from postgresql import PostgreSQL, running

# Mounts a disk to fill it, and restarts a server: not for the image.
pytestmark = [pytest.mark.host, pytest.mark.timeout(7200)]

# How often each fault strikes: `make test-faults` asks for many.
TIMES = int(os.environ.get("FAULTS", "2"))
# Megabytes of the disk that is filled.
DISK = 200


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A PostgreSQL that may be thrown about."""
    from postgresql import PASSWORD, SECRET, programs

    if programs() is None:
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse("PostgreSQL's programs are not installed: apt-get install postgresql")
    with pytest.MonkeyPatch.context() as patch, running() as found:
        patch.setenv(SECRET, PASSWORD)
        yield found


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    mounted = subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={DISK}m", "tmpfs", tmp_path), check=False)
    if mounted.returncode:
        pytest.skip("a full disk needs a small one to be mounted, which only root may")
    yield tmp_path
    subprocess.run(("umount", "--lazy", tmp_path), check=True)


@pytest.fixture(scope="module")
def table() -> Iterator[list[Found]]:
    """What was found, printed as a table at the end."""
    found: list[Found] = []
    yield found
    lines = "\n".join(map(str, found))
    Path(os.environ.get("FAULTS_TABLE", os.devnull)).write_text(f"{HEAD}\n{lines}\n")


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost(fault: str, disk: Path, server: PostgreSQL, table: list[Found]) -> None:
    """Each day's scores are there once, in data/ and in the warehouse, by one finished run; nothing is left over."""
    if fault == "clock set back" and not shutil.which("faketime"):
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse("faketime is not installed: apt-get install faketime")
    site = Site.create(disk / "site", server, server.database(f"site_{uuid.uuid4().hex}"))
    try:
        found = faults.strike(site, fault, TIMES)
    finally:
        site.stop(signal.SIGKILL)
    table.append(found)
    assert (found.lost, found.duplicated, found.left) == ([], [], [])
    assert found.struck == TIMES
