"""The output of a kernel's processes beside its cells: a child's, a library's in C, and that of a dying kernel.

The kernel gets a pipe in place of the terminal. The runner reads it, and hands on its lines with the secrets redacted;
where the runner has ended, nobody does.
"""

import codecs
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from samebook.core import processes
from samebook.core.text import Say
from samebook.redaction.redactor import Redaction

# Characters of a line that are handed on before its end.
LONGEST_LINE = 1 << 20


class Lines:
    """The whole lines of a text that comes in parts, handed to `show`: in a part of a line no secret is recognised."""

    def __init__(self, redaction: Redaction, show: Callable[[Sequence[str]], None]) -> None:
        self.redaction, self.show = redaction, show
        self.unfinished = ""

    def add(self, text: str) -> None:
        """Hand on the lines that end in `text`, but for those in which a secret may begin that a program has folded.

        Of a line too long it is all but its end, as a secret may begin there.
        """
        text = self.unfinished + text
        end = self.redaction.whole_lines(text)
        self.unfinished = text[end:]
        if end:
            self._hand_on(text[: end - 1])
        if len(self.unfinished) > LONGEST_LINE:
            redacted = self.redaction.text(self.unfinished)
            end = max(0, len(redacted) - self.redaction.longest)
            self.unfinished = redacted[end:]
            self._hand_on(redacted[:end])

    def end(self) -> None:
        """Hand on the line that has not ended."""
        if self.unfinished:
            self._hand_on(self.unfinished.removesuffix("\n"))
            self.unfinished = ""

    def _hand_on(self, text: str) -> None:
        lines = self.redaction.text(text).split("\n")
        self.show([line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines])  # a terminal shows the text after the last


@contextmanager
def forwarded(redaction: Redaction, say: Say) -> Iterator[int]:
    """A file descriptor for a kernel's stdout and stderr while the block runs; `say` hears of its lines in a thread."""

    def show(shown: Sequence[str]) -> None:
        for line in shown:
            say(line)

    lines = Lines(redaction, show)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        with processes.forwarded(lambda content: lines.add(decoder.decode(content))) as writer:
            yield writer
    finally:
        lines.add(decoder.decode(b"", final=True))
        lines.end()
