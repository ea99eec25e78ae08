"""What a kernel's processes print beside its cells: it is read by the runner, line by line, and redacted."""

import os
import subprocess

import pytest
from tiny import wait_until

from samebook.execution import kernel_output
from samebook.redaction.redactor import Redaction

SECRET = "canary-1234567"
REDACTION = Redaction({"TOKEN": SECRET})

pytestmark = pytest.mark.secrets


def test_parts_are_one_line() -> None:
    """A secret that is written in two parts is redacted, and a line that has not ended is shown."""
    shown: list[str] = []
    with kernel_output.forwarded(REDACTION, shown.append) as output:
        for part in (SECRET[:5], SECRET[5:], "\n\xff", f"\nthe end: {SECRET}"):
            os.write(output, part.encode("latin-1"))
    assert shown == ["[redacted TOKEN]", "\ufffd", "the end: [redacted TOKEN]"]


def test_endless_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without an end is not kept for ever, and a secret across two of its parts is redacted."""
    monkeypatch.setattr(kernel_output, "LONGEST_LINE", 1000)
    shown: list[str] = []
    lines = kernel_output.Lines(REDACTION, shown.extend)
    lines.add("x" * 995 + SECRET[:7])
    assert shown
    lines.add(SECRET[7:] + "y" * 10)
    lines.end()
    assert "".join(shown) == "x" * 995 + "[redacted TOKEN]" + "y" * 10


def test_survivor_is_not_waited_for() -> None:
    """A child that outlives the kernel and keeps its files open delays nothing, and reaches nobody."""
    shown: list[str] = []
    with kernel_output.forwarded(REDACTION, shown.append) as output:
        command = ["sh", "-c", f"echo first; read line; echo {SECRET}"]
        with_output = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(lambda: shown)
    assert with_output.poll() is None
    with_output.communicate(b"\n")
    assert shown == ["first"]
