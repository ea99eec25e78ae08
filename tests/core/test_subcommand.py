"""A program of ours that make has started: its exit code and its message."""

import pytest

from samebook.core import subcommand


@pytest.mark.parametrize(
    ("code", "stderr", "told", "words"),
    [
        (4, "error: rejected\n", 4, "error: rejected"),
        (2, "error: rejected\nmake[1]: *** [Makefile:70: run] Error 4\nmake: *** [b] Error 2\n", 4, "error: rejected"),
        (2, "error: abgelehnt\nmake: *** [Makefile:70: run] Fehler 138\n", 138, "error: abgelehnt"),
        (143, "make: *** [Makefile:70: run] Terminated\n", 143, "make: *** [Makefile:70: run] Terminated"),
    ],
)
def test_exit_code_of_what_make_started(code: int, stderr: str, told: int, words: str) -> None:
    """A step that runs in Docker fails with its own exit code and words, not with make's."""
    assert subcommand.exit_code(code, stderr) == told
    assert subcommand.message(stderr) == words
