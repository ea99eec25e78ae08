"""Reports that are none of monitoring's: nothing of them is acknowledged, and nothing is written."""

from pathlib import Path
from typing import Any

import pytest
import reported
from tiny import Tiny

from samebook.core.errors import UsageError
from samebook.verbs.ack import AckRequest, ack

pytestmark = pytest.mark.fast

RUN = "20260101T000000Z-monitor-000001"
FINDING = {"kind": "data", "name": "rows", "span": "day", "value": 1.0, "warn": 0.1, "alarm": 0.2, "verdict": "alarm"}
REPORT = {"model": "delay", "day": "2026-01-01", "findings": [FINDING]}


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ([1], "names no model"),
        ({}, "names no model"),
        (REPORT | {"model": "../../delay"}, "names no model"),
        (REPORT | {"model": "/delay"}, "names no model"),
        ({"model": "delay"}, "no report of monitoring"),
        (REPORT | {"findings": [FINDING | {"value": "1"}]}, "no report of monitoring"),
        (REPORT | {"findings": 1}, "no report of monitoring"),
    ],
)
def test_report_of_anybody(report: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report of another form, or of a model whose name is a path, is refused before git is asked for anything."""
    tiny = Tiny.create(tmp_path / "workspace")
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    reported.run(tiny, RUN, outputs={"drift.json": report})
    with pytest.raises(UsageError, match=message):
        ack(AckRequest(RUN, "rows", "it is a holiday"))
