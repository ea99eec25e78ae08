"""The numerics of a kernel: which instructions of the processor its libraries take, and in how many threads.

A sum in another order, or an exponential by other instructions, has other last digits. Portable numerics take what
every processor of the level x86-64-v3 has, and numbers of threads that do not depend on the machine: two of OpenMP,
because the sums of three are added in the order in which they are ready, as in KMeans, and one of BLAS, which takes no
more than there are cores.
"""

import os
import platform
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from samebook.core.errors import EnvironmentMismatch, UsageError
from samebook.environment import machine

type Name = Literal["portable", "fast"]

LEVEL = "x86-64-v3"
OPENMP_THREADS = 2
# numpy's names for the groups of instructions above the level: since version 2.4, and before.
# https://numpy.org/doc/stable/reference/simd/build-options.html
FEATURES = ("X86_V4", "AVX512_ICL", "AVX512_SPR")
OLDER_FEATURES = ("AVX512F", "AVX512CD", "AVX512_SKX", "AVX512_CLX", "AVX512_CNL", "AVX512_ICL", "AVX512_SPR")
OLDER_THAN = (2, 4)
# The beginnings of numpy's names for what is above the level.
ABOVE = ("X86_V4", "AVX512", "AVX10")
CORE = "Haswell"
# The bytes of its second cache. By that of AMD's Zen 4 and 5, OpenBLAS 0.3.34 knows them, and gives any core larger
# blocks: other last digits, and more than the stack of Haswell holds: https://github.com/OpenMathLib/OpenBLAS/issues/6021
CACHE = "262144"
# What each processor of ARM has. The core for SME, which OpenBLAS takes under QEMU, multiplies matrices wrong there.
# Perhaps: https://github.com/OpenMathLib/OpenBLAS/issues/5976
CORE_OF_ARM = "ARMV8"
# By the level of a processor, the groups of numpy and the core of OpenBLAS that the next level below lacks or has.
BELOW = {4: (FEATURES, CORE), 3: (("X86_V3", *FEATURES), "Sandybridge")}
# A trial takes the next level below, where its numerics are fast.
LOWERED = "SAMEBOOK_LOWERED_LEVEL"
# What other libraries, where a user adds them, take from their own variables.
OF_OTHERS = {
    "ARROW_USER_SIMD_LEVEL": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "NUMBA_CPU_NAME": "haswell",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}
BLAS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
OPENMP = "OMP_NUM_THREADS"
MEND = "again, with SAMEBOOK_NUMERICS=fast"
# More threads than this are a mistake; a receipt holds no more.
MOST_THREADS = 9999


@dataclass(frozen=True)
class Numerics:
    """The numerics `name`, with these numbers of threads of OpenMP and of BLAS.

    `is_held` says whether this processor has the level of portable ones; else only their numbers of threads are held,
    and on ARM the core of OpenBLAS.
    """

    name: Name
    openmp: int
    blas: int
    is_held: bool

    def level_variables(self) -> dict[str, str]:
        """The variables that fix the level of the processor, or lower it in a trial; none where it is not fixed."""
        if self.name == "fast":
            return lowered_level() if os.environ.get(LOWERED) else {}
        if not self.is_held:
            return {"OPENBLAS_CORETYPE": CORE_OF_ARM} if platform.machine() == "aarch64" else {}
        features = " ".join(features_above(_numpy_version()))
        return {"NPY_DISABLE_CPU_FEATURES": features, "OPENBLAS_CORETYPE": CORE, "OPENBLAS_L2_SIZE": CACHE, **OF_OTHERS}

    def variables(self) -> dict[str, str]:
        """The variables of a kernel with these numerics; they count before a library is imported."""
        threads = {OPENMP: str(self.openmp), "OMP_DYNAMIC": "FALSE", **dict.fromkeys(BLAS, str(self.blas))}
        return {**self.level_variables(), **threads}

    def obstacle(self) -> str:
        """A message where portable numerics can't be held on this machine; "" where they can."""
        if self.name == "fast" or self.is_held:
            return ""
        return (
            f"numerics: portable ones can't be held here: found the processor level {machine.level_name()}, expected"
            f" {LEVEL}; exp, log, powers, matrix products and linear models may have other last digits than elsewhere"
        )

    def check(self, libraries: Mapping[str, Any]) -> None:
        """Raise EnvironmentMismatch where the kernel's numpy did not take what these numerics say.

        `libraries` is what `libraries.loaded` said in the kernel. numpy ignores a name that it doesn't know.
        """
        if self.name == "fast" or not self.is_held:
            return
        above = [name for name in libraries.get("numpy", ()) if name.startswith(ABOVE)]
        if wrong := [*libraries.get("unknown", ()), *above]:
            raise EnvironmentMismatch(
                f"the numerics are not portable: numpy can't leave out {wrong[0]}, expected {LEVEL} and no more",
                mend=MEND,
            )


def of(name: Name = "portable", threads: int = 0) -> Numerics:
    """The numerics of a name, with this number of OpenMP threads; 0: OPENMP_THREADS where portable, else the cores.

    The caller's OMP_NUM_THREADS wins; fast ones take OPENBLAS_NUM_THREADS too.
    """
    is_portable = name == "portable"
    openmp = _number(OPENMP) or threads or (OPENMP_THREADS if is_portable else machine.cores())
    blas = 1 if is_portable else _number(BLAS[0]) or min(openmp, machine.cores())
    return Numerics(name, openmp, blas, machine.level() >= 3)


def lowered_level() -> dict[str, str]:
    """The variables that simulate the next level below this machine's; none where there is none to simulate."""
    return below(machine.level()) if machine.level() in BELOW else {}


def below(level: int) -> dict[str, str]:
    """The variables that simulate the level below this one, which is in BELOW."""
    features, core = BELOW[level]
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(features), "OPENBLAS_CORETYPE": core, "OPENBLAS_L2_SIZE": CACHE}


def features_above(numpy: str) -> tuple[str, ...]:
    """The names by which this version of numpy knows what is above the level."""
    parts = tuple(int(part) for part in numpy.split(".")[:2] if part.isdecimal())
    return OLDER_FEATURES if parts and parts < OLDER_THAN else FEATURES


def _numpy_version() -> str:
    """The version of the installed numpy, by the name of its folder, as that is quick; "" where there is none."""
    path = next(Path(sysconfig.get_path("purelib")).glob("numpy-*.dist-info"), None)
    return path.name.split("-")[1].removesuffix(".dist") if path else ""


def _number(variable: str) -> int:
    """The caller's number of threads; of a list of numbers, as for nested regions, the first; 0 where there is none."""
    text = os.environ.get(variable, "").partition(",")[0].strip()
    if text and not (text.isdecimal() and len(text) < 9 and 0 < int(text) <= MOST_THREADS):
        raise UsageError(
            f"{variable} is {text!r}; expected a number above 0, at most {MOST_THREADS}", mend=f"unset {variable}"
        )
    return int(text or 0)
