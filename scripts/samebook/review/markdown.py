"""Markdown in which names and values are plain text: they come from whoever has made a branch."""

import re
from collections.abc import Sequence

from samebook.core.text import visible

# GitHub reads `@name` and `#12` as mentions even where @ and # are entities; a comment after the sign prevents it.
_INERT = {character: f"&#{ord(character)};" for character in "&<>|\\`[]*~_"} | {"@": "@<!-- -->", "#": "#<!-- -->"}


def inert(value: str) -> str:
    """The value in one line, as plain text: it opens no cell, tag, link or code, and mentions nobody by @name."""
    return "".join(_INERT.get(character, character) for character in visible(value, kept=""))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; titles and cells are inert."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cell if cell == '---' else inert(cell) for cell in line)} |" for line in lines)


def fenced(lines: Sequence[str], language: str = "") -> str:
    """A block of code, fenced by more backticks than stand anywhere in it."""
    text = "\n".join(visible(line, kept="\t") for line in lines)
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence}{language}\n{text}\n{fence}"
