"""The reason that is said first of two runs that differ by their machines: facts, cell, call, size and pin."""

import copy
from pathlib import Path
from typing import Any

import pytest
from reproducing import make_repository, reproduce, run

from samebook.core.digest import json_bytes, sha256
from samebook.environment import numerics
from samebook.records import comparison
from samebook.records.comparison import Side
from samebook.reproduction import causes, definition, reason

INTERNAL = "internalParameters"
STATEMENT: dict[str, Any] = {
    "predicate": {
        "buildDefinition": {
            INTERNAL: {
                "numerics": "fast",
                "processor": {"level": "x86-64-v4", "cores": 8, "variables": {}},
                "threads": {"openmp": 8, "blas": 8},
            },
            "resolvedDependencies": [],
        }
    }
}
# What numerics give a kernel where the processor holds portable ones, and the pin where one of two does not.
HELD = {"OPENBLAS_CORETYPE": numerics.CORE}
OF_LEVEL = "  fix: a processor of the level x86-64-v3 or above, without which portable numerics are not held"
WORK = """
import numpy as np
values = np.random.default_rng(7).normal(size=(300, 300))
print(np.linalg.inv(values)[0, 0])
"""


def statement(**internal: Any) -> dict[str, Any]:
    """A receipt with these internal parameters in place of its own."""
    content = copy.deepcopy(STATEMENT)
    content["predicate"]["buildDefinition"][INTERNAL] |= internal
    return content


def result(*cells: tuple[str, str]) -> Side:
    """A result whose canonical notebook has these cells, by their source and what they printed."""
    content = json_bytes(
        [
            {"type": "code", "tags": [f"step-{number}"], "source": source, "printed": {"stdout": printed}}
            for number, (source, printed) in enumerate(cells, start=1)
        ]
    )
    return Side({"notebook.canonical.json": sha256(content)}, lambda _: content)


def lines(original: dict[str, Any], new: dict[str, Any], before: Side, after: Side) -> list[str]:
    is_portable, is_held = (
        all(map(has, (original, new))) for has in (definition.has_portable_numerics, definition.has_held_numerics)
    )
    compared, divergences = comparison.compare(before, after), definition.divergences(original, new)
    return reason.lines(divergences, compared, after, is_portable=is_portable, is_held=is_held)


def test_another_processor_is_said_first() -> None:
    """Facts, first cell, the call in it, the largest difference and the pin; the number of cores alone is none."""
    here = {"level": "x86-64-v3", "cores": 2, "variables": {}}
    original, new = statement(), statement(processor=here, threads={"openmp": 2, "blas": 2})
    before, after = (
        result(("n = 1", ""), ("m = KMeans(n)\nm.fit(x)\nprint(m.inertia_)", f"sum: {number} of 7\n"))
        for number in ("0.5", "0.5000000000000002")
    )
    facts, *others = lines(original, new, before, after)
    assert 'processor.level: "x86-64-v4" then, "x86-64-v3" here; threads.blas: 8 then, 2 here; ' in facts
    assert facts.endswith("threads.openmp: 8 then, 2 here")
    assert others == [
        "  first in cell 2 `step-2`",
        "  known to depend on it: line 1: m = KMeans(n)",
        "  largest difference of numbers: 2 ulp, 2.22e-16 relative",
        f"  fix: {reason.FIX}",
        "",
    ]
    cores = statement(processor={"level": "x86-64-v4", "cores": 4, "variables": {}})
    assert lines(original, cores, before, after) == []


def test_call_before_the_cell() -> None:
    """A call in an earlier cell is named with its cell; a cell whose words differ has no size."""
    before, after = (result(("y = x @ x.T", ""), ("print(y)", printed)) for printed in ("a", "b"))
    _, *others = lines(statement(), statement(numerics="portable"), before, after)
    assert others[:2] == ["  first in cell 2 `step-2`", "  known to depend on it: cell 1 `step-1`, line 1: y = x @ x.T"]
    assert not any("largest" in line for line in others)


@pytest.mark.parametrize("is_numeric", [False, True])
def test_call_without_a_seed(*, is_numeric: bool) -> None:
    """A generator without a seed is named with its fix; the pin of numerics is said where another call may need it."""
    source = f"x = np.random.default_rng().random(3)\nprint({'np.exp(x)' if is_numeric else 'x'})"
    before, after = (result((source, printed)) for printed in ("1", "2"))
    _, *others = lines(statement(), statement(numerics="portable"), before, after)
    seed = next(cause for cause in causes.CAUSES if cause.name == causes.UNSEEDED)
    assert others[-3] == "  may differ on one machine, too: line 1: x = np.random.default_rng().random(3)"
    assert [line for line in others if "fix" in line] == [f"  fix: {reason.FIX}"] * is_numeric + [f"  fix: {seed.fix}"]


@pytest.mark.parametrize(
    ("internal", "calls", "fix"),
    [
        (
            {"threads": {"openmp": 2, "blas": 1}},
            1,
            ["  fix: threads: 8, in environments/<env>.yml, is the number of the run"],
        ),
        ({"processor": {"model": "B", "variables": HELD}}, 0, []),
        ({"processor": {"model": "B", "variables": {}}}, 1, [OF_LEVEL]),
    ],
)
def test_pin_beside_portable_numerics(internal: dict[str, Any], calls: int, fix: list[str]) -> None:
    """Where both numerics are portable, the pin is the number of threads or the level, and no call is to blame else."""
    processor = {"level": "x86-64-v4", "cores": 8, "variables": HELD}
    original = statement(numerics="portable", processor=processor)
    new = statement(**{"numerics": "portable", "processor": processor, **internal})
    before, after = (result(("print(np.linalg.svd(x))", printed)) for printed in ("1", "2"))
    _, *others = lines(original, new, before, after)
    assert sum("known to depend" in line for line in others) == calls
    assert [line for line in others if "fix" in line] == fix


@pytest.mark.parametrize("variables", [{}, {"OPENBLAS_CORETYPE": "ARMV8"}, None, "Haswell"])
def test_neither_processor_holds_portable_numerics(variables: object) -> None:
    """Two processors of another architecture, or below the level, may differ though their variables are equal: the call
    and the level are named.
    """
    original, new = (
        statement(numerics="portable", processor={"model": model, "variables": variables}) for model in ("A", "B")
    )
    before, after = (result(("print(np.exp(x))", printed)) for printed in ("a", "b"))
    facts, *others = lines(original, new, before, after)
    assert facts.endswith('processor.model: "A" then, "B" here')
    assert others[1:] == ["  known to depend on it: line 1: print(np.exp(x))", OF_LEVEL, ""]


def test_lost_and_broken_originals() -> None:
    """An original whose notebook is not here, or is none, leaves facts, calls of all cells, and the pin."""
    new = statement(numerics="portable")
    for content in (None, b"\x00"):
        before = Side({"notebook.canonical.json": "0" * 64}, lambda _, content=content: content)
        _, *others = lines(statement(), new, before, result(("print(np.exp(x))", "1")))
        assert others[0] == "  known to depend on it: cell 1 `step-1`, line 1: print(np.exp(x))"
        assert others[1:] == [f"  fix: {reason.FIX}", ""]


@pytest.mark.parametrize("content", [b"\x00", b"[1]", b'[{"type": "code", "tags": [], "source": 5}]'])
def test_broken_new_notebook(content: bytes) -> None:
    """A new run whose notebook is none leaves the facts and the pin: the commit that was run may be a stranger's."""
    after = Side({"notebook.canonical.json": sha256(content)}, lambda _: content)
    _, *others = lines(statement(), statement(numerics="portable"), result(("print(1)", "1")), after)
    assert others[-2:] == [f"  fix: {reason.FIX}", ""]


@pytest.mark.host
@pytest.mark.skipif(not numerics.lowered_level(), reason="this processor has no level below that variables simulate")
def test_lower_level_is_said_first(tmp_path: Path) -> None:
    """A run with fast numerics, reproduced as on a processor of a lower level, says first what it comes from."""
    tiny = make_repository(tmp_path / "workspace", work=WORK)
    folder = run(tiny, SAMEBOOK_NUMERICS="fast")
    ended = reproduce(tiny, folder.name, SAMEBOOK_LOWERED_LEVEL="1")
    assert ended.code == 3, ended.stderr
    reasons, _, table = ended.stdout.partition("\n\n")
    assert reasons.startswith("the runs had another processor, other threads, or other numerics: processor.blas: ")
    assert "first in cell 1 `work`\n  known to depend on it: line 4: print(np.linalg.inv(values)[0, 0])\n" in reasons
    assert " ulp, " in reasons
    assert reasons.endswith(reason.FIX)
    assert table.startswith("subject ")
