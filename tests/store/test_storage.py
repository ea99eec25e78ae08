"""Full disks and read-only folders: the error names them, and no file is half-written."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tiny import PATIENCE, Tiny

# In the image the user is not root, and cannot mount anything.
pytestmark = pytest.mark.host

# Root must give up its right to write anywhere.
UNPRIVILEGED = () if os.getuid() else ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def samebook(tiny: Tiny, *arguments: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = (*before, *tiny.command(*arguments))
    return subprocess.run(
        command, cwd=tiny.root, env=tiny.environ(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.skipif(
    os.getuid() == 0 and not shutil.which("setpriv"), reason="root needs setpriv to be refused anything"
)
@pytest.mark.parametrize("folder", [".", "runs"])
def test_unwritable_folder(folder: str, tiny: Tiny) -> None:
    """Without permission to write, a run ends with exit code 2 and the command that mends it."""
    tiny.notebook("train", work="1")
    path = tiny.root / folder
    path.mkdir(exist_ok=True)
    path.chmod(0o500)
    ended = samebook(tiny, "run", "train", before=UNPRIVILEGED)
    path.chmod(0o700)
    assert ended.returncode == 2, ended.stderr
    assert f"no permission to write in {tiny.root / 'runs'}" in ended.stderr
    assert "-> sudo chown" in ended.stderr


def test_file_in_place_of_folder(tiny: Tiny) -> None:
    """The error about a file in place of the runs' folder names it."""
    tiny.notebook("train", work="1")
    (tiny.root / "runs").write_text("not a folder")
    ended = tiny.samebook("run", "train")
    assert ended.code in (1, 2)
    assert str(tiny.root / "runs") in ended.stderr
    assert "Traceback" not in ended.stderr


FILLING_CELL = """import samebook
path = samebook.output_path('large.bin')
path.write_bytes(bytes({size}))"""

# It runs in a mount namespace of its own, so that the disk is unmounted with it.
ON_SMALL_DISK = """set -e
mount -t tmpfs -o size={size}k tmpfs "$1/runs"
shift
set +e
"$@"
code=$?
cp -a "$SAMEBOOK_WORKSPACE/runs" "$SAMEBOOK_WORKSPACE/left"
exit $code"""


def on_small_disk(tiny: Tiny, size: int) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
    """Run `fills` with runs/ on a disk of `size` KiB; returns the process and the runs on the disk."""
    if subprocess.run(("unshare", "-m", "true"), capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs a small one to be mounted, which only root may")
    (tiny.root / "runs").mkdir()
    script = ("unshare", "-m", "sh", "-c", ON_SMALL_DISK.format(size=size), "sh", str(tiny.root))
    ended = samebook(tiny, "run", "fills", before=script)
    return ended, sorted((tiny.root / "left").glob("[0-9]*"))


@pytest.mark.parametrize("size", [64, 512, 900])
def test_full_disk(size: int, tiny: Tiny) -> None:
    """The error about a disk that fills up during a run says so, and no run looks complete."""
    tiny.notebook("fills", work=FILLING_CELL.format(size=800 * 1024))
    ended, left = on_small_disk(tiny, size)
    assert ended.returncode == 1, ended.stderr
    assert "No space left on device" in ended.stderr
    assert "Traceback (most" not in ended.stderr
    assert not list((tiny.root / "left").rglob("receipt.json"))
    assert all((run / "error.txt").read_text() for run in left)


def test_full_disk_leaves_listing(tiny: Tiny) -> None:
    """After a full disk, runs are listed, and the next one works."""
    tiny.notebook("fills", work=FILLING_CELL.format(size=800 * 1024))
    on_small_disk(tiny, 512)
    shutil.rmtree(tiny.root / "runs")
    (tiny.root / "left").rename(tiny.root / "runs")
    assert samebook(tiny, "run", "fills").returncode == 0
    output = samebook(tiny, "runs").stdout
    assert output.count(" done ") == 1
    assert output.count(" failed ") == 1
