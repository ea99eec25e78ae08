"""A small part of `make portability`: what depends on the processor, and that portable numerics mend it."""

import pytest
from benchmarks import portability
from benchmarks.kinds import KINDS

from samebook.environment import machine, numerics


@pytest.mark.skipif(
    machine.level() not in numerics.BELOW or machine.cores() < 2, reason="needs x86-64-v3 and two cores"
)
def test_portable_numerics_mend_it() -> None:
    """Under portable numerics nothing differs by the number of cores; the levels of numpy and BLAS are told apart."""
    assert len(KINDS) >= 40
    names = ["numpy exp", "numpy tanh", "numpy matrix product", "numpy sort"]
    differing = portability.differing(names, ["portable", "numpy's level", "BLAS's level"])
    assert differing["portable"] == []
    assert differing["BLAS's level"] == ["numpy matrix product"]
    assert {"numpy exp", "numpy tanh"} & set(differing["numpy's level"])
    assert "numpy sort" not in differing["numpy's level"]
    table = portability.table(names, differing)
    assert "| numpy matrix product | same | same | **differ** |" in table
    assert table.endswith(" | same | same | same |")
