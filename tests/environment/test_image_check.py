"""The check of an image's packages: what it takes for broken, and what it says of it."""

import subprocess
import sys
from importlib import import_module, machinery
from pathlib import Path

import pytest
from tiny import CHECKOUT

pytestmark = pytest.mark.host  # in the image no folder for temporary files may hold a library
# An extension of Python's own, which is a module by its own name alone.
EXTENSION = Path(str(import_module("_lsprof").__file__))
LOADED = """
import importlib.util, pathlib
path = str(next(pathlib.Path(__file__).parent.glob("cut*")))
spec = importlib.util.spec_from_file_location("_lsprof", path)
spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""


def check(site: Path, code: str, extension: bytes) -> subprocess.CompletedProcess[str]:
    """The check of a folder with the package `sawn` of the distribution `saw-mill`: its code and an extension `cut`."""
    package, notes = site / "sawn", site / "saw_mill-1.dist-info"
    package.mkdir(parents=True)
    notes.mkdir()
    (package / "__init__.py").write_text(code)
    (package / f"cut{machinery.EXTENSION_SUFFIXES[0]}").write_bytes(extension)
    (notes / "METADATA").write_text("Metadata-Version: 2.1\nName: saw-mill\nVersion: 1\n")
    (notes / "top_level.txt").write_text("sawn\n")
    (notes / "RECORD").write_text("sawn/__init__.py,,\n")
    command = [sys.executable, "-S", CHECKOUT / "scripts" / "samebook" / "image" / "check", site]
    return subprocess.run(command, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False)


@pytest.mark.fast
def test_package_loads_its_extension(tmp_path: Path) -> None:
    """An extension that its package loads by another name, as opencv's does, is whole, though its own name fails."""
    assert check(tmp_path, LOADED, EXTENSION.read_bytes()).stderr == ""


@pytest.mark.fast
@pytest.mark.parametrize(
    ("code", "extension", "failure"),
    [
        ("", EXTENSION.read_bytes(), "sawn.cut: ImportError: dynamic module does not define"),
        ("", b"no library", "sawn.cut: ImportError: "),
        (LOADED, b"no library", "sawn: ImportError: "),
        ("import missing_board", EXTENSION.read_bytes(), "sawn: ModuleNotFoundError: No module named 'missing_board'"),
        ("raise SystemExit", EXTENSION.read_bytes(), "sawn: SystemExit: "),
    ],
)
def test_broken_package_is_named(tmp_path: Path, code: str, extension: bytes, failure: str) -> None:
    """A package or an extension that can't be imported fails the check, with its error and what takes it out."""
    done = check(tmp_path, code, extension)
    assert done.returncode == 1
    assert f"error: can't be imported: {failure}" in done.stderr
    assert '\n  -> make remove PACKAGE="saw-mill"\n' in done.stderr
