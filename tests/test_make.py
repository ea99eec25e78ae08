"""What make is given reaches the command as one value, whatever stands in it; none of it is done by make or a shell."""

import os
import subprocess
from pathlib import Path

import pytest
from tiny import CHECKOUT

from samebook.core.make import COMMAND_LINE
from samebook.execution.warm import kernels

pytestmark = pytest.mark.host

# In the order of their age: an environment that make takes for installed.
INSTALLED = ("environments/lab.txt", "environments/build.txt", "scripts/pyproject.toml")
COMMAND = """#!/bin/sh
printf '%s\\n' "$@"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout whose samebook prints its arguments, a line each."""
    for name in (*INSTALLED, ".samebook/uv/bin/uv", ".venv/bin/samebook", ".venv/.installed"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(COMMAND)
    (tmp_path / ".venv" / "bin" / "samebook").chmod(0o755)
    return tmp_path


def make(root: Path, *arguments: str) -> list[str]:
    """The arguments that samebook gets from `make ARGUMENTS`."""
    command = ["make", "--silent", "--file", str(CHECKOUT / "Makefile"), "ENGINE=local", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "value",
    [
        "x$$(touch f)",
        "HEAD;touch f",
        "x`touch f`",
        'x" ; touch f; "',
        "x' ; touch f; '",
        "$(shell touch f)",
        "a | touch f",
    ],
)
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("RUN", "promote MODEL=m"),
        ("MODEL", "promote RUN=r"),
        ("ENV", "promote RUN=r MODEL=m"),
        ("TO", "rollback MODEL=m"),
        ("REOPEN", "rollback MODEL=m"),
        ("RUN", "reproduce"),
        ("A", "diff"),
        ("B", "diff A=a"),
        ("NOTEBOOK", "run"),
        ("ENV", "settings"),
        ("DAY", "log"),
        ("AS", "schedule"),
        ("ENV", "gc"),
    ],
)
def test_value_is_no_command(root: Path, name: str, call: str, value: str) -> None:
    """A value with $(…), quotes or ; in it is one argument, and nothing of it is done."""
    assert value in make(root, *call.split(), f"{name}={value}")
    assert not (root / "f").exists()


def test_several_models(root: Path) -> None:
    """MODEL may name several models for `make models`, and no file by a pattern."""
    found = make(root, "models", "MODEL=delay delay@prod * $(shell touch f) ;touch f")
    assert found[found.index("--") + 1 :] == ["delay", "delay@prod", "*", "$(shell", "touch", "f)", ";touch", "f"]
    assert not (root / "f").exists()


@pytest.mark.parametrize("call", ["run", "pipeline NAME=daily", "backfill NAME=daily FROM=2013-07-01 TO=2013-07-02"])
def test_parameters(root: Path, call: str) -> None:
    """PARAMS is one argument as it stands: quotes, spaces and dollars belong to the values."""
    given = "a=it's b=';touch f;' c=two words d=$5 $$ $(shell touch f)"
    found = make(root, *call.split(), f"PARAMS={given}")
    assert found[found.index("--params") + 1] == given
    assert not (root / "f").exists()


def test_what_nobody_gave_is_not_there(root: Path) -> None:
    """Where nothing is given, nothing is passed on: not even what make has by itself under such a name, like AS."""
    assert make(root, "schedule") == ["schedule", "--env", "dev"]
    assert make(root, "gc") == ["gc", "--env", "dev"]


def test_kernels_are_the_same_by_make(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is meant for make makes no other kernel: only its PATH does, and what modules may look at."""
    (root / ".venv" / "bin" / "samebook").write_text("#!/bin/sh\nenv -0\n")
    for given, others in (("TIMEOUT=5s ENV=prod", set[str]()), ("OMP_NUM_THREADS=1", {"OMP_NUM_THREADS"})):
        told = "\n".join(make(root, "run", "PARAMS=n=1", *given.split()))
        found = dict(variable.partition("=")[::2] for variable in told.split("\0") if variable)
        assert found["PARAMS"] == "n=1"
        assert {"PARAMS", "ENV", "NOTEBOOK", "BASE_IMAGE"} <= set(found[COMMAND_LINE].split())
        monkeypatch.setenv(COMMAND_LINE, found[COMMAND_LINE])
        ours, theirs = kernels.import_variables(os.environ), kernels.import_variables(found)
        differ = {name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)}
        assert differ - {"PYTHONDONTWRITEBYTECODE"} == {"PATH", *others}


def test_own_variables_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the caller's own environment is for the notebook too, whatever make calls by that name."""
    monkeypatch.setenv("SEED", "7")
    (root / ".venv" / "bin" / "samebook").write_text(f"#!/bin/sh\necho ${COMMAND_LINE}\n")
    assert "SEED" not in make(root, "run")[0].split()
    assert "SEED" in make(root, "run", "SEED=7")[0].split()
