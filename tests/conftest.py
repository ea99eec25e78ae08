"""A workspace for each test that asks for one; nothing may run on in it when the test is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import Tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Tiny]:
    workspace = Tiny.create(tmp_path / "workspace")
    yield workspace
    assert not workspace.kernels(), "a kernel outlived its run"
    assert not workspace.unfinished, "a run was left half-written"
