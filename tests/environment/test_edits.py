"""Edited packages: noticed by size and time, by hash where every file is read, and part of the environment's digest."""

import os
from pathlib import Path

import pytest
from tiny import CHECKOUT, Tiny

from samebook.core.errors import EnvironmentMismatch
from samebook.core.workspace import Workspace
from samebook.environment import edits, identity, machine
from samebook.verbs import doctor

CODE, LONGER, AS_LONG = "x = 1\n", "x = 1000\n", "x = 2\n"
NIA = "nia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q"  # the sha256 of CODE, in RECORD's form


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The RECORD of an installed package `tool`, whose one code file is an hour older."""
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "core.py").write_text(CODE)
    record = tmp_path / "tool-1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text(f"tool/core.py,sha256={NIA},6\ntool-1.0.dist-info/RECORD,,\n")
    monkeypatch.setattr(identity.sysconfig, "get_path", lambda _: str(tmp_path))
    return record


def write(record: Path, content: str, seconds: float) -> None:
    """Write the code file anew, so many seconds after the package was installed."""
    path = record.parent.parent / "tool" / "core.py"
    path.write_text(content)
    os.utime(path, (record.stat().st_mtime + seconds,) * 2)


@pytest.mark.parametrize(("content", "seconds"), [(LONGER, -3600), (AS_LONG, 3600)])
def test_edit_changes_the_digest(content: str, seconds: float, record: Path) -> None:
    """A code file of another size, or written after the installation, changes the package's digest until it is back."""
    write(record, CODE, -3600)
    before = identity.package_records({"tool"})
    write(record, content, seconds)
    assert list(edits.of_package(record)) == ["tool/core.py"]
    assert identity.package_records({"tool"}) != before
    write(record, CODE, 3600)
    assert identity.package_records({"tool"}) == before


def test_every_file_is_read_in_full(record: Path, tiny: Tiny) -> None:
    """An edit that keeps the size and hides its time is found at a promotion; a missing file is no edit."""
    write(record, AS_LONG, -3600)
    assert edits.of_package(record) == {}
    assert list(edits.of_package(record, is_full=True)) == ["tool/core.py"]
    (tiny.root / "environments" / "runtime.txt").write_text("tool==1.0\n")
    with pytest.raises(EnvironmentMismatch, match=r"tool has tool/core.py edited") as error:
        identity.check_unedited(Workspace(tiny.root))
    mend = ".samebook/uv/bin/uv cache clean tool && rm -rf .venv && make environment"
    assert identity.anew("local", "tool") == mend
    assert error.value.mend in (mend, "make build")  # that of the engine that these tests run on
    assert (identity.anew("local"), identity.anew("docker")) == ("rm -rf .venv && make environment", "make build")
    (record.parent.parent / "tool" / "core.py").unlink()
    assert edits.of_package(record, is_full=True) == {"tool/core.py": ""}
    assert edits.of_package(record, is_full=True, is_image=True) == {}


@pytest.mark.parametrize("name", ["data.csv", "core.cpython-313-x86_64-linux-gnu.so", "late.pth", "lib/libx.so.1"])
def test_every_kind_of_file(name: str, record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table, a library or a start file that is not the wheel's is an edit as code is; the image's libraries are none,
    as they are smaller.
    """
    monkeypatch.setattr(identity.machine, "LISTING", record / "none")
    path = record.parent.parent / "tool" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(CODE)
    write(record, CODE, -3600)
    record.write_text(record.read_text() + f"tool/{name},sha256={NIA},6\n")
    before = identity.package_records({"tool"})
    identity.check_wheels(record.parent.parent)
    path.write_text(LONGER)
    assert identity.package_records({"tool"}) != before
    assert bool(edits.of_package(record, is_image=True)) == (".so" not in name)
    with pytest.raises(
        EnvironmentMismatch, match=f"1 packages are not as in their wheels: tool has tool/{name} edited"
    ):
        identity.check_wheels(record.parent.parent)


def test_package_that_no_lock_has(record: Path, tiny: Tiny) -> None:
    """A package that somebody has installed beside those of the lock is drift, with each of its files."""
    workspace = Workspace(tiny.root)
    (tiny.root / "environments" / "runtime.txt").write_text("tool==1.0\n")
    write(record, CODE, -3600)
    before = identity.of(workspace)
    assert "edited" not in before
    foreign = record.parent.parent / "foreign-2.0.dist-info"
    foreign.mkdir()
    (foreign / "RECORD").write_text("foreign/__init__.py,,\nforeign.pth,,\nforeign-2.0.dist-info/RECORD,,\n")
    (record.parent.parent / "foreign").mkdir()
    (record.parent.parent / "foreign" / "__init__.py").write_text("VALUE = 1\n")
    (record.parent.parent / "foreign.pth").write_text("import os\n")
    after = identity.of(workspace)
    assert after["edited"] == dict.fromkeys(("foreign.pth", "foreign/__init__.py"), "no package of the lock has it")
    assert after["digest"] != before["digest"]
    with pytest.raises(EnvironmentMismatch, match=r"Python imports foreign\.pth, and no package of the lock has it"):
        identity.check_unedited(workspace)
    (tiny.root / "environments" / "other.txt").write_text("foreign==2.0\n")  # no lock
    assert identity.of(workspace)["digest"] == after["digest"]
    (tiny.root / "environments" / "lab.txt").write_text("tool==1.0\nForeign==2.0 ; sys_platform == 'linux'\n")
    identity.check_unedited(workspace)


def test_doctor_names_the_file(record: Path, tiny: Tiny) -> None:
    """The doctor reads every file of a package in full, and says which was edited and what mends it."""
    (tiny.root / "environments" / "runtime.txt").write_text("tool==1.0\n")
    lines = [finding for finding in doctor.doctor(Workspace(tiny.root)) if finding.what == "package tool"]
    assert lines == []
    write(record, AS_LONG, -3600)
    (line,) = [finding for finding in doctor.doctor(Workspace(tiny.root)) if finding.what == "package tool"]
    assert (line.ok, line.found) == (False, "edited: tool/core.py")
    assert line.mend == identity.anew(machine.engine(), "tool")


@pytest.mark.parametrize("name", ["late.pth", "sitecustomize.py", "evil.py", "evil.pyc", "evil/__init__.py"])
def test_file_beside_packages(name: str, record: Path, tiny: Tiny) -> None:
    """A file that Python may import changes the environment, is named as drift, and stops a promotion, unless a package
    has it.
    """
    (tiny.root / "environments" / "runtime.txt").write_text("tool==1.0\n")
    workspace, path = Workspace(tiny.root), record.parent.parent / name
    write(record, CODE, -3600)
    (record.parent.parent / "pip.py").write_bytes(edits.PIP_CONTENT)  # as make leaves it
    before = identity.of(workspace)
    assert "edited" not in before
    path.parent.mkdir(exist_ok=True)
    path.write_text("import os\n")
    after = identity.of(workspace)
    assert after["digest"] != before["digest"]
    assert after["edited"] == {name: "no package of the lock has it"}
    with pytest.raises(EnvironmentMismatch, match=f"Python imports {name}, and no package of the lock has it"):
        identity.check_unedited(workspace)
    record.write_text(record.read_text() + f"{name},,\n")
    identity.check_unedited(workspace)
    assert "edited" not in identity.of(workspace)


def test_file_inside_a_package(record: Path, tiny: Tiny) -> None:
    """A module that was added to a package's own folder stops a promotion; what Python caches there does not."""
    (tiny.root / "environments" / "runtime.txt").write_text("tool==1.0\n")
    cached = record.parent.parent / "tool" / "__pycache__" / "core.cpython-313.pyc"
    cached.parent.mkdir()
    cached.touch()
    identity.check_unedited(Workspace(tiny.root))
    (cached.parents[1] / "evil.py").touch()
    with pytest.raises(EnvironmentMismatch, match=r"Python imports tool/evil\.py, and no package of the lock has it"):
        identity.check_unedited(Workspace(tiny.root))


def test_module_of_make(record: Path) -> None:
    """What both engines call writes the module pip.py that is no stray; another one of that name is."""
    line = edits.PIP_CONTENT.decode().strip()
    assert line in (CHECKOUT / "environments" / "image" / "install").read_text()
    (record.parent.parent / "pip.py").write_text("import evil\n")
    assert list(edits.strays(record.parent.parent, {"tool-1.0.dist-info"})) == ["pip.py"]


def test_uncompiled_modules_are_told(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an environment can't be written and nothing in it is compiled, each run compiles all: a line says so."""
    package = record.parent.parent / "pydantic"
    package.mkdir()
    assert identity.uncompiled() == ""
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "can't be written, so that Python compiles all modules again in each run" in identity.uncompiled()
    (package / "__pycache__").mkdir()
    assert identity.uncompiled() == ""
