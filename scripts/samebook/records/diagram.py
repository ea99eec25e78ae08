"""Draw a tree of boxes: as text, and as SVG. Equal trees give equal bytes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape

# Of the monospaced font in the drawing, and of what is around it; in pixels.
LETTER, LINE, PADDING = 7.3, 17, 10
GAP, COLUMN_GAP, MARGIN = 14, 48, 16
STYLE = """\
text { font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2933; white-space: pre }
.title { font-weight: bold }
.warning { fill: #b42318 }
rect { fill: #fff; stroke: #98a2b3 }
.run rect { fill: #eef4ff; stroke: #3b6fd4 }
.undeclared rect { stroke: #b42318; stroke-dasharray: 5 3 }
.edge { fill: none; stroke: #98a2b3; stroke-width: 1.4; marker-end: url(#arrow) }
#arrow path { fill: #98a2b3 }"""


@dataclass(frozen=True)
class Box:
    """A title, lines below it, and the boxes that lead to this one; `kind` is its class in the drawing."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    sources: tuple["Box", ...] = ()

    @property
    def width(self) -> float:
        return round(LETTER * max(map(len, (self.title, *self.lines, *self.warnings)))) + 2 * PADDING

    @property
    def height(self) -> float:
        return LINE * (1 + len(self.lines) + len(self.warnings)) + 2 * PADDING


def text(box: Box) -> str:
    """The tree as people read it in a terminal, what leads to a box indented below it."""
    return "\n".join(_lines(box, "", ""))


def _lines(box: Box, first: str, rest: str) -> Iterator[str]:
    yield f"{first}{box.title}"
    margin = rest + ("│   " if box.sources else "    ")
    yield from (f"{margin}{line}" for line in box.lines)
    yield from (f"{margin}! {line}" for line in box.warnings)
    for number, source in enumerate(box.sources, start=1):
        last = number == len(box.sources)
        yield from _lines(source, rest + ("└── " if last else "├── "), rest + ("    " if last else "│   "))


@dataclass
class _Layout:
    """Places boxes in columns by their distance from the root, which is at the right."""

    columns: list[float] = field(default_factory=list)
    placed: list[tuple[Box, int, float, list[int]]] = field(default_factory=list)
    bottom: float = MARGIN

    def place(self, box: Box, depth: int) -> int:
        """Place a box after its sources, in the middle of them; returns its number."""
        self.columns += [0.0] * (depth + 1 - len(self.columns))
        self.columns[depth] = max(self.columns[depth], box.width)
        top = self.bottom
        numbers = [self.place(source, depth + 1) for source in box.sources]
        middles = [self.placed[number][2] for number in numbers]
        middle = max((middles[0] + middles[-1]) / 2 if middles else 0, top + box.height / 2)
        self.bottom = max(self.bottom, middle + box.height / 2 + GAP)
        self.placed.append((box, depth, middle, numbers))
        return len(self.placed) - 1

    def left(self, depth: int) -> float:
        """Where a column begins."""
        return MARGIN + sum(width + COLUMN_GAP for width in self.columns[depth + 1 :])


def svg(root: Box) -> str:
    """The tree as a drawing: what leads to a box at its left, an arrow from each."""
    layout = _Layout()
    layout.place(root, 0)
    width, height = layout.left(0) + layout.columns[0] + MARGIN, layout.bottom - GAP + MARGIN
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    parts = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(root.title)}</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8"'
        ' orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>',
        f'<rect width="{width:g}" height="{height:g}" style="stroke: none"/>',
        *_edges(layout),
        *(_drawn(box, layout.left(depth), middle, layout.columns[depth]) for box, depth, middle, _ in layout.placed),
        "</svg>",
    )
    return "\n".join(parts) + "\n"


def _edges(layout: _Layout) -> Iterator[str]:
    for _, depth, middle, numbers in layout.placed:
        end = layout.left(depth)
        for _, column, height, _ in (layout.placed[number] for number in numbers):
            start = layout.left(column) + layout.columns[column]
            bend = end - COLUMN_GAP / 2
            curve = f"C{bend:g} {height:g} {bend:g} {middle:g} {end:g} {middle:g}"
            yield f'<path class="edge" d="M{start:g} {height:g} {curve}"/>'


def _drawn(box: Box, left: float, middle: float, width: float) -> str:
    top = middle - box.height / 2
    lines = ((box.title, "title"), *((line, "") for line in box.lines), *((line, "warning") for line in box.warnings))
    place = f'x="{left:g}" y="{top:g}" width="{width:g}" height="{box.height:g}"'
    texts = _texts(lines, left + PADDING, top + PADDING)
    return "\n".join((f'<g class="{box.kind}"><rect {place} rx="5"/>', *texts, "</g>"))


def _texts(lines: Iterable[tuple[str, str]], left: float, top: float) -> Iterator[str]:
    for number, (line, kind) in enumerate(lines):
        baseline = top + LINE * number + LINE * 0.75
        yield f'<text x="{left:g}" y="{baseline:g}"{f' class="{kind}"' if kind else ""}>{escape(line)}</text>'
