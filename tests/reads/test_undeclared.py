"""Undeclared inputs: the files that a notebook reads without the API, and only those, are recorded."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tiny import Tiny

from samebook.core.digest import sha256
from samebook.reads import places


def recorded(source: str, workspace: Path, **variables: str) -> dict[str, str]:
    """The files that a process records while it runs `source`: sha256 by name."""
    run = workspace / "runs" / ".partial" / "1"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    start = f"from samebook.reads import undeclared\nundeclared.start({str(run)!r}, {str(workspace)!r})\n"
    subprocess.run([sys.executable, "-c", start + source], cwd=workspace, env={**os.environ, **variables}, check=True)
    events = run / ".events.jsonl"
    lines = events.read_text().splitlines() if events.is_file() else []
    return {event["name"]: event.get("sha256", "unseen") for event in map(json.loads, lines)}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name in ("notebooks", "notebooks_data", "models-old", "data"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.csv").write_text(name)
    (tmp_path / "storehouse.csv").write_text("storehouse")
    return tmp_path


@pytest.mark.parametrize("name", ["data/x.csv", "notebooks_data/x.csv", "models-old/x.csv", "storehouse.csv"])
def test_reading_is_recorded(name: str, workspace: Path) -> None:
    """A file is recorded, also where the name of its folder only begins like that of a committed one."""
    assert recorded(f"open({name!r}).read()", workspace) == {name: sha256(workspace / name)}


def test_bytes_are_a_path(workspace: Path) -> None:
    """A path in bytes is recorded, also one that is not UTF-8."""
    (workspace / "data" / os.fsdecode(b"\xff.csv")).write_text("odd")
    files = recorded("open(b'data/x.csv'); open(b'data/\\xff.csv')", workspace)
    assert set(files) == {"data/x.csv", "data/\\xff.csv"}


def test_removed_file_is_recorded(workspace: Path) -> None:
    """A file is recorded with its content when it was opened, even if it is removed later."""
    digest = sha256(workspace / "data" / "x.csv")
    removes = "import os\nopen('data/x.csv').read()\nos.remove('data/x.csv')"
    assert recorded(removes, workspace) == {"data/x.csv": digest}


def test_late_file_is_recorded(workspace: Path) -> None:
    """A file that was missing at the first try is recorded when it is read."""
    waits = "import shutil\ntry: open('late.csv')\nexcept OSError: pass\n"
    by_another = "import subprocess\nsubprocess.run(['cp', 'data/x.csv', 'late.csv'], check=True)\nopen('late.csv')"
    assert set(recorded(waits + by_another, workspace)) == {"child process cp", "late.csv"}


def test_own_files_are_not_recorded(workspace: Path) -> None:
    """Files that the notebook has written are not undeclared inputs, also once they were moved."""
    own = "import os\nopen('new.txt', 'w').close()\nos.rename('new.txt', 'old.txt')\nopen('old.txt').read()"
    assert recorded(own, workspace) == {}


def test_system_is_not_recorded(workspace: Path) -> None:
    """Files of the system are not undeclared inputs, unless the workspace is among them."""
    assert recorded("open('/etc/hostname')", workspace) == {}
    assert "/var/" in places.ignored_outside("/var/ws/runs/1")
    assert not "/var/ws/data/x.csv".startswith(places.ignored_inside("/var/ws/runs/1"))


def test_neighbours_of_system_count() -> None:
    """A folder beside the system's that only begins like one is not the system's."""
    assert not "/library/x.csv".startswith(places.ignored_outside("/ws/runs/1"))


@pytest.mark.parametrize("link", ["notebooks/link.csv", ".samebook/link.csv"])
def test_link_out_of_a_folder_is_recorded(link: str, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A link in a folder whose files are not recorded, to a file elsewhere, is recorded as that file is; a path outside
    of the workspace by what it leads to.
    """
    target = tmp_path_factory.mktemp("elsewhere") / "earlier.csv"
    target.write_text("earlier")
    (workspace / link).parent.mkdir(exist_ok=True)
    (workspace / link).symlink_to(target)
    assert recorded(f"open({link!r}).read()", workspace) == {link: sha256(target)}
    by_proc = f"/proc/self/root{target}"
    assert recorded(f"open({by_proc!r}).read()", workspace) == {str(target.resolve()): sha256(target)}


def test_own_folder_is_not_recorded(workspace: Path) -> None:
    """The names in a folder that the notebook has made are not recorded, nor what compiled code wrote there."""
    own = "import os\nfrom pathlib import Path\nimport pandas as pd, pyarrow.feather as feather, duckdb\n"
    own += "Path('new').mkdir()\nfeather.write_feather(pd.DataFrame({'a': [1]}), 'new/a.feather')\n"
    own += "import numpy, scipy.io\nscipy.io.mmwrite('new/m', numpy.eye(2))\nscipy.io.mmread('new/m.mtx')\n"
    own += "duckdb.sql(\"copy (select 1) to 'new/b.csv'\")\nduckdb.sql('select 1').write_csv('new/c.csv')\n"
    read = "[open(path) for path in Path('new').iterdir()]\nos.rename('new', 'old')\nos.listdir('old')\n"
    read += "Path('data').mkdir(exist_ok=True)\nos.listdir('data')"
    assert set(recorded(own + read, workspace)) == {"data/"}


def test_names_in_a_folder_are_recorded(workspace: Path) -> None:
    """The names in a folder are recorded however they are read: by its number, and by pkgutil."""
    (workspace / "notebooks" / "own.py").touch()
    by_number = "import os\nlist(os.fwalk('data'))\nos.listdir(os.open('models-old', os.O_RDONLY))\n"
    by_number += "os.scandir(os.open('notebooks_data', os.O_RDONLY)).close()\n"
    by_name = "import pkgutil\nlist(pkgutil.iter_modules(['notebooks']))"
    folders = {"data/", "models-old/", "notebooks_data/", "notebooks/"}
    assert set(recorded(by_number + by_name, workspace)) == folders


def test_removed_folder_is_not_recorded(workspace: Path) -> None:
    """What an earlier run has left is no input of a notebook that removes it; a copy of a folder reads its names."""
    removes = "import shutil\nshutil.rmtree('data')\nshutil.copytree('models-old', 'new')"
    assert set(recorded(removes, workspace)) == {"models-old/", "models-old/x.csv"}


def test_other_thread_is_recorded(workspace: Path) -> None:
    """A read of the notebook's own thread is recorded while another thread is in a call of samebook's."""
    meanwhile = "import threading\nthread = threading.Thread(target=open, args=('data/x.csv',))\n"
    block = "with undeclared.declared_reads():\n    thread.start(); thread.join(); open('storehouse.csv')"
    assert set(recorded(meanwhile + block, workspace)) == {"data/x.csv"}


def test_place_that_anybody_writes_is_recorded(workspace: Path) -> None:
    """A file in a part of the system that outlives a run, as shared memory does, is recorded."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        assert set(recorded(f"open({file.name!r}).read()", workspace)) == {file.name}


def test_pipes_are_unseen(workspace: Path) -> None:
    """What a pipe brings is unseen; a pipe that is written, a device of the system and a folder are not read."""
    for name in ("a", "b", "c"):
        os.mkfifo(workspace / name)
    read = "import os\nend = os.open('a', os.O_RDONLY | os.O_NONBLOCK)\nopen('a', 'w').close()\n"
    written = "os.open('b', os.O_RDWR)\nopen('b', 'w').close()\nother = os.open('c', os.O_RDONLY | os.O_NONBLOCK)\n"
    system = "open('/dev/null').close(); open('/dev/urandom', 'rb').close(); os.open('data', os.O_RDONLY)"
    unseen = dict.fromkeys(("pipe a", "pipe b", "pipe c"), "unseen")
    assert recorded(read + written + system, workspace) == unseen
    assert recorded("import os\nend = os.open('/dev/null', os.O_RDWR)\nopen('new', 'w')", workspace) == {}


def test_styles_of_the_user_are_recorded(workspace: Path) -> None:
    """Of matplotlib's folder of the user its settings and styles are recorded, not its caches."""
    folder = workspace.parent / "config"
    (folder / "stylelib").mkdir(parents=True)
    for name in ("matplotlibrc", "stylelib/mine.mplstyle"):
        (folder / name).write_text("lines.linewidth: 3\n")
    code = "import matplotlib.pyplot as plt\nplt.style.use('mine')\nassert plt.rcParams['lines.linewidth'] == 3"
    files = recorded(code, workspace, MPLCONFIGDIR=str(folder), MATPLOTLIBRC="")
    assert set(files) == {f"{folder}/{name}" for name in ("matplotlibrc", "stylelib/", "stylelib/mine.mplstyle")}
    assert list(folder.glob("fontlist*"))


def test_print_of_a_fork_is_not_recorded(tiny: Tiny) -> None:
    """A forked process of a kernel sends what it prints by the kernel's own socket, which is no read of the run."""
    work = "import os\npid = os.fork() or (print('child', flush=True), os._exit(0))\n_ = os.waitpid(pid, 0)\n"
    connects = "import zmq\nzmq.Context.instance().socket(zmq.SUB).connect('tcp://127.0.0.1:9')"
    tiny.notebook("forks", work=work + connects)
    assert tiny.samebook("run", "forks").code == 0
    assert "child" in (tiny.last / "notebook.ipynb").read_text().partition('"outputs"')[2]
    assert set(re.findall('network [^" ]+', (tiny.last / "receipt.json").read_text())) == {"network tcp://127.0.0.1:9"}
