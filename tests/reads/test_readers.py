"""Hooks of libraries: what they note of the arguments, and that they come to each module."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from samebook.reads import arguments, readers, recorder
from samebook.reads.places import Places
from samebook.records import run_folder

CODE = """
import importlib, sys
from samebook.reads import readers
from samebook.reads.recorder import Recorder
name = next(name for name in sys.builtin_module_names if name not in sys.modules)
readers.hook(Recorder(), {name: lambda module: print(module.__name__ == name)})
module = importlib.import_module(name)
assert module is sys.modules[name] and module.__name__ == name
"""


def test_part_that_a_library_lacks() -> None:
    """What a library says to be missing, as pyarrow does of S3 in the image, is not hooked, and the rest is."""

    class Lacking(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise ImportError(name)

    module = Lacking("lacking")
    vars(module)["read"] = len
    readers._hook_module(recorder.Recorder(), module, dict.fromkeys(("S3FileSystem", "read"), readers.read))
    assert module.read is not len
    assert module.read([1]) == 1


def test_builtin_module_is_hooked() -> None:
    """A module that is a part of Python itself, as more are in some Pythons, is hooked once it is imported."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["{here}/old"], {"old.db"}),
        (["{here}/old", "c"], {"old.db"}),
        (["{here}/old", "n"], set()),
        (["{here}/new", "c"], set()),
    ],
)
def test_database_of_dbm(values: list[str], names: set[str], tmp_path: Path) -> None:
    """A database of dbm is read by the name with its ending, unless it is made anew."""
    (tmp_path / "old.db").write_text("rows")
    record = recorder.Recorder()
    record.run, record.places = tmp_path / "run", Places(str(tmp_path / "run"), str(tmp_path))
    record.run.mkdir()
    arguments.read_dbm(record, [value.replace("{here}", str(tmp_path)) for value in values])
    assert {event["name"] for event in run_folder.events(record.run)} == names
