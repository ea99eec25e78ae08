"""A tree of boxes, as text and as a Mermaid flowchart. Equal trees give equal bytes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from samebook.core.text import visible

HEAD = """\
flowchart LR
classDef run fill:#eef4ff,stroke:#3b6fd4,color:#1f2933
classDef input fill:#fff,stroke:#98a2b3,color:#1f2933
classDef undeclared fill:#fff,stroke:#b42318,color:#1f2933,stroke-dasharray:5 3
"""
# Characters that are not plain text to Mermaid, Markdown and HTML. A colon too: Mermaid reads `style…:` as its own.
SPECIAL = re.compile(r"[^\w ,.=/…·-]|\b_+|_+\b")
RUN = "run"


@dataclass(frozen=True)
class Box:
    """A title, lines below it, and the boxes that lead to this one; `kind` is its class in the flowchart."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    sources: tuple["Box", ...] = ()

    @property
    def details(self) -> tuple[str, ...]:
        return (*self.lines, *(f"! {warning}" for warning in self.warnings))


def text(box: Box) -> str:
    """The tree as people read it in a terminal: the sources of a box are indented below it."""
    return "\n".join(_lines(box, "", ""))


def _lines(box: Box, first: str, rest: str) -> Iterator[str]:
    # A text of a receipt is its author's choice: none of it begins a line of its own.
    yield f"{first}{visible(box.title, kept='')}"
    margin = rest + ("│   " if box.sources else "    ")
    yield from (f"{margin}{visible(line, kept='')}" for line in box.details)
    for number, source in enumerate(box.sources, start=1):
        last = number == len(box.sources)
        yield from _lines(source, rest + ("└── " if last else "├── "), rest + ("    " if last else "│   "))


def mermaid(root: Box) -> str:
    """The tree as a flowchart, from left to right: a run is one node, however often the tree shows it."""
    return HEAD + "".join(f"{line}\n" for line in _statements(root, "", {}))


def _statements(box: Box, target: str, names: dict[tuple[str, ...], str]) -> Iterator[str]:
    """The nodes and arrows of a box and its sources; `names` are the nodes' names so far."""
    key = (box.kind, box.title) if box.kind == RUN else (box.kind, box.title, target)
    is_new, name = key not in names, names.setdefault(key, f"n{len(names)}")
    if is_new:
        yield f'{name}["{"<br/>".join(map(_plain, (box.title, *box.details)))}"]:::{box.kind}'
    if target:
        yield f"{name} --> {target}"
    for source in box.sources:
        yield from _statements(source, name, names)


def _plain(line: str) -> str:
    """A line of a label: https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters."""
    return SPECIAL.sub(lambda special: "".join(f"#{ord(letter)};" for letter in special[0]), line)
