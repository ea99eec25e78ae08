"""A small part of `make portability`: what depends on the processor, and that portable numerics mend it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import numpy as np
import pytest
from benchmarks import architectures, portability
from benchmarks.kinds import KINDS
from tiny import CHECKOUT

from samebook.environment import machine, numerics
from samebook.reproduction import causes
from samebook.reproduction.causes import Source

NOTEBOOKS = ("processor", "threads_of_openmp")
# Executes sources, and prints what each has printed.
PROGRAM = """
import contextlib, io, json, sys
names, printed = {}, []
for source in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as stream:
        exec(source, names)
    printed.append(stream.getvalue())
print(json.dumps(printed))
"""


def printed(cells: list[Source], variables: Mapping[str, str]) -> list[str]:
    """The text that each cell prints, in a process with these variables."""
    command, sources = (sys.executable, "-c", PROGRAM), json.dumps([cell.text for cell in cells])
    done = subprocess.run(
        command, env={**os.environ, **variables}, input=sources, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


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


@pytest.mark.skipif(
    machine.level() not in numerics.BELOW or machine.cores() < 2, reason="needs x86-64-v3 and two cores"
)
def test_causes_of_the_gallery() -> None:
    """With fast numerics exp, a linear model and svd differ by the level, KMeans by the threads; so they are named."""
    contents = (json.loads((CHECKOUT / f"tests/gallery/{name}.ipynb").read_text()) for name in NOTEBOOKS)
    code = [cell for content in contents for cell in content["cells"] if cell["cell_type"] == "code"]
    cells = [Source(number, cell["id"], "".join(cell["source"])) for number, cell in enumerate(code)]
    plain = portability.threads(1, 1)
    first = printed(cells, plain)
    by_level, by_threads = (
        [cell for cell, *texts in zip(cells, first, printed(cells, variables), strict=True) if texts[0] != texts[1]]
        for variables in ({**plain, **numerics.lowered_level()}, portability.threads(2, 1))
    )
    assert {"powers", "fit", "svd"} <= {cell.name for cell in by_level}
    assert [cell.name for cell in by_threads] == ["fit-kmeans"]
    for cause, differing in ((causes.PROCESSOR, by_level), (causes.THREADS, by_threads)):
        assert all(cause.name in {suspect.cause.name for suspect in causes.suspects([cell])} for cell in differing)


def test_results_of_two_machines() -> None:
    """Results of another machine are the same bytes, or numbers with a largest difference, or other bytes."""
    third, picture = np.array([1 / 3, np.nan]), np.frombuffer(b"picture", "uint8")
    old = {"place": "here", "a/0": third, "b/0": third, "b/1": third, "c/0": picture}
    new = {**old, "place": "there", "b/1": np.nextafter(third, 1), "c/0": picture + 1}
    table = architectures.table(old, new, ["a", "b", "c", "d"]).splitlines()
    assert table[0] == "1 of 3 kinds have the same bytes on here, and on there: a."
    assert table[-2:] == ["| b | 5.6e-17 | 1 |", "| c | other bytes | |"]
