"""The signing key: read once at the start of a command, and then out of the reach of every notebook."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from samebook.core import signing_key
from samebook.core.processes import Processes

pytestmark = pytest.mark.secrets

KEY = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n"
# As a command does: it takes the key. Then it shows whether /proc names the key's file, before and after.
TAKES = """
import ctypes, os, sys
from pathlib import Path
from samebook.core import signing_key
name, environ = sys.argv[1].encode(), Path("/proc/self/environ")
named = [name in environ.read_bytes() if environ.is_file() else True]
signing_key.take()
try:
    named.append(name in environ.read_bytes())
except OSError:
    named.append(False)  # nobody but root may look any more, not even the process itself
is_dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == "linux" else 0
print(signing_key.current().content.decode().split()[3], "SIGNING_KEY" in os.environ, *named, is_dumpable)
"""


def taken(value: str, **options: str) -> list[str]:
    """The words that a command prints which takes its key."""
    command = [sys.executable, "-c", TAKES, "key-of-ada"]
    return subprocess.check_output(command, env={**os.environ, "SIGNING_KEY": value}, text=True, **options).split()


def test_variable_is_wiped(tmp_path: Path) -> None:
    """A command keeps the key; neither its variables nor what /proc shows of them name it, and nobody looks inside."""
    path = tmp_path / "key-of-ada.pem"
    path.write_text(KEY)
    assert taken(str(path)) == ["Y2FuYXJ5", "False", "True", "False", "0"]


def test_key_from_stdin() -> None:
    """A key can be handed over through stdin, as into a container, where it is no file."""
    assert taken("-", input=KEY)[0] == "Y2FuYXJ5"


def test_key_is_handed_on_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What make starts gets the key through a pipe, which is empty once it was read; its variables don't hold it."""
    monkeypatch.setattr(signing_key, "_key", signing_key.SigningKey("SIGNING_KEY=me.pem", KEY.encode()))
    (tmp_path / "Makefile").write_text("all:\n\t@cat $$SIGNING_KEY; cat $$SIGNING_KEY; env\n")
    result = Processes().call(["make"], tmp_path, {"PATH": os.environ["PATH"]})
    assert result.stdout.startswith(KEY)
    assert result.stdout.count("Y2FuYXJ5") == 1
    assert "me.pem" not in result.stdout


def test_key_is_for_what_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is neither make nor samebook gets no key."""
    monkeypatch.setattr(signing_key, "_key", signing_key.SigningKey("SIGNING_KEY=me.pem", KEY.encode()))
    result = Processes().call(["sh", "-c", "env; ls /dev/fd/"], tmp_path, {"PATH": os.environ["PATH"]})
    assert "SIGNING_KEY" not in result.stdout
