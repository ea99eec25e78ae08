"""Runs of tests start from what is imported already: cold ones would take the tests three times as long."""

import json
from pathlib import Path

import pytest
from tiny import Tiny

WORK = """
import os, samebook
samebook.log_metric("parent", os.getppid())
"""


@pytest.mark.parametrize("imported", ["", "import pandas"])
def test_kernels_are_forked(imported: str, tiny: Tiny) -> None:
    """A run's kernel is the child of a zygote."""
    tiny.notebook("n", imports=imported, work=WORK)
    tiny.samebook("run", "n")
    parent = json.loads((tiny.last / "metrics.json").read_text())["parent"]
    assert "samebook.execution.warm.zygote" in Path(f"/proc/{parent:.0f}/cmdline").read_text()
