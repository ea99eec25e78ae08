"""The environment: its lock, its identity, the variables of a kernel, and the limits of a container."""

import os
import re
from pathlib import Path

import pytest
from tiny import CHECKOUT, Tiny

from samebook.core.workspace import Workspace
from samebook.environment import identity, machine, variables

HERE = Workspace(CHECKOUT)


def versions(lock: str) -> dict[str, str]:
    """The version of each package that a lock names."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (CHECKOUT / "environments" / lock).read_text(), re.MULTILINE))


def test_lab_agrees_with_runtime() -> None:
    """Every package of runtime has the same version in lab."""
    assert len(versions("runtime.txt")) > 50
    assert versions("runtime.txt").items() <= versions("lab.txt").items()


@pytest.mark.parametrize("name", ["runtime.txt", "lab.txt", "build.txt"])
def test_lock_names_no_host(name: str) -> None:
    """A lock names versions and hashes, and no host to download from."""
    text = (CHECKOUT / "environments" / name).read_text()
    assert "://" not in text
    assert text.count("--hash=sha256:") >= len(versions(name)) > 0


def test_slow_import_left_out() -> None:
    """No lock has the package whose import would take a second of every run."""
    assert not {"rfc3987-syntax", "lark"} & {*versions("runtime.txt"), *versions("lab.txt")}


def test_environment_is_locked() -> None:
    """The installed packages have the versions of the lock."""
    assert identity.mismatches(HERE) == {}


def test_mismatch_names_both(tiny: Tiny) -> None:
    """A package of another version, or a missing one, is reported with both versions; names are normalised."""
    lock = tiny.root / "environments" / "runtime.txt"
    lock.write_text("Pandas==0.1\nno.such_package==2.0 ; python_version > '3'\nother==1 ; python_version < '3'\n")
    mismatches = identity.mismatches(Workspace(tiny.root))
    assert mismatches == {"pandas": ("0.1", versions("runtime.txt")["pandas"]), "no-such-package": ("2.0", "")}


def test_kernel_sees_fixed_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kernel gets the fixed variables in place of the caller's, and none of the caller or of make that is private or
    decides what is computed.
    """
    private = ("PYTHONPATH", "PYTHONSTARTUP", "MPLBACKEND", "JUPYTER_PATH", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
    private += ("OPENBLAS_CORETYPE", "NPY_ENABLE_CPU_FEATURES", "MKL_CBWR", "NUMBA_CPU_NAME", "OMP_SCHEDULE")
    private += ("KMP_BLOCKTIME", "LD_PRELOAD", "GLIBC_TUNABLES", "GOTO_NUM_THREADS")
    for name in (*private, "PYTHONHASHSEED", "TZ"):
        monkeypatch.setenv(name, "/of/the/caller")
    kernel = variables.of_any_kernel(HERE) | variables.of_run(HERE, tmp_path / "run", "dev", tmp_path)
    assert "/of/the/caller" not in kernel.values()
    assert (kernel["PYTHONHASHSEED"], kernel["TZ"], kernel["OMP_WAIT_POLICY"]) == ("0", "UTC", "PASSIVE")
    assert kernel["SAMEBOOK_RUN"] == str(tmp_path / "run")


@pytest.mark.parametrize(
    "files",
    [
        {"cpu.max": "100000 100000\n", "memory.max": "536870912\n", "memory.current": "436870912\n"},
        {
            "cpu/cpu.cfs_quota_us": "100000\n",
            "cpu/cpu.cfs_period_us": "100000\n",
            "memory/memory.limit_in_bytes": "536870912\n",
            "memory/memory.usage_in_bytes": "436870912\n",
        },
    ],
    ids=["second", "first"],
)
def test_limits_of_a_container(files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's limits of cores and memory count, in both versions of cgroups; without them, the machine's."""
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert machine.cores() == os.process_cpu_count()
    assert machine.free_memory() > 600_000_000
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine.cores() == 1
    assert machine.free_memory() == 100_000_000


def test_mend_installs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that mends an environment removes each mark by which make would take it for whole."""
    monkeypatch.setattr(machine, "engine", lambda: "local")
    text = (CHECKOUT / "environments" / "engine.mk").read_text()
    marks = set(re.findall(r"\.venv/\.\w+", text))
    assert marks
    assert marks <= set(identity.mend().split())
