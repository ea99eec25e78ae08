"""The fault matrix: after any fault each day is published once, and no leftovers lie about."""

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import faults
import pytest
from faults import FAULTS, HEAD, Finding
from postgresql import PostgreSQL, running
from watched_site import Site

# Mounts a disk to fill it, and restarts a server: not for the image.
pytestmark = [pytest.mark.host, pytest.mark.timeout(7200)]

# Strikes of each fault: `make test-faults` sets many.
TIMES = int(os.environ.get("FAULTS", "2"))
# Megabytes of the disk that is filled.
DISK = 200


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A PostgreSQL that a test may restart."""
    from postgresql import PASSWORD, SECRET, programs

    if programs() is None:
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse("PostgreSQL's programs are not installed: apt-get install postgresql")
    with pytest.MonkeyPatch.context() as patch, running() as postgresql:
        patch.setenv(SECRET, PASSWORD)
        yield postgresql


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    mounted = subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={DISK}m", "tmpfs", tmp_path), check=False)
    if mounted.returncode:
        pytest.skip("a full disk needs a small one to be mounted, which only root may")
    yield tmp_path
    subprocess.run(("umount", "--lazy", tmp_path), check=True)


@pytest.fixture(scope="module")
def table() -> Iterator[list[Finding]]:
    """The findings, written as a table at the end."""
    findings: list[Finding] = []
    yield findings
    lines = "\n".join(map(str, findings))
    Path(os.environ.get("FAULTS_TABLE", os.devnull)).write_text(f"{HEAD}\n{lines}\n")


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost(fault: str, disk: Path, server: PostgreSQL, table: list[Finding]) -> None:
    """Each day's scores are there once, in data/ and in the warehouse, by one finished run; there are no leftovers."""
    if fault == "clock set back" and not shutil.which("faketime"):
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse("faketime is not installed: apt-get install faketime")
    site = Site.create(disk / "site", server, server.database(f"site_{uuid.uuid4().hex}"))
    try:
        finding = faults.strike(site, fault, TIMES)
    finally:
        site.stop(signal.SIGKILL)
    table.append(finding)
    assert (finding.lost, finding.duplicated, finding.leftovers) == ([], [], [])
    assert finding.struck == TIMES
