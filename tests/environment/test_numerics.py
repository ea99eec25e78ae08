"""Numerics: what a kernel takes of its processor, and in how many threads, and what it does where it can't."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samebook.core.errors import EnvironmentMismatch, UsageError
from samebook.environment import machine, numerics
from samebook.environment.numerics import Numerics
from samebook.reads import libraries

FLAGS = "fpu sse sse2"
PORTABLE = Numerics("portable", 2, 1, is_held=True)


@pytest.fixture(autouse=True)
def _no_threads_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (numerics.OPENMP, *numerics.BLAS):
        monkeypatch.delenv(name, raising=False)


def kernel(variables: dict[str, str], work: str) -> Any:
    """What some lines of Python print as JSON, with these variables."""
    ended = subprocess.run([sys.executable, "-c", work], env=os.environ | variables, stdout=subprocess.PIPE, check=True)
    return json.loads(ended.stdout)


def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: int) -> None:
    """A machine whose processor has so many of the levels above the first."""
    path = tmp_path / f"cpuinfo-{levels}"
    path.write_text(f"model name\t: Some CPU @ 2 GHz\nflags\t\t: {FLAGS} {' '.join(machine.LEVELS[:levels])}\n")
    monkeypatch.setattr(machine, "CPUINFO", path)


def test_names_are_known() -> None:
    """The locked numpy knows each name that portable numerics leave out, and has no other group above the level."""
    dispatched = sys.modules["numpy._core._multiarray_umath"].__cpu_dispatch__
    assert set(numerics.features_above(np.__version__)) == {
        name for name in dispatched if name.startswith(numerics.ABOVE)
    }
    assert numerics.features_above("2.3.5") == numerics.OLDER_FEATURES
    assert numerics.features_above("") == numerics.FEATURES


def test_portable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of threads are the same on machines of any number of cores, but where numerics are fast."""
    monkeypatch.setattr(machine, "cores", lambda: 16)
    assert (numerics.of().openmp, numerics.of().blas) == (2, 1)
    assert (numerics.of(threads=6).openmp, numerics.of(threads=6).blas) == (6, 1)
    assert (numerics.of("fast").openmp, numerics.of("fast").blas) == (16, 16)
    monkeypatch.setenv(numerics.OPENMP, "3,2")
    assert (numerics.of(threads=6).openmp, numerics.of("fast").blas) == (3, 3)
    for text in ("all", "0", "10000", "9" * 5000):
        monkeypatch.setenv(numerics.OPENMP, text)
        with pytest.raises(UsageError, match=f"OMP_NUM_THREADS is '{text}'; expected a number above 0, at most 9999"):
            numerics.of()


@pytest.mark.parametrize(("levels", "name"), [(0, "x86-64-v1"), (1, "x86-64-v2"), (2, "x86-64-v3"), (3, "x86-64-v4")])
@pytest.mark.skipif(machine.level() == 0, reason="levels are those of x86-64")
def test_level_of_a_processor(levels: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Portable numerics are held from x86-64-v3 on; below, a line says what differs, and only threads are fixed."""
    processor(tmp_path, monkeypatch, levels)
    assert (machine.level_name(), machine.processor()) == (name, "Some CPU @ 2 GHz")
    portable = numerics.of()
    assert portable.is_held == (levels >= 2) == bool(portable.level_variables())
    assert (f"found the processor level {name}, expected x86-64-v3" in portable.obstacle()) == (levels < 2)
    assert portable.variables()["OMP_NUM_THREADS"] == "2"
    assert numerics.of("fast").obstacle() == ""


def test_another_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another architecture portable numerics can't be held, and no name of x86-64 is given to its libraries; on ARM
    OpenBLAS takes the core that each processor has.
    """
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    machine._level.cache_clear()
    assert "found the processor level of aarch64, which is unknown" in numerics.of().obstacle()
    assert numerics.of().level_variables() == {"OPENBLAS_CORETYPE": "ARMV8"}
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "OPENBLAS_CORETYPE" not in numerics.of().variables()
    machine._level.cache_clear()


@pytest.mark.parametrize(
    ("content", "model"),
    [
        ("CPU implementer\t: 0x41\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n", "aarch64, implementer 0x41, part 0xd0c"),
        (
            "model name\t: ARMv8 Processor rev 0 (v8l)\nCPU implementer\t: 0x00\nCPU part\t: 0x051\n",
            "aarch64, implementer 0x00, part 0x051, emulated by QEMU",
        ),
        ("model name\t: AMD EPYC\nflags\t\t: fpu avx2\n", "aarch64"),
    ],
)
def test_processor_of_arm(content: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ARM processor has its numbers as its name, an emulated one says so, and none has the name of its host's."""
    path = tmp_path / "cpuinfo"
    path.write_text(content)
    monkeypatch.setattr(machine, "CPUINFO", path)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert machine.processor() == model


@pytest.mark.skipif(machine.level() < 3, reason="this machine has no x86-64-v3")
def test_libraries_take_what_is_said() -> None:
    """A process with the variables has their level and threads, and says so; without numpy it says nothing."""
    work = "import numpy, json; from samebook.reads import libraries; print(json.dumps(libraries.loaded()))"
    facts = kernel(PORTABLE.variables(), work)
    assert facts == {"numpy": ["X86_V3"], "unknown": [], "blas": ["openblas Haswell"], "blas_threads": 1}
    PORTABLE.check(facts)
    assert kernel(PORTABLE.variables(), work.replace("numpy", "math")) == {}
    unknown = kernel({"NPY_DISABLE_CPU_FEATURES": "X86_V9"}, work)
    assert unknown["unknown"] == ["X86_V9"]
    for facts in (unknown, {"numpy": ["X86_V3", "AVX512_NEW"]}):
        with pytest.raises(EnvironmentMismatch, match=r"numpy can't leave out (X86_V9|AVX512_NEW), expected x86-64-v3"):
            PORTABLE.check(facts)


def test_nothing_is_loaded_for_it() -> None:
    """To ask what is loaded imports no library."""
    work = "import json, sys; from samebook.reads import libraries"
    assert kernel({}, f"{work}; print(json.dumps([libraries.loaded(), 'numpy' in sys.modules]))") == [{}, False]
    assert libraries.loaded()["numpy"]


@pytest.mark.skipif(machine.cores() < 2, reason="a machine of one core has no second number")
def test_cores_decide_nothing() -> None:
    """KMeans gives the same bytes on one core as on several, as in a sweep, by `taskset` or in a small container."""
    one_core = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    work = """
import hashlib, json, numpy
from sklearn.cluster import KMeans
rows = numpy.random.default_rng(0).normal(size=(5000, 8))
print(json.dumps(hashlib.sha256(KMeans(5, n_init=1, random_state=0).fit(rows).cluster_centers_.tobytes()).hexdigest()))
"""
    assert kernel(numerics.of().variables(), work) == kernel(numerics.of().variables(), one_core + work)
    fast = [kernel(Numerics("fast", cores, cores, is_held=True).variables(), work) for cores in (1, 2)]
    assert fast[0] != fast[1]


def test_blas_multiplies_on_each_processor() -> None:
    """The core that OpenBLAS is told to take multiplies matrices right, whatever the processor's caches."""
    code = """
import numpy as np
random = np.random.default_rng(3)
for rows in (17, 300, 700, 1200):
    a, b = random.normal(size=(rows, rows)), random.normal(size=(rows, 10))
    assert np.allclose(a.T @ b, np.einsum("ki,kj->ij", a, b))
    assert np.allclose(np.linalg.inv(a) @ a, np.eye(rows), atol=1e-6)
    assert np.allclose(a.astype("f4") @ b.astype("f4"), a @ b, atol=1e-2)
"""
    for variables in (numerics.of().variables(), numerics.lowered_level()):
        subprocess.run([sys.executable, "-c", code], env={**os.environ, **variables}, check=True)
