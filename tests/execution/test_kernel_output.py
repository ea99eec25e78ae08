"""What a kernel's processes print beside its cells: it is read by the runner, line by line, and redacted."""

import os
import subprocess
import textwrap

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


def test_folded_parts() -> None:
    """A secret that a program has folded into lines is redacted wherever a read of the pipe ends; other lines are
    shown at once.
    """
    for text in ("correct horse battery staple", "canary_of_one_word-0123456789"):
        folded = textwrap.fill(text, 9)
        for end in range(1, len(folded)):
            shown: list[str] = []
            lines = kernel_output.Lines(Redaction({"TOKEN": text}), shown.extend)
            lines.add("before\n")
            assert shown == ["before"]
            for part in (folded[:end], folded[end:], "\nafter\n"):
                lines.add(part)
            lines.end()
            assert shown == ["before", "[redacted TOKEN]", "after"]


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
