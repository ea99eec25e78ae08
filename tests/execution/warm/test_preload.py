"""Imports before a kernel begins: what they read is a read of the kernel's run."""

import os
import py_compile
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pandas
import pytest

from samebook.execution import startup
from samebook.execution.warm import preload
from samebook.reads import readers, undeclared
from samebook.reads.places import Places
from samebook.reads.recorder import Recorder
from samebook.records import run_folder

MODULE = "from pathlib import Path\nCONTENT = Path(__file__).with_name('own.cfg').read_text()"
EVENTFUL = """
import contextlib, ctypes, multiprocessing.util, os, socket, sqlite3, subprocess
os.waitpid(multiprocessing.util.spawnv_passfds(b"/bin/false", ["false"], ()), 0)
subprocess.run(["true"])
socket.socket().connect_ex(("127.0.0.1", 9))
with contextlib.suppress(OSError):
    ctypes.CDLL("./own.so")
sqlite3.connect("a.db").close()
os.listdir("plugins")
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run in a workspace whose modules can be imported, with a recorder that has begun."""
    (run := tmp_path / "run").mkdir()
    # Servers of other tests may still have threads in this process, and no import has started these.
    others, threads = set(threading.enumerate()) - {threading.main_thread()}, threading.enumerate
    monkeypatch.setattr(threading, "enumerate", lambda: [thread for thread in threads() if thread not in others])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(preload, "READS", {})
    for name in ("EVENTS", "CHANGED"):
        monkeypatch.setattr(preload, name, [])
    # The libraries of this process are those of other tests, too.
    monkeypatch.setattr(readers, "hook", lambda *_: None)
    monkeypatch.setattr(undeclared, "RECORDER", Recorder())
    undeclared.RECORDER.run, undeclared.RECORDER.places = run, Places(str(run), str(tmp_path))
    return run


def test_reads_of_imports(run: Path, tmp_path: Path) -> None:
    """A file that an import has read is recorded in the kernel; once it is another one, no kernel is forked."""
    (tmp_path / "configured.py").write_text(MODULE)
    (tmp_path / "own.cfg").write_text("1")
    preload.preload((), ["configured"])
    startup.record_imports()
    assert {event["name"] for event in run_folder.events(run, "read")} == {"configured.py", "own.cfg"}
    py_compile.compile(str(tmp_path / "configured.py"))  # as another process may that imports it, too
    preload.check_reads()
    (tmp_path / "own.cfg").write_text("22")
    with pytest.raises(ValueError, match=r"own\.cfg has changed"):
        preload.check_reads()


def test_other_events_of_imports(run: Path, tmp_path: Path) -> None:
    """A child process, a connection, a library, a database and the names in a folder of an import are its run's."""
    (tmp_path / "eventful.py").write_text(EVENTFUL)
    (tmp_path / "plugins").mkdir()
    sqlite3.connect(tmp_path / "a.db").close()
    preload.preload((), ["eventful"])
    assert not any(isinstance(item, socket.socket) for _, arguments in preload.EVENTS for item in arguments)
    startup.record_imports()
    unseen = {event["name"] for event in run_folder.events(run, "unseen")}
    assert unseen == {"child process true", "child process false", "network 127.0.0.1:9", "compiled code of own.so"}
    assert {event["name"] for event in run_folder.events(run, "read")} == {"eventful.py", "plugins/", "a.db"}
    (tmp_path / "plugins" / "new.py").touch()
    with pytest.raises(ValueError, match="plugins/ has changed"):
        preload.check_reads()


COMPILED = """
import duckdb, pyarrow.parquet
from pyarrow.csv import read_csv
pyarrow.parquet.read_table("early.parquet")
read_csv("early.csv")
with duckdb.connect() as it:
    it.execute("select 'x' || 'y' as name, * from read_csv('early.csv')")
    try:
        it.sql("from read_csv('a' || 'b')")
    except duckdb.Error:
        pass
"""
PROGRAM = """
import os, sys
from pathlib import Path
from samebook.execution import startup
from samebook.execution.warm import preload
from samebook.reads import undeclared
assert preload.preload((), ["compiled"])[1] == ""
undeclared.start(sys.argv[1], os.getcwd())
startup.record_imports()
import compiled
compiled.read_csv("late.csv")
Path("early.parquet").write_text("changed")
try:
    preload.check_reads()
except ValueError as error:
    print(error)
"""


def test_compiled_reads_of_imports(tmp_path: Path) -> None:
    """What an import reads in compiled code is its run's, too; and so is what it reads later by a name of its own."""
    pandas.DataFrame({"n": [1]}).to_parquet(tmp_path / "early.parquet")
    for name in ("early", "late"):
        (tmp_path / f"{name}.csv").write_text("n\n1\n")
    (tmp_path / "compiled.py").write_text(COMPILED)
    (run := tmp_path / "run").mkdir()
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM, str(run)]
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    names = sorted(event["name"] for event in run_folder.events(run, "read"))
    assert names == ["compiled.py", "early.csv", "early.parquet", "late.csv"]
    assert "query of DuckDB" in str([*run_folder.events(run, "unseen")])
    assert "early.parquet has changed since it was read" in ended.stdout


def test_requests_of_imports(run: Path, tmp_path: Path) -> None:
    """What an import fetches by urllib3 is its run's; that urllib3 tries a socket, when it is imported, is not."""
    source = "import sys\nsys.modules.pop('urllib3.util.connection', None)\nimport urllib3.util.connection as it\n"
    fetch = "try:\n    it.create_connection(('127.0.0.1', 9))\nexcept OSError:\n    pass\n"
    for name, text in {"trying": source, "fetching": source + fetch}.items():
        (tmp_path / f"{name}.py").write_text(text)
        preload.preload((), [name])
        startup.record_imports()
        unseen = [event["name"] for event in run_folder.events(run, "unseen")]
        assert unseen == ["network 127.0.0.1:9"] * (name == "fetching")


def test_imports_know_the_kernel() -> None:
    """A module that is imported before its kernel is there finds one, as in a cell: pandas sizes its tables by it."""
    code = "from samebook.execution.warm import preload\nprint(preload.preload((), ['pandas'])[1])\n"
    code += "import builtins, pandas\nprint(pandas.get_option('display.max_columns'), hasattr(builtins, 'get_ipython'))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed == "\n20 False\n"
