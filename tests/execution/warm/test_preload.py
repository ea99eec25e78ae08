"""Imports before a kernel begins: what they read is a read of the kernel's run."""

import py_compile
import sys
from pathlib import Path

import pytest

from samebook.execution import startup
from samebook.execution.warm import preload
from samebook.reads import undeclared
from samebook.reads.places import Places
from samebook.reads.recorder import Recorder
from samebook.records import run_folder

MODULE = "from pathlib import Path\nCONTENT = Path(__file__).with_name('own.cfg').read_text()"


def test_reads_of_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that an import has read is recorded in the kernel; once it is another one, no kernel is forked."""
    (tmp_path / "run").mkdir()
    (tmp_path / "configured.py").write_text(MODULE)
    (tmp_path / "own.cfg").write_text("1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(preload, "READS", {})
    monkeypatch.setattr(undeclared, "RECORDER", Recorder())
    undeclared.RECORDER.run = tmp_path / "run"
    undeclared.RECORDER.places = Places(str(tmp_path / "run"), str(tmp_path))
    preload.preload((), ["configured"])
    startup.record_imports()
    names = {event["name"] for event in run_folder.events(tmp_path / "run", "read")}
    assert names == {"configured.py", "own.cfg"}
    py_compile.compile(str(tmp_path / "configured.py"))  # as another process may that imports it, too
    preload.check_reads()
    (tmp_path / "own.cfg").write_text("22")
    with pytest.raises(ValueError, match=r"own\.cfg has changed"):
        preload.check_reads()
