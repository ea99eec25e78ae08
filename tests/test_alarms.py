"""The alarms of the season's 120 days: few that nobody planted, and every planted drift on its day."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import CHECKOUT

pytestmark = [pytest.mark.host, pytest.mark.long]


@pytest.mark.timeout(3600)
def test_alarms_are_believed(tmp_path: Path) -> None:
    """At most 6 days alarm without a fault, at most one warning a day is said in the mean, few on the first day; and
    the new code and the other unit alarm on the days on which they come.
    """
    command = [sys.executable, CHECKOUT / "tests" / "alarms.py", "--folder", tmp_path / "models"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout[done.stdout.index("{") :])
    assert summary["unplanned_alarm_days"] <= 6
    assert summary["said_a_day"] <= 1
    assert summary["said_on_the_first_day"] <= 7
    assert {*summary["planted"].values()} <= {*summary["alarms"]}
    assert summary["days_with_an_alarm_if_nothing_were_remembered"] > summary["unplanned_alarm_days"]
