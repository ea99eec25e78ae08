"""The shipped notebooks give the same bytes in a warm kernel as in a cold one."""

from pathlib import Path

import pytest
from test_warm import ran, start, subjects, warm
from test_warm_faults import SHIPPED, options
from tiny import Tiny, as_from_a_shell


def check_same(workspace: Path, notebook: str) -> None:
    """Run it cold and warm."""
    tiny = Tiny(workspace)
    with pytest.MonkeyPatch.context() as patch:
        as_from_a_shell(patch)
        cold = ran(tiny, notebook, *options(notebook))
    with warm(tiny, notebook):
        other = ran(tiny, notebook, *options(notebook))
    assert (start(cold), start(other)) == ("cold", "warm")
    assert subjects(cold) == subjects(other)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_warm_or_cold(workspace: Path) -> None:
    """Each step of the chain has the same subjects, its executed notebook among them, warm and cold."""
    for notebook in SHIPPED:
        check_same(workspace, notebook)
