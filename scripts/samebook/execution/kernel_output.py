"""The output of a kernel's processes beside its cells: a child's, a library's in C, and that of a dying kernel.

The kernel gets a pipe in place of the terminal. The runner reads it, and hands on its lines with the secrets redacted;
where the runner has ended, nobody does.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from samebook.core import processes
from samebook.core.text import Say
from samebook.redaction.redactor import Redaction

# Characters of a line that are handed on before its end.
LONGEST_LINE = 1 << 20


class Lines:
    """The text of a stream of bytes, handed to `say` line by line: in a part of a line a secret is not recognised."""

    def __init__(self, redaction: Redaction, say: Say) -> None:
        self.redaction, self.say = redaction, say
        self.unfinished = b""

    def add(self, content: bytes) -> None:
        """Hand on the lines that end in `content`; of a line too long all but its end, as a secret may begin there."""
        *lines, self.unfinished = (self.unfinished + content).split(b"\n")
        if lines:
            self._hand_on(b"\n".join(lines))
        if len(self.unfinished) > LONGEST_LINE:
            text = self.redaction.text(self.unfinished.decode(errors="replace"))
            end = max(0, len(text) - self.redaction.longest)
            self.unfinished = text[end:].encode()
            self._hand_on(text[:end].encode())

    def end(self) -> None:
        """Hand on the line that has not ended."""
        if self.unfinished:
            self._hand_on(self.unfinished)

    def _hand_on(self, content: bytes) -> None:
        for line in self.redaction.text(content.decode(errors="replace")).split("\n"):
            self.say(line.rstrip("\r").rsplit("\r", 1)[-1])  # a terminal shows the text after the last one


@contextmanager
def forwarded(redaction: Redaction, say: Say) -> Iterator[int]:
    """A file descriptor for a kernel's stdout and stderr while the block runs; `say` hears of its lines in a thread."""
    lines = Lines(redaction, say)
    try:
        with processes.forwarded(lines.add) as writer:
            yield writer
    finally:
        lines.end()
