"""The documents as text: their links, their code, and the commands that a reader would type."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tiny import CHECKOUT

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PROMPT = re.compile(r"^ *\$ (.*)$", re.MULTILINE)
# A program and its words, up to what ends a command in a shell.
TYPED = re.compile(r"(?:^|(?<=[\s(]))(make|samebook)\s+([^&;|)\n]+)")


@dataclass(frozen=True)
class Page:
    """A document, by its path in the checkout."""

    name: str

    @property
    def path(self) -> Path:
        return CHECKOUT / self.name

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def prose(self) -> str:
        """The text without its blocks of code."""
        return FENCE.sub("", self.text)

    @property
    def spans(self) -> list[str]:
        return SPAN.findall(self.prose)

    @property
    def links(self) -> list[str]:
        """Where links and images lead, other sites left out."""
        return [link for link in LINK.findall(SPAN.sub("", self.prose)) if not re.match(r"\w+:", link)]

    @property
    def anchors(self) -> set[str]:
        """What a link to a heading of the page may end in."""
        headings = re.findall(r"^#+ (.*)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def blocks(self, language: str) -> list[str]:
        return [text for name, text in FENCE.findall(self.text) if name == language]

    def typed(self, program: str) -> Iterator[list[str]]:
        """The words after `make`, or `samebook`, wherever a reader is shown to type it; placeholders left out."""
        lines = [line for block in self.blocks("console") for line in PROMPT.findall(block)]
        for text in (*lines, *self.spans):
            for name, words in TYPED.findall(text):
                if name == program and re.match(r"[a-z-]+(\s|$|\")", words):
                    yield shlex.split(words.strip().removesuffix('"') if words.count('"') % 2 else words)


PAGES = [
    Page(path.relative_to(CHECKOUT).as_posix())
    for path in (*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").rglob("*.md")))
]
